"""Access to the database: connections, transactions, lanes, statements, the schema and its clock."""
