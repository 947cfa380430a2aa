"""Run a migration's SQL script, which has several statements. Only the database driver can execute these at once."""

from importlib import resources

from alembic import op


def run_script(name: str) -> None:
    """Run migrations/versions/NAME.sql in the migration's transaction."""
    script = resources.files("migrations").joinpath(f"versions/{name}.sql").read_text("utf-8")
    driver = op.get_bind().connection.dbapi_connection
    assert driver is not None  # noqa: S101 - the connection is open
    driver.run_async(lambda connection: connection.execute(script))
