"""The hot operations over HTTP: sending, receiving, settling, publishing and transactions."""
