"""Servers to compare with. Each is run by its path, with the port to listen on as its argument."""
