"""The migrations of the database schema, which service/store/database/migrate.py runs."""
