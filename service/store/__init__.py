"""PostgreSQL: connections, statements, lanes, lines, wake-ups. No layer above contains SQL."""
