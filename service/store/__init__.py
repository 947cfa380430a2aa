"""PostgreSQL: connections, statements, lanes, lines, wake-ups. Nothing above knows SQL."""
