"""Transactions on the pool, for rare statements: bounded in time, and finished even if their caller has gone."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from service.errors import Unavailable
from service.store.database import patience
from service.store.database.connections import AGAIN, LOST, NOT_BY_INDEX, Fetches, unavailable
from service.store.database.process_counts import once_committed
from service.telemetry import DATABASE_ERRORS

# Less than the five seconds in which every request is answered. The server's own limits end the statement soon after.
DEADLINE_SECONDS = 4.7

_SOON = "select set_config('synchronous_commit', 'off', true)"
_BY_INDEX = "select set_config(name, 'off', true) from unnest($1::text[]) as name"

T = TypeVar("T")
# Code in a transaction is given the connection; only the store uses it as anything but an opaque value.
Connection = AsyncConnection
Work = Callable[[Connection], Awaitable[T]]

_LAST_SECONDS = 1.0


class Collided(Exception):  # noqa: N818 - it says what happened
    """Another transaction created or removed what this one has just looked at, so this one has to begin again."""


# Transactions run in tasks of their own and are not cancelled with their caller: a statement that is cancelled halfway
# would keep its connection and locks on the server.
_running: set[asyncio.Task[Any]] = set()


async def transaction(engine: AsyncEngine, work: Work[T]) -> T:
    """Run `work` in a transaction and commit; it is tried once more if the database asks for that.

    If it raises Collided, it is run again, as often as the time of the request allows.

    Raises:
        Unavailable: the database is unreachable or too slow; whether the transaction was done is unknown.
    """
    given_up = asyncio.Event()

    async def wanted(connection: AsyncConnection) -> T:
        # Work that has not begun when its request is answered with 503 must not be done afterwards.
        if given_up.is_set():
            raise Unavailable
        return await work(connection)

    task = asyncio.get_running_loop().create_task(_until_alone(engine, wanted))
    _running.add(task)
    task.add_done_callback(_let_go)
    done, _ = await asyncio.wait({task}, timeout=patience.seconds(DEADLINE_SECONDS))
    if not done:
        given_up.set()
        raise Unavailable
    return task.result()


async def finished() -> None:
    """Wait up to a second for transactions whose callers have gone, so that connections can be closed in order."""
    loop = asyncio.get_running_loop()
    if mine := [task for task in _running if task.get_loop() is loop]:
        await asyncio.wait(mine, timeout=_LAST_SECONDS)


def _let_go(task: asyncio.Task[Any]) -> None:
    """Forget a task that has ended. Its error was raised to its caller, unless that has gone."""
    _running.discard(task)
    if not task.cancelled():
        task.exception()


async def _until_alone(engine: AsyncEngine, work: Work[T]) -> T:
    """Begin again as often as other transactions collide with this one; the caller's deadline bounds that."""
    while True:
        with contextlib.suppress(Collided):
            return await _attempts(engine, work)


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
        # Without a statement, connecting or committing has failed, for whatever reason.
        if error.statement is None or isinstance(cause(error), LOST):
            raise _lost(error) from error
        raise


def _lost(error: BaseException) -> Unavailable:
    DATABASE_ERRORS.labels("lost").inc()
    return unavailable(cause(error))


def database_lost(error: BaseException) -> Unavailable | None:
    """Return the problem for an error (see `cause`) that means that the database is unavailable; None for any other."""
    return unavailable(error) if isinstance(error, (*LOST, *AGAIN, PoolTimeout)) else None


def is_database_error(error: BaseException) -> bool:
    """Return whether the database itself reported the error."""
    return isinstance(error, asyncpg.PostgresError)


def cause(error: BaseException) -> BaseException:
    """Return the driver's error that an error of SQLAlchemy wraps."""
    if not isinstance(error, DBAPIError):
        return error
    return (error.orig.__cause__ if error.orig is not None else None) or error


async def driver(connection: AsyncConnection) -> Fetches:
    """Return the driver's connection within the current transaction, for statements that held connections share."""
    fetches: asyncpg.Connection | None = (await connection.get_raw_connection()).driver_connection
    assert fetches is not None  # noqa: S101 - it is open
    if not fetches.is_in_transaction():
        # SQLAlchemy begins the transaction only with its own first statement.
        await connection.exec_driver_sql("select")
    return fetches


async def by_index(connection: AsyncConnection) -> None:
    """Keep the planner from reading whole tables or sorting whole queues, whatever size it estimates."""
    await connection.exec_driver_sql(_BY_INDEX, (list(NOT_BY_INDEX),))


async def commit_soon(connection: AsyncConnection) -> None:
    """Make the commit not wait for the disk, for changes that may be lost if the server crashes at that moment."""
    await connection.exec_driver_sql(_SOON)
