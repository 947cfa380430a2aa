"""Connections to PostgreSQL: a small pool for rare statements (SQLAlchemy), held ones for hot statements (asyncpg)."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

import asyncpg
from asyncpg.connect_utils import SessionAttribute
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from service.errors import Unavailable
from service.log import Seldom
from service.store.database.known_types import DriverConnection
from service.store.database.process_counts import once_committed
from service.telemetry import DATABASE_ERRORS

_unavailable = Seldom("database_unavailable")

READ_ONLY = (
    "The database accepts no writes: it is a replica, or its default_transaction_read_only is on. Reads still work; "
    "send anything else again later."
)

DISK_FULL = "The database's disk is full (SQLSTATE 53100). Send the request again once the operator has freed space."
# The disk counts as full for so long after the last refusal. Every process writes something every few seconds.
_DISK_FULL_SECONDS = 15.0
_disk_full_at: deque[float] = deque(maxlen=1)

_SET = "select set_config(name, value, false) from unnest($1::text[], $2::text[]) as own (name, value)"

T = TypeVar("T")

CONNECT_SECONDS = 4.0
POOL = 6
_SETTLE_SECONDS = 0.5
STATEMENT_SECONDS = 5.0

# A generic plan that was made while a table was empty must still be right for a million rows. For statements that only
# look rows up by index, the planner has no other choice with these settings off.
NOT_BY_INDEX = ("enable_seqscan", "enable_bitmapscan", "enable_hashjoin", "enable_mergejoin", "enable_sort")
# The settings that the statements are written for. A database or a role may have defaults that break them.
ISOLATION = "READ COMMITTED"
_OWN = {
    "default_transaction_isolation": ISOLATION.lower(),
    "statement_timeout": "4500",
    "idle_in_transaction_session_timeout": "60000",
    # The hot connections are held for as long as the process lives, idle or not.
    "idle_session_timeout": "0",
    "lock_timeout": "4000",
    "timezone": "UTC",
}
_INDEX_ONLY = {**_OWN, "jit": "off", "plan_cache_mode": "force_generic_plan", **dict.fromkeys(NOT_BY_INDEX, "off")}

# Errors of the connection or the server, not of the statement.
LOST = (
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.DiskFullError,
    asyncpg.QueryCanceledError,
    asyncpg.LockNotAvailableError,
    OSError,
    TimeoutError,
)
# Errors after which the whole statement or transaction is tried once more: the first attempt changed nothing.
AGAIN = (
    asyncpg.InvalidCachedStatementError,
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
)


def create_engine(url: str, *, pooled: bool) -> AsyncEngine:
    """Return the pool for rare statements; `pooled`: a pooler such as PgBouncer is in front of the server."""
    # By this name a claim knows which transactions may still make messages visible (receives.floor), pooled ones too.
    settings = {"application_name": "restante"} | ({} if pooled else {**_OWN, "jit": "off"})
    # Each transaction may get another connection of the pooler's, so statements are not prepared by name or cached.
    opened = partial(_opened_to_read, url, settings, statement_cache_size=0 if pooled else 100)
    engine = create_async_engine(
        "postgresql+asyncpg://",
        # Half of it is for reads that may take long (store/database/reads.py).
        pool_size=POOL,
        # Set at the beginning of each transaction, so that it works behind a pooler, too.
        isolation_level=ISOLATION,
        max_overflow=0,
        pool_timeout=STATEMENT_SECONDS,
        pool_pre_ping=not pooled,
        connect_args=through(opened, prepare=not pooled),
    )
    event.listen(engine.sync_engine, "checkin", _renew_if_read_only)
    return engine


def through(open_connection: Callable[[], Awaitable[asyncpg.Connection]], *, prepare: bool) -> dict[str, Any]:
    """Return the arguments that make SQLAlchemy connect by a function.

    If it were given the URL, it would take it apart, and it does not know `sslmode` and similar parameters.
    """
    unprepared = {"prepared_statement_cache_size": 0, "prepared_statement_name_func": str}
    return {"async_creator_fn": open_connection} | ({} if prepare else unprepared)


async def _opened(url: str, settings: dict[str, str], **options: Any) -> asyncpg.Connection:
    try:
        return await _connected(url, settings, **options)
    except asyncpg.ProtocolViolationError:
        # On opening, PgBouncer accepts no setting but the name. In its session mode settings can be made afterwards.
        name = {"application_name": settings["application_name"]}
        connection = await _connected(url, name, **options)
    try:
        await connection.fetch(_SET, list(settings), list(settings.values()))
    except BaseException:
        connection.terminate()
        raise
    return connection


async def _connected(
    url: str, settings: dict[str, str], *, writable: bool = True, statement_cache_size: int = 100
) -> asyncpg.Connection:
    return await asyncpg.connect(
        url,
        timeout=CONNECT_SECONDS,
        command_timeout=STATEMENT_SECONDS,
        statement_cache_size=statement_cache_size,
        server_settings=settings,
        connection_class=DriverConnection,
        # After a failover a name may still lead to the former primary, where a connection opened then would stay.
        target_session_attrs=SessionAttribute.read_write if writable else SessionAttribute.any,
    )


async def _opened_to_read(url: str, settings: dict[str, str], **options: Any) -> asyncpg.Connection:
    """Connect to a server that accepts writes or, as long as none does, to one that can be read."""
    try:
        return await _opened(url, settings, **options)
    except asyncpg.TargetServerAttributeNotMatched:
        return await _opened(url, settings, writable=False, **options)


def _renew_if_read_only(connection: Any, record: Any) -> None:
    """Make the pool replace a read-only connection: by the next use there may be a server that accepts writes."""
    if connection is not None and is_read_only(connection.driver_connection):
        record.invalidate(soft=True)


def is_read_only(connection: asyncpg.Connection) -> bool:
    """Return whether the server accepts no writes, according to the settings it reports."""
    reported = connection.get_settings()
    return "on" in {getattr(reported, name, "off") for name in ("default_transaction_read_only", "in_hot_standby")}


def unavailable(error: BaseException, **where: str) -> Unavailable:
    """Return the problem for a database that was lost or refuses a request; log it at most once a minute."""
    _unavailable.tell(type(error).__name__, error=str(error), **where)
    if isinstance(error, asyncpg.DiskFullError):
        _disk_full_at.append(time.monotonic())
        return Unavailable(DISK_FULL)
    if isinstance(error, asyncpg.ReadOnlySQLTransactionError | asyncpg.TargetServerAttributeNotMatched):
        return Unavailable(READ_ONLY)
    return Unavailable()


def disk_was_full() -> bool:
    """Return whether the database has recently reported that its disk is full."""
    return bool(_disk_full_at) and time.monotonic() - _disk_full_at[0] < _DISK_FULL_SECONDS


async def connect(
    url: str, name: str, settings: Mapping[str, str] = _OWN, *, writable: bool = True
) -> asyncpg.Connection:
    """Open one connection with this name in pg_stat_activity; `writable`: only to a server that accepts writes."""
    return await _opened(url, {**settings, "application_name": name}, writable=writable)


class Fetches(Protocol):
    """A connection that runs statements: a held one, or the driver's within a transaction of the pool."""

    async def fetch(self, sql: str, *arguments: Any) -> list[asyncpg.Record]:
        """Run one statement."""


