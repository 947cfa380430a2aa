"""Dead letters: moving messages whose last delivery has ended, a batch at a time, and grouping those in a queue."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from service.model import Queue
from service.store.database.ready import Ready
from service.store.database.statements import STATEMENTS
from service.store.database.transaction import by_index, driver, transaction
from service.store.messaging.moves import Departure, first_bytes, move_free

BATCH = 1000
MARKED_BATCH = 10_000
# How many dead letters are grouped, and how many groups are returned, at most.
LOOKED_AT = 10_000
MOST_GROUPS = 100

_EXHAUSTED = STATEMENTS["dead_letters.exhausted"]
_SPARE = STATEMENTS["dead_letters.spare"]
_MARK = STATEMENTS["dead_letters.mark"]
_GROUPS = STATEMENTS["dead_letters.groups"]


async def move_exhausted(engine: AsyncEngine, ready: Ready) -> int:
    """Move a batch of exhausted messages to their dead-letter queues; those that may be delivered again by now stay.

    Returns how many messages it found, or 0 if other transactions hold all of them.
    """

    async def work(connection: AsyncConnection) -> int:
        await by_index(connection)
        link = await driver(connection)
        found = await link.fetch(_EXHAUSTED, BATCH)
        spared = [(row["number"], row["id"]) for row in found if row["spared"]]
        if spared:
            await link.fetch(_SPARE, [number for number, _ in spared], [message_id for _, message_id in spared])
        exhausted = [
            Departure(row["number"], row["id"], row["fifo"], row["version"], "max_receives")
            for row in first_bytes([row for row in found if not row["spared"]])
        ]
        moved = await move_free(link, exhausted, ready) if exhausted else []
        return len(found) if moved or spared else 0

    return await transaction(engine, work)


async def mark_exhausted(engine: AsyncEngine) -> int:
    """Mark the exhausted messages in a batch of a queue whose rules have changed; return how many it looked at."""

    async def work(connection: AsyncConnection) -> int:
        await by_index(connection)
        return int((await connection.exec_driver_sql(_MARK, (MARKED_BATCH,))).scalar_one())

    return await transaction(engine, work)


class DeadLetterGroup(NamedTuple):
    """Dead letters of one source, reason and folded error; `last_error` and `message_id` are the newest one's."""

    source_queue: str
    reason: str
    error: str | None
    messages: int
    oldest_at: datetime
    newest_at: datetime
    message_id: UUID
    last_error: str | None


async def groups(connection: AsyncConnection, queue: Queue, source: str | None) -> tuple[list[DeadLetterGroup], bool]:
    """Return the groups of a queue's newest dead letters, largest first, and whether that is all.

    `source`: only dead letters that came from this queue.
    """
    await by_index(connection)
    rows = await (await driver(connection)).fetch(_GROUPS, queue.number, LOOKED_AT, MOST_GROUPS, source)
    found = [DeadLetterGroup(*row[:-1]) for row in rows[:MOST_GROUPS]]
    return found, len(rows) <= MOST_GROUPS and all(row["complete"] for row in rows[:1])
