"""Who is calling, for which project, with which scopes."""
