"""The building blocks of routes: callers, path and query parameters, JSON bodies, pages of lists, conditions."""
