"""Outgoing connections on behalf of users: which URLs, names and addresses the service may connect to."""
