"""All other operations, as FastAPI routes: configuration and inspection, one file for each noun."""
