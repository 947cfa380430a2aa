"""Messages whose last permitted delivery has ended: a bounded batch at a time to their dead-letter queues.

And what those that came there have in common.
"""

import asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from service.model import Queue
from service.store.moves import Departure, first_bytes, move_free
from service.store.ready import Ready
from service.store.statements import STATEMENTS
from service.store.transactions import by_index, driver, transaction

BATCH = 1000
MARKED_BATCH = 10_000
# What the groups of a dead-letter queue are made of, and how many there are, at most.
LOOKED_AT = 10_000
MOST_GROUPS = 100

_EXHAUSTED = STATEMENTS["moves.exhausted"]
_SPARE = STATEMENTS["moves.spare"]
_MARK = STATEMENTS["moves.mark"]
_GROUPS = STATEMENTS["dead_letters.groups"]


async def move_exhausted(engine: AsyncEngine, ready: Ready) -> int:
    """Move a batch to the dead-letter queues; those that may be delivered again by now stay. Return how many it saw."""

    async def work(connection: AsyncConnection) -> int:
        await by_index(connection)
        link = await driver(connection)
        found = await link.fetch(_EXHAUSTED, BATCH)
        spared = [(row["number"], row["id"]) for row in found if row["spared"]]
        if spared:
            await link.fetch(_SPARE, [number for number, _ in spared], [message_id for _, message_id in spared])
        exhausted = [
            Departure(row["number"], row["id"], row["fifo"], "max_receives")
            for row in first_bytes([row for row in found if not row["spared"]])
        ]
        if exhausted:
            await move_free(link, exhausted, ready)
        return len(found)

    return await transaction(engine, work)


async def mark_exhausted(engine: AsyncEngine) -> int:
    """Go through a batch of a queue whose rules have changed, for what is exhausted now; return how many it saw."""

    async def work(connection: AsyncConnection) -> int:
        await by_index(connection)
        return int((await connection.exec_driver_sql(_MARK, (MARKED_BATCH,))).scalar_one())

    return await transaction(engine, work)


async def groups(connection: AsyncConnection, queue: Queue) -> tuple[list[asyncpg.Record], bool]:
    """Return what the newest dead letters of a queue have in common, the commonest first, and whether that is all."""
    await by_index(connection)
    rows = await (await driver(connection)).fetch(_GROUPS, queue.number, LOOKED_AT, MOST_GROUPS)
    return rows[:MOST_GROUPS], len(rows) <= MOST_GROUPS and all(row["complete"] for row in rows[:1])
