"""Alembic's environment. It uses the connection that service/store/database/migrate.py provides."""

from alembic import context

from service.store.database.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
