"""The HTTP API. Each operation parses its request, calls one function of `domain`, and writes the response."""
