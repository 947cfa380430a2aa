"""Whether the database is as the service needs it."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_OLDEST = text(
    "select coalesce(extract(epoch from clock_timestamp() - min(xact_start)), 0)::float8 from pg_stat_activity "
    "where datname = current_database() and pid <> pg_backend_pid()"
)


async def revision(connection: AsyncConnection) -> str | None:
    """Return the revision of the schema."""
    found = await connection.execute(text("select version_num from alembic_version"))
    return found.scalar_one_or_none()


async def oldest_transaction_age(connection: AsyncConnection) -> float:
    """Return the age in seconds of the oldest transaction that is open in this database."""
    return float((await connection.execute(_OLDEST)).scalar_one())
