"""Authentication and authorization: API keys, their projects and scopes."""
