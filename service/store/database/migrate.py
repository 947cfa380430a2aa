"""Change the schema of a database from one revision to another."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from importlib import resources

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from service.store.database.connections import CONNECT_SECONDS, ISOLATION, through
from service.store.database.schema import SchemaMismatch, current, head, refuse_newer, refuse_old_server

# An arbitrary number, the same in every process, so that one process migrates and the others wait for it.
_LOCK = 7_236_837_012_837_465
_LOCK_TIMEOUT = "5s"
_REST_SECONDS = 1.0
_TRIES = 24
_LOCK_NOT_AVAILABLE = "55P03"


async def migrate(url: str) -> None:
    """Bring the schema up to date. Any number of processes may do so at once.

    Raises:
        SchemaMismatch: the schema is a newer version's, or other transactions keep its tables locked.
    """
    if await current(url) == head():
        return
    await upgrade(url, "head")


async def upgrade(url: str, revision: str) -> None:
    """Bring the schema up to a revision, in several attempts if its tables are locked."""
    for attempt in range(1, _TRIES + 1):
        try:
            await _within_transaction(url, lambda config: command.upgrade(config, revision))
        except (DBAPIError, asyncpg.PostgresError) as error:
            # A script of several statements bypasses SQLAlchemy, and so do its errors.
            cause = error.orig if isinstance(error, DBAPIError) else error
            if getattr(cause, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
                message = f"The migration failed and changed nothing. The database said: {cause}"
                raise SchemaMismatch(message) from error
            if attempt == _TRIES:
                message = (
                    "The migration cannot lock Restante's tables. End the transactions that hold them, then try again."
                )
                raise SchemaMismatch(message) from error
            # Transactions that waited behind this one's request for a lock get on with their work meanwhile.
            await asyncio.sleep(_REST_SECONDS)
        else:
            return


async def downgrade(url: str, revision: str) -> None:
    """Take the schema back to an older revision; `base` removes everything, including the data."""
    await _within_transaction(url, lambda config: command.downgrade(config, revision))


async def _within_transaction(url: str, run: Callable[[Config], None]) -> None:
    """Run an Alembic command in one transaction that no other migration runs beside."""
    async with _connection(url) as connection, connection.begin():
        await connection.execute(text(f"set local lock_timeout = '{_LOCK_TIMEOUT}'"))
        await connection.execute(text("set local statement_timeout = 0"))
        # A lock of the transaction, because behind a pooler the session belongs to another client a moment later.
        await connection.execute(text("select pg_advisory_xact_lock(:lock)").bindparams(lock=_LOCK))
        await connection.run_sync(_run, run)


def _run(connection: Connection, run: Callable[[Config], None]) -> None:
    refuse_newer(_current(connection))
    run(_config(connection))


def _current(connection: Connection) -> str | None:
    refuse_old_server(int((connection.dialect.server_version_info or (0,))[0]))
    return MigrationContext.configure(connection).get_current_revision()


def _config(connection: Connection) -> Config:
    config = Config()
    # A `%` in the path would be read as the start of a variable.
    config.set_main_option("script_location", str(resources.files("migrations")).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    config.attributes["connection"] = connection
    return config


@contextlib.asynccontextmanager
async def _connection(url: str) -> AsyncIterator[AsyncConnection]:
    """Open one connection, which prepares no statement by name, so that it can go through a pooler."""
    # Opened here, so that errors are raised as asyncpg's own.
    opened = await asyncpg.connect(url, timeout=CONNECT_SECONDS, statement_cache_size=0)

    async def creator() -> asyncpg.Connection:
        return opened

    engine = create_async_engine(
        "postgresql+asyncpg://",
        poolclass=NullPool,
        # With a stricter level, a process that waited for the lock would not see what was migrated meanwhile.
        isolation_level=ISOLATION,
        connect_args=through(creator, prepare=False),
    )
    try:
        async with engine.connect() as connection:
            yield connection
    finally:
        await engine.dispose()
