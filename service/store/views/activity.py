"""Activity: what was done with messages in the last hour, as every process stores it in steps of ten seconds."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import asyncpg
from sqlalchemy import CursorResult
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from service.store.database import process_counts
from service.store.database.process_counts import ProcessCounts
from service.store.database.statements import STATEMENTS
from service.store.database.transaction import by_index, commit_soon, driver, transaction

# The length of a step; buckets consist of whole steps.
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
    """`buckets` buckets of the length `resolution`, of which the last is the current one."""

    resolution: timedelta
    buckets: int


@dataclass(frozen=True, slots=True)
class Series:
    """Counts for each bucket of a window, oldest first. `growth`: messages that came minus those that left."""

    sent: list[int]
    received: list[int]
    deleted: list[int]
    dead_lettered: list[int]
    growth: list[int]

    def totals(self, now: int) -> list[int]:
        """Return how many messages there were at the end of each bucket, if there are `now` at present.

        Counts that other processes have not stored yet may make a total negative; it is shown as 0.
        """
        totals = []
        for growth in reversed(self.growth):
            totals.append(max(0, now))
            now -= growth
        return totals[::-1]


async def write(engine: AsyncEngine) -> None:
    """Store what this process has counted; counts that cannot be stored are kept for the next time."""
    counted = process_counts.take()
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
        # It is unknown whether they were stored; mostly they were not. A cancellation is no Exception: then the
        # transaction goes on, and stores them.
        process_counts.add(counted)
        raise


def _row(queue_id: int, counts: ProcessCounts) -> tuple[int, ...]:
    """Return the parameters of `activity.write`, in their order, within the range of the columns."""
    values = (getattr(counts, name) for name in ProcessCounts.__struct_fields__)
    return queue_id, *(max(-_MOST, min(value, _MOST)) for value in values)


async def remove_old(engine: AsyncEngine) -> bool:
    """Remove a batch of counts that are too old to be asked for; return whether there may be more."""

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
    """Return the activity of each of these queues, in a window that began at `began`."""
    await by_index(connection)
    rows = await (await driver(connection)).fetch(_OF_QUEUES, queue_ids, window.resolution, window.buckets, began)
    return [_series(row) for row in rows]


async def of_project(connection: AsyncConnection, project_id: int, window: Window, began: datetime) -> Series:
    """Return the activity of all queues of a project, in a window that began at `began`."""
    await by_index(connection)
    [row] = await (await driver(connection)).fetch(_OF_PROJECT, project_id, window.resolution, window.buckets, began)
    return _series(row)


def _series(row: asyncpg.Record) -> Series:
    return Series(**{name: row[name] for name in Series.__dataclass_fields__})
