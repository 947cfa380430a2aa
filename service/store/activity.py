"""What was done with messages in the last hour: written down by every process, in steps of ten seconds."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import asyncpg
from sqlalchemy import CursorResult
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from service.store import counting
from service.store.counting import Counts
from service.store.statements import STATEMENTS
from service.store.transactions import by_index, commit_soon, driver, transaction

# The length of a step; whatever is asked for is made up of whole ones.
STEP = timedelta(seconds=10)
KEPT = timedelta(hours=1)
BATCH = 10_000

_WRITE = STATEMENTS["activity.write"]
_REMOVE_OLD = (STATEMENTS["activity.remove_old_of_queues"], STATEMENTS["activity.remove_old_of_projects"])
_START = STATEMENTS["activity.start"]
_OF_QUEUES = STATEMENTS["activity.of_queues"]
_OF_PROJECT = STATEMENTS["activity.of_project"]

_MOST = 10**9


@dataclass(frozen=True, slots=True)
class Window:
    """So many buckets of this length, of which the last one is under way."""

    resolution: timedelta
    buckets: int


@dataclass(frozen=True, slots=True)
class Series:
    """What was done in each bucket of a window, the oldest first. `growth`: messages that came in minus what left."""

    sent: list[int]
    received: list[int]
    deleted: list[int]
    dead_lettered: list[int]
    growth: list[int]

    def totals(self, now: int) -> list[int]:
        """Return how many messages there were at the end of each bucket, when there are so many now.

        What other processes have not written down yet may make that less than none: it is shown as none.
        """
        totals = []
        for growth in reversed(self.growth):
            totals.append(max(0, now))
            now -= growth
        return totals[::-1]


async def write(engine: AsyncEngine) -> None:
    """Write down what this process has counted; what cannot be written is kept for the next time."""
    counted = counting.take()
    rows = [_row(queue_id, counted[queue_id]) for queue_id in sorted(counted)]
    if not rows:
        return

    async def work(connection: AsyncConnection) -> None:
        await by_index(connection)
        await commit_soon(connection)
        await (await driver(connection)).fetch(_WRITE, *map(list, zip(*rows, strict=True)))

    try:
        await transaction(engine, work)
    except Exception:
        # Done or not, nobody knows; mostly it was not. When this is cancelled it is still under way, and is done.
        counting.add(counted)
        raise


def _row(queue_id: int, counts: Counts) -> tuple[int, ...]:
    """Return the parameters of `activity.write`, in their order, within what the columns hold."""
    values = (getattr(counts, name) for name in Counts.__struct_fields__)
    return queue_id, *(max(-_MOST, min(value, _MOST)) for value in values)


async def remove_old(engine: AsyncEngine) -> bool:
    """Remove a batch of what nobody can ask for any more; tell whether there may be more."""

    async def work(connection: AsyncConnection) -> bool:
        await by_index(connection)
        results: list[CursorResult[Any]] = [await connection.exec_driver_sql(sql, (BATCH,)) for sql in _REMOVE_OLD]
        return any(result.rowcount == BATCH for result in results)

    return await transaction(engine, work)


async def start(connection: AsyncConnection, window: Window) -> datetime:
    """Return when a window's first bucket begins."""
    [row] = await (await driver(connection)).fetch(_START, window.resolution, window.buckets)
    began: datetime = row["start"]
    return began


async def of_queues(
    connection: AsyncConnection, queue_ids: Sequence[int], window: Window, began: datetime
) -> list[Series]:
    """Return what was done in each of these queues, in a window that began then."""
    await by_index(connection)
    rows = await (await driver(connection)).fetch(_OF_QUEUES, queue_ids, window.resolution, window.buckets, began)
    return [_series(row) for row in rows]


async def of_project(connection: AsyncConnection, project_id: int, window: Window, began: datetime) -> Series:
    """Return what was done in all queues of a project, in a window that began then."""
    await by_index(connection)
    [row] = await (await driver(connection)).fetch(_OF_PROJECT, project_id, window.resolution, window.buckets, began)
    return _series(row)


def _series(row: asyncpg.Record) -> Series:
    return Series(**{name: row[name] for name in Series.__dataclass_fields__})
