"""Restante: an HTTP queue service. Mail held until called for."""

__version__ = "0.1.0"
