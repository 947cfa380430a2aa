"""The schema, one step after another; run by service/store/migrate.py."""
