"""The state of the database: whether the service can work with it, and its figures."""

import time
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.database.statements import STATEMENTS
from service.store.database.transaction import driver

_INSTALLATION = text("""
select version_num, (select fingerprint from secret_key) as fingerprint,
       current_setting('transaction_read_only') = 'on' as read_only
from alembic_version
""")
_PUSH = STATEMENTS["webhooks.state"]
_WEBHOOK_STATES = ("active", "paused", "circuit_open", "disabled")
# The age of the oldest other transaction in this database; null: there is none.
_OLDEST_AGE = """(
    select extract(epoch from clock_timestamp() - min(xact_start))::float8
    from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid()
)"""
_OLDEST = text(f"select coalesce({_OLDEST_AGE}, 0)")
_DATABASE = f"select {_OLDEST_AGE} as oldest, pg_database_size(current_database()) as size"


@dataclass(frozen=True, slots=True)
class Installation:
    """The schema's revision, the secret key's fingerprint, and whether the database refuses writes."""

    revision: str | None = None
    fingerprint: bytes | None = None
    read_only: bool = False


async def installation(connection: AsyncConnection) -> Installation:
    """Return what the service relies on; an empty one if there is no schema or it is not this service's."""
    try:
        row = (await connection.execute(_INSTALLATION)).one_or_none()
    except ProgrammingError:
        return Installation()
    return Installation() if row is None else Installation(row.version_num, row.fingerprint, row.read_only)


@dataclass(frozen=True, slots=True)
class Push:
    """The state of push: how many webhooks are in each state, and how many seconds the oldest message has waited."""

    webhooks: dict[str, int]
    backlog_age: float


async def push(connection: AsyncConnection) -> Push:
    """Return the state of push, over all projects."""
    [row] = await (await driver(connection)).fetch(_PUSH)
    return Push({state: row[state] for state in _WEBHOOK_STATES}, row["backlog_age"])


@dataclass(frozen=True, slots=True)
class Database:
    """The database's figures. `latency`: seconds of a round trip; `size`: bytes on its disk.

    `oldest_transaction_age`: seconds; None: no other transaction is open.
    """

    latency: float
    oldest_transaction_age: float | None
    size: int


async def database(connection: AsyncConnection) -> Database:
    """Return the database's figures."""
    link = await driver(connection)
    began = time.perf_counter()
    await link.fetch("select")
    latency = time.perf_counter() - began
    [row] = await link.fetch(_DATABASE)
    return Database(latency, row["oldest"], row["size"])


async def notification_queue(connection: AsyncConnection) -> float:
    """Return how much of the server's queue of notifications is in use, 0 to 1."""
    return float((await connection.execute(text("select pg_notification_queue_usage()"))).scalar_one())


async def oldest_transaction_age(connection: AsyncConnection) -> float:
    """Return the age in seconds of the oldest other transaction in this database, or 0 if there is none."""
    return float((await connection.execute(_OLDEST)).scalar_one())
