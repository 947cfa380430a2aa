"""Where the service may connect on behalf of its users: which URLs, which names, which addresses."""
