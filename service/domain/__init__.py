"""The verbs of the service, whatever the transport."""
