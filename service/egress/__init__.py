"""Where the service may connect to on behalf of those who register webhooks."""
