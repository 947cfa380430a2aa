"""Deleting queues that were not used for longer than their `expires_after`."""

from datetime import timedelta

import asyncpg
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from service.model import Queue
from service.store.database.statements import STATEMENTS
from service.store.database.tables import queue
from service.store.database.transaction import by_index, driver, transaction
from service.store.resources import queues

BATCH = 500
# Added to `expires_after`, because processes store their counts with a delay of a few seconds.
MARGIN = timedelta(seconds=30)

_LOOK = STATEMENTS["unused.look"]


async def look(engine: AsyncEngine) -> tuple[list[tuple[int, int]], bool]:
    """Return the ids of unused queues, each with its project's id, and whether there may be more to look at."""
    looked = await transaction(engine, lambda connection: _look(connection, None))
    return [(row["id"], row["project_id"]) for row in looked if row["is_unused"]], len(looked) == BATCH


async def remove(engine: AsyncEngine, queue_id: int, project_id: int) -> Queue | None:
    """Delete a queue that is still unused and not another's dead-letter queue; return it, or None if it stays."""

    async def work(connection: AsyncConnection) -> Queue | None:
        await queues.lock_dead_letters(connection, project_id)
        locked = select(queue).where(queue.c.id == queue_id).with_for_update(key_share=True)
        row = (await connection.execute(locked)).first()
        if row is None or await queues.that_dead_letter_to(connection, project_id, row.name):
            return None
        if not any(seen["is_unused"] for seen in await _look(connection, queue_id)):
            return None
        found = queues.loaded(row)
        await queues.remove(connection, found)
        return found

    return await transaction(engine, work)


async def _look(connection: AsyncConnection, queue_id: int | None) -> list[asyncpg.Record]:
    await by_index(connection)
    return await (await driver(connection)).fetch(_LOOK, BATCH, queue_id, MARGIN)
