"""Counts of the messages that queues hold."""

from collections.abc import Sequence
from typing import Any

import asyncpg
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from service.errors import Unavailable
from service.model import Queue, QueueStats
from service.store.database.statements import STATEMENTS
from service.store.database.tables import message
from service.store.database.transaction import by_index, cause, transaction
from service.store.views.long_queues import Tallies

EXACT = 10_000

_COUNT = STATEMENTS["stats.count"]
_PATIENCE = "select set_config('statement_timeout', '2000', true)"


async def of(engine: AsyncEngine, tallies: Tallies, queues: Sequence[Queue]) -> list[QueueStats]:
    """Return the counts of these queues, in their order: exact up to EXACT messages, otherwise as last tallied."""
    tallied = {queue.number: stats for queue in queues if (stats := tallies.peek(queue.number)) is not None}
    # A queue above this length cannot be emptied within the age of a tally, so it need not be counted here.
    counted = [queue for queue in queues if queue.number not in tallied or tallied[queue.number].total < 10 * EXACT]

    async def work(connection: AsyncConnection) -> dict[int, QueueStats]:
        await by_index(connection)
        asked = ([queue.number for queue in counted], [queue.config.retention for queue in counted], EXACT)
        rows = await connection.exec_driver_sql(_COUNT, asked)
        return {
            queue.number: await _stats(connection, tallies, queue, row)
            for queue, row in zip(counted, rows.all(), strict=True)
        }

    found = await transaction(engine, work) if counted else {}
    return [found.get(queue.number) or tallied[queue.number] for queue in queues]


async def _stats(connection: AsyncConnection, tallies: Tallies, queue: Queue, row: Any) -> QueueStats:
    """Return a queue's exact counts; for a longer queue its tally or, before there is one, the planner's estimate."""
    if row.seen <= EXACT:
        return QueueStats(row.ready, row.delayed, row.leased, row.oldest_ready_age)
    tallied = tallies.ask(queue.number)
    if tallied is not None:
        return tallied
    ready = max(EXACT + 1, await _estimate(connection, queue.number)) - row.delayed - row.leased
    return QueueStats(ready, row.delayed, row.leased, row.oldest_ready_age, approximate=True)


async def messages_under(engine: AsyncEngine, number: int) -> int:
    """Return how many messages a queue number has; estimated if counting takes more than two seconds."""
    counted = await count_within_patience(engine, [message.c.queue_number == number])
    if counted is not None:
        return counted
    return await transaction(engine, lambda connection: _estimate(connection, number))


async def count_within_patience(engine: AsyncEngine, conditions: Sequence[ColumnElement[bool]]) -> int | None:
    """Return how many messages meet all conditions, or None if counting takes more than two seconds.

    Raises Unavailable.
    """
    statement = select(func.count()).select_from(message).where(*conditions)

    async def count(connection: AsyncConnection) -> int:
        await by_index(connection)
        await connection.exec_driver_sql(_PATIENCE)
        return int((await connection.execute(statement)).scalar_one())

    try:
        return await transaction(engine, count)
    except Unavailable as error:
        if error.__cause__ is None or not isinstance(cause(error.__cause__), asyncpg.QueryCanceledError):
            raise
        return None


async def _estimate(connection: AsyncConnection, number: int) -> int:
    """Return the planner's estimate, which does not include changes since the table was last analysed."""
    plan = await connection.exec_driver_sql(
        f"explain (format json) select from message where queue_number = {number:d}"
    )
    return int(plan.scalar_one()[0]["Plan"]["Plan Rows"])