class Link:
    """One held connection with its prepared statements, for a single user. It is opened again after it breaks.

    With `reads`, a server that accepts no writes will do for now, but each statement first looks for another one.
    """

    def __init__(self, url: str, name: str, *, reads: bool = False) -> None:
        self._url = url
        self._name = name
        self._reads = reads
        self._connection: asyncpg.Connection | None = None
        self._prepared: dict[str, Any] = {}
        self._in_transaction = False

    async def open(self) -> None:
        """Connect, unless the connection is open."""
        if self._connection is None or self._connection.is_closed():
            self._prepared = {}
            opened = _opened_to_read if self._reads else _opened
            self._connection = await opened(self._url, {**_INDEX_ONLY, "application_name": self._name})

    async def close(self) -> None:
        """Close the connection; drop it if the server does not answer within a second."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                await connection.close(timeout=1)
            except LOST:
                connection.terminate()

    async def fetch(self, sql: str, *arguments: Any) -> list[asyncpg.Record]:
        """Run one statement in a transaction of its own.

        Raises:
            Unavailable: the connection or the server was lost or too slow; whether the statement was run is unknown.
            asyncpg.PostgresError: the statement was refused and did nothing.
        """
        try:
            return await self._fetch(sql, arguments)
        except AGAIN:
            if self._in_transaction:
                raise
            DATABASE_ERRORS.labels("repeated").inc()
            self._prepared = {}
            return await self.fetch_once(sql, arguments)
        except LOST as error:
            raise self._broken(error) from error

    async def fetch_once(self, sql: str, arguments: Sequence[Any]) -> list[asyncpg.Record]:
        """Run a statement without trying again."""
        try:
            return await self._fetch(sql, arguments)
        except (*LOST, *AGAIN) as error:
            raise self._broken(error) from error

    async def atomically(self, work: Callable[[], Awaitable[T]]) -> T:
        """Run several statements as one transaction, which is tried once more if the database asks for that.

        Within another transaction they become part of it.

        Raises:
            Unavailable: as `fetch`.
        """
        if self._in_transaction:
            return await work()
        try:
            return await self._atomically(work)
        except AGAIN:
            DATABASE_ERRORS.labels("repeated").inc()
            self._prepared = {}
        try:
            return await self._atomically(work)
        except AGAIN as error:
            raise self._broken(error) from error

    async def _atomically(self, work: Callable[[], Awaitable[T]]) -> T:
        try:
            await self.open()
            assert self._connection is not None  # noqa: S101 - open() returns with a connection or raises
            self._in_transaction = True
            with once_committed():
                async with self._connection.transaction():
                    return await work()
        except LOST as error:
            raise self._broken(error) from error
        finally:
            self._in_transaction = False

    async def _fetch(self, sql: str, arguments: Sequence[Any]) -> list[asyncpg.Record]:
        if self._reads and self._connection is not None and is_read_only(self._connection):
            await self.close()
        statement = self._prepared.get(sql)
        if statement is None or self._connection is None or self._connection.is_closed():
            # The rest of a broken transaction must fail: on a new connection it would be half a transaction.
            if not self._in_transaction:
                await self.open()
            assert self._connection is not None  # noqa: S101 - open() returns with a connection or raises
            statement = self._prepared[sql] = await self._connection.prepare(sql)
        return await statement.fetch(*arguments)

    def _broken(self, error: BaseException) -> Unavailable:
        """Drop the connection, whose further results would be of no use; return the problem."""
        DATABASE_ERRORS.labels("lost").inc()
        connection, self._connection = self._connection, None
        self._prepared = {}
        if connection is not None:
            with contextlib.suppress(*LOST):
                connection.terminate()
        return unavailable(error, connection=self._name)


async def settle_down(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait until it has ended. Cancel again if the driver took the cancellation for a failure."""
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=_SETTLE_SECONDS)
