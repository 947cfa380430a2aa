"""Connections to PostgreSQL: a small pool for what is rare (SQLAlchemy), held ones for what is hot (asyncpg)."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

import asyncpg
import structlog
from asyncpg.connect_utils import SessionAttribute
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from service.errors import Unavailable
from service.store.counting import once_committed
from service.telemetry import DATABASE_ERRORS

_log = structlog.get_logger()

T = TypeVar("T")

CONNECT_SECONDS = 4.0
_SETTLE_SECONDS = 0.5
STATEMENT_SECONDS = 5.0

# A generic plan made while a table was empty must still be the right one at a million rows. For statements that only
# ever look things up by index, these leave the planner no other choice.
NOT_BY_INDEX = ("enable_seqscan", "enable_bitmapscan", "enable_hashjoin", "enable_mergejoin", "enable_sort")
_INDEX_ONLY = {"jit": "off", "plan_cache_mode": "force_generic_plan", **dict.fromkeys(NOT_BY_INDEX, "off")}
_BOUNDED = {
    "statement_timeout": "4500",
    "idle_in_transaction_session_timeout": "60000",
    "lock_timeout": "4000",
    "timezone": "UTC",
}

# What says that the connection or the server is gone, not that the statement is wrong.
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
# What a second try of the whole statement settles: nothing of the first one was kept.
AGAIN = (
    asyncpg.InvalidCachedStatementError,
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
)


def create_engine(url: str, *, pooled: bool) -> AsyncEngine:
    """Return the pool for what is rare; `pooled` when a pooler such as PgBouncer stands before the server."""
    # By its name a claim knows whose transactions may still make messages visible (messages.floor), a pooler's too.
    settings = {"application_name": "restante"} | ({} if pooled else {**_BOUNDED, "jit": "off"})
    # Each transaction may have another connection of the pooler's: nothing is prepared under a name, nothing kept.
    opened = partial(_opened, url, settings, statement_cache_size=0 if pooled else 100)
    return create_async_engine(
        "postgresql+asyncpg://",
        pool_size=4,
        max_overflow=0,
        pool_timeout=STATEMENT_SECONDS,
        pool_pre_ping=not pooled,
        connect_args=through(opened, prepare=not pooled),
    )


def through(open_connection: Callable[[], Awaitable[asyncpg.Connection]], *, prepare: bool) -> dict[str, Any]:
    """Return what makes SQLAlchemy connect so. It would take a URL apart, and does not know `sslmode` and its like."""
    unprepared = {"prepared_statement_cache_size": 0, "prepared_statement_name_func": str}
    return {"async_creator_fn": open_connection} | ({} if prepare else unprepared)


async def _opened(url: str, settings: dict[str, str], *, statement_cache_size: int = 100) -> asyncpg.Connection:
    return await asyncpg.connect(
        url,
        timeout=CONNECT_SECONDS,
        command_timeout=STATEMENT_SECONDS,
        statement_cache_size=statement_cache_size,
        server_settings=settings,
        # After a failover a name may still lead to the former primary: what is opened meanwhile would stay there.
        target_session_attrs=SessionAttribute.read_write,
    )


async def connect(url: str, name: str, **settings: str) -> asyncpg.Connection:
    """Open one connection that shows under this name in pg_stat_activity."""
    return await _opened(url, {**_BOUNDED, **settings, "application_name": name})


class Fetches(Protocol):
    """What runs statements: a held connection, or the driver's own one within a transaction of the pool."""

    async def fetch(self, sql: str, *arguments: Any) -> list[asyncpg.Record]:
        """Run one statement."""


class Link:
    """One held connection with its prepared statements. It is opened anew when it breaks; nobody else uses it."""

    def __init__(self, url: str, name: str) -> None:
        self._url = url
        self._name = name
        self._connection: asyncpg.Connection | None = None
        self._prepared: dict[str, Any] = {}
        self._in_transaction = False

    async def open(self) -> None:
        """Connect, unless the connection stands."""
        if self._connection is None or self._connection.is_closed():
            self._prepared = {}
            self._connection = await connect(self._url, self._name, **_INDEX_ONLY)

    async def close(self) -> None:
        """End the connection, if need be without a word."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                await connection.close(timeout=1)
            except LOST:
                connection.terminate()

    async def fetch(self, sql: str, *arguments: Any) -> list[asyncpg.Record]:
        """Run one statement in a transaction of its own.

        Raises:
            Unavailable: the connection or server was lost or too slow: done or not, nobody knows.
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
        """Run a statement that has no further try."""
        try:
            return await self._fetch(sql, arguments)
        except (*LOST, *AGAIN) as error:
            raise self._broken(error) from error

    async def atomically(self, work: Callable[[], Awaitable[T]]) -> T:
        """Run several statements as one transaction; once more from the beginning when the database asks for that.

        Within another one it is a part of that.

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
        statement = self._prepared.get(sql)
        if statement is None or self._connection is None or self._connection.is_closed():
            # What is left of a broken transaction fails; on a new connection it would be half of it.
            if not self._in_transaction:
                await self.open()
            assert self._connection is not None  # noqa: S101 - open() returns with a connection or raises
            statement = self._prepared[sql] = await self._connection.prepare(sql)
        return await statement.fetch(*arguments)

    def _broken(self, error: BaseException) -> Unavailable:
        """Drop the connection: whatever it still does, its answers are of no use to anybody."""
        DATABASE_ERRORS.labels("lost").inc()
        _log.warning("database_unavailable", connection=self._name, error=f"{type(error).__name__}: {error}")
        connection, self._connection = self._connection, None
        self._prepared = {}
        if connection is not None:
            with contextlib.suppress(*LOST):
                connection.terminate()
        return Unavailable()


async def settle_down(task: asyncio.Task[Any]) -> None:
    """Cancel a task of ours and wait until it has ended; again where the driver took the cancellation for a failure."""
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=_SETTLE_SECONDS)
