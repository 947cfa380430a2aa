"""Whether the database is as the service needs it."""

import time
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.statements import STATEMENTS
from service.store.transactions import driver

_PUSH = STATEMENTS["push.state"]
_WEBHOOK_STATES = ("active", "paused", "circuit_open", "disabled")
# Of the other transactions in this database; null: there is none.
_OLDEST_AGE = """(
    select extract(epoch from clock_timestamp() - min(xact_start))::float8
    from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid()
)"""
_OLDEST = text(f"select coalesce({_OLDEST_AGE}, 0)")
_DATABASE = f"select {_OLDEST_AGE} as oldest, pg_database_size(current_database()) as size"


async def revision(connection: AsyncConnection) -> str | None:
    """Return the revision of the schema."""
    found = await connection.execute(text("select version_num from alembic_version"))
    return found.scalar_one_or_none()


@dataclass(frozen=True, slots=True)
class Push:
    """How push is: webhooks by state, and the seconds that the message has waited that waits longest."""

    webhooks: dict[str, int]
    backlog_age: float


async def push(connection: AsyncConnection) -> Push:
    """Return how push is, over all projects."""
    [row] = await (await driver(connection)).fetch(_PUSH)
    return Push({state: row[state] for state in _WEBHOOK_STATES}, row["backlog_age"])


@dataclass(frozen=True, slots=True)
class Database:
    """The database as a user notices it. `latency`: seconds of a round trip; `size`: octets on its disk.

    `oldest_transaction_age`: seconds; None: no other transaction is open.
    """

    latency: float
    oldest_transaction_age: float | None
    size: int


async def database(connection: AsyncConnection) -> Database:
    """Return how the database is."""
    link = await driver(connection)
    began = time.perf_counter()
    await link.fetch("select")
    latency = time.perf_counter() - began
    [row] = await link.fetch(_DATABASE)
    return Database(latency, row["oldest"], row["size"])


async def oldest_transaction_age(connection: AsyncConnection) -> float:
    """Return the age in seconds of the oldest transaction that is open in this database."""
    return float((await connection.execute(_OLDEST)).scalar_one())
