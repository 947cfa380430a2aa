"""Running a migration's SQL script: several statements at once, which only the driver itself takes."""

from importlib import resources

from alembic import op


def run_script(name: str) -> None:
    """Run migrations/versions/NAME.sql in the migration's transaction."""
    script = resources.files("migrations").joinpath(f"versions/{name}.sql").read_text("utf-8")
    driver = op.get_bind().connection.dbapi_connection
    assert driver is not None  # noqa: S101 - it is open
    driver.run_async(lambda connection: connection.execute(script))
