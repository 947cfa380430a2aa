"""One transaction of what is rare, on the pool: bounded in time, finished even when nobody waits for it any more."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from service.errors import Unavailable
from service.store.connections import AGAIN, LOST, NOT_BY_INDEX, Fetches
from service.store.counting import once_committed
from service.telemetry import DATABASE_ERRORS

_log = structlog.get_logger()

# Under the five seconds in which every request is answered. The server's own limits end the statement soon after.
DEADLINE_SECONDS = 4.7

_SOON = "select set_config('synchronous_commit', 'off', true)"
_BY_INDEX = "select set_config(name, 'off', true) from unnest($1::text[]) as name"

T = TypeVar("T")
Work = Callable[[AsyncConnection], Awaitable[T]]

_LAST_SECONDS = 1.0

# Whoever asked may be gone; a statement that is cancelled halfway would keep its connection and locks on the server.
_running: set[asyncio.Task[Any]] = set()


async def transaction(engine: AsyncEngine, work: Work[T]) -> T:
    """Run `work` in a transaction and commit; once more from the beginning when the database asks for that.

    Raises:
        Unavailable: the database is out of reach or too slow: done or not, nobody knows.
    """
    task = asyncio.get_running_loop().create_task(_attempts(engine, work))
    _running.add(task)
    task.add_done_callback(_let_go)
    done, _ = await asyncio.wait({task}, timeout=DEADLINE_SECONDS)
    if not done:
        raise Unavailable
    return task.result()


async def finished() -> None:
    """Wait a moment for what is under way though nobody waits for it: its connection can then be closed in order."""
    loop = asyncio.get_running_loop()
    if mine := [task for task in _running if task.get_loop() is loop]:
        await asyncio.wait(mine, timeout=_LAST_SECONDS)


def _let_go(task: asyncio.Task[Any]) -> None:
    """Forget a task that has ended; its error was seen by whoever waited, or concerns nobody."""
    _running.discard(task)
    if not task.cancelled():
        task.exception()


async def _attempts(engine: AsyncEngine, work: Work[T]) -> T:
    try:
        return await _attempt(engine, work)
    except (DBAPIError, *AGAIN) as error:
        if not isinstance(cause(error), AGAIN):
            raise
        DATABASE_ERRORS.labels("repeated").inc()
    try:
        return await _attempt(engine, work)
    except (DBAPIError, *AGAIN) as error:
        if isinstance(cause(error), AGAIN):
            raise Unavailable from error
        raise


async def _attempt(engine: AsyncEngine, work: Work[T]) -> T:
    try:
        with once_committed():
            async with engine.begin() as connection:
                return await work(connection)
    except (*LOST, PoolTimeout) as error:
        raise _lost(error) from error
    except DBAPIError as error:
        # Without a statement it is connecting or committing that failed, whatever the reason.
        if error.statement is None or isinstance(cause(error), LOST):
            raise _lost(error) from error
        raise


def _lost(error: BaseException) -> Unavailable:
    DATABASE_ERRORS.labels("lost").inc()
    _log.warning("database_unavailable", error=f"{type(error).__name__}: {error}")
    return Unavailable()


def cause(error: BaseException) -> BaseException:
    """Return the driver's own error behind SQLAlchemy's."""
    if not isinstance(error, DBAPIError):
        return error
    return (error.orig.__cause__ if error.orig is not None else None) or error


async def driver(connection: AsyncConnection) -> Fetches:
    """Return the driver's own connection, in the transaction that is under way, for what hot statements share."""
    raw = await connection.get_raw_connection()
    fetches: Fetches | None = raw.driver_connection
    assert fetches is not None  # noqa: S101 - it is open
    return fetches


async def by_index(connection: AsyncConnection) -> None:
    """Keep the planner from reading whole tables or sorting whole queues, whatever it believes of their size."""
    await connection.exec_driver_sql(_BY_INDEX, (list(NOT_BY_INDEX),))


async def commit_soon(connection: AsyncConnection) -> None:
    """Let the commit not wait for the disk: for what is worth less than that when the server crashes just then."""
    await connection.exec_driver_sql(_SOON)
