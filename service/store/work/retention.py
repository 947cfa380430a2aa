"""Removing expired messages, a batch at a time."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from service.store.database.clock import EPOCH, MICROSECOND
from service.store.database.identifiers import sent_at
from service.store.database.ready import Ready
from service.store.database.statements import STATEMENTS
from service.store.database.transaction import by_index, driver, transaction
from service.store.messaging.moves import Departure, first_bytes, move_free

BATCH = 1000

_QUEUES = STATEMENTS["retention.queues"]
_LOOK = STATEMENTS["retention.look"]
_WAITING = STATEMENTS["retention.expire_waiting"]
_RETURNED = STATEMENTS["retention.expire_returned"]
_MOVED = STATEMENTS["retention.expire_moved"]
_KEPT = STATEMENTS["retention.kept"]
_OWN = STATEMENTS["retention.expire_own"]

# A transaction that began with an older time may commit this much later.
SLACK = timedelta(seconds=6)
NEVER = datetime.max.replace(tzinfo=UTC)
FIRST = UUID(int=0)


@dataclass(slots=True)
class Watch:
    """The state of a queue between two looks.

    Messages are looked at in two orders: by when they become visible, from `low_visible_at` on, for those that were not
    leased since; and by when they were sent, for the rest. In the second order, all messages before `passed_id` were
    looked at. From `kept_id` on some of them were kept, because they are delayed or leased; none of these expires
    before `kept_until`.
    """

    number: int
    changed_at: datetime
    due: datetime = EPOCH
    low_visible_at: datetime = EPOCH
    passed_id: UUID = FIRST
    kept_id: UUID = FIRST
    kept_until: datetime = NEVER
    rest_until: datetime = EPOCH


@dataclass(frozen=True, slots=True)
class Seen:
    """The result of looking at a queue: when the first message may expire, by each order."""

    number: int
    retention: timedelta
    waiting_due: datetime
    returned_due: datetime
    moved_due: datetime


async def queues(engine: AsyncEngine, since: datetime) -> list[tuple[int, datetime]]:
    """Return the number and the time of change of queues with a retention that were changed since `since`."""
    rows = await _run(engine, _QUEUES, (since,))
    return [(row.number, row.updated_at) for row in rows]


async def look(engine: AsyncEngine, watches: Sequence[Watch]) -> list[Seen]:
    """Return when the first message of each queue may expire; queues without a retention by now are missing."""
    numbers = [watch.number for watch in watches]
    lows = [watch.low_visible_at for watch in watches]
    return [_seen(row) for row in await _run(engine, _LOOK, (numbers, lows, [watch.passed_id for watch in watches]))]


def _seen(row: Any) -> Seen:
    sent = EPOCH + sent_at(row.first_id) * MICROSECOND if row.first_id else None
    return Seen(
        row.number,
        row.retention,
        waiting_due=row.first_visible_at + row.retention if row.first_visible_at else NEVER,
        returned_due=sent + row.retention if sent else NEVER,
        moved_due=row.first_moved_at + row.retention if row.first_moved_at else NEVER,
    )


# Removes a batch of what has expired in a queue by a time; returns how many messages these were.
Expire = Callable[[AsyncEngine, Watch, timedelta, datetime, Ready], Awaitable[int]]


async def expire_waiting(engine: AsyncEngine, watch: Watch, retention: timedelta, now: datetime, ready: Ready) -> int:
    """Remove a batch of expired messages that were not leased; return how many. After the last, advance the watch."""
    removed = await _expire(engine, _WAITING, (watch.number, watch.low_visible_at, BATCH), ready)
    if not removed:
        watch.low_visible_at = max(watch.low_visible_at, now - retention - SLACK)
    return removed


async def expire_returned(engine: AsyncEngine, watch: Watch, retention: timedelta, now: datetime, ready: Ready) -> int:
    """Remove a batch of expired messages that came back from leases; return how many. At last, advance the watch."""
    before = first_id(now - retention)
    removed = await _expire(engine, _RETURNED, (watch.number, watch.kept_id, before, BATCH), ready)
    if not removed:
        kept = await _run(engine, _KEPT, (watch.number, watch.kept_id, before))
        watch.passed_id = watch.kept_id = max(watch.passed_id, first_id(now - retention - SLACK))
        watch.kept_until = NEVER
        if kept and kept[0].first_id is not None:
            watch.kept_id, watch.kept_until = min(kept[0].first_id, watch.kept_id), kept[0].due
    return removed


async def expire_moved(engine: AsyncEngine, watch: Watch, _retention: timedelta, _now: datetime, ready: Ready) -> int:
    """Remove a batch of expired messages that came from another queue; return how many."""
    return await _expire(engine, _MOVED, (watch.number, BATCH), ready)


async def expire_own(engine: AsyncEngine, ready: Ready) -> int:
    """Remove one batch of messages whose own ttl is over, from any queues; return how many."""
    return await _expire(engine, _OWN, (BATCH,), ready)


def first_id(at: datetime) -> UUID:
    """Return the lowest id that a message sent at this time, to the millisecond, can have."""
    return UUID(int=max(0, (at - EPOCH) // timedelta(milliseconds=1)) << 80)


async def _run(engine: AsyncEngine, sql: str, arguments: tuple[Any, ...]) -> list[Any]:
    async def work(connection: AsyncConnection) -> list[Any]:
        await by_index(connection)
        return list(await connection.exec_driver_sql(sql, arguments))

    return await transaction(engine, work)


async def _expire(engine: AsyncEngine, sql: str, arguments: tuple[Any, ...], ready: Ready) -> int:
    """Delete the messages that a statement finds, or move them to the dead-letter queue; return how many it found."""

    async def work(connection: AsyncConnection) -> int:
        await by_index(connection)
        link = await driver(connection)
        # Sorted by their place in the group, because they may have become visible at the same moment.
        found = sorted(await link.fetch(sql, *arguments), key=lambda row: row["seq"] or 0)
        departures = [
            Departure(row["number"], row["id"], row["seq"] is not None, row["version"], "expired")
            for row in first_bytes(found)
        ]
        if departures:
            await move_free(link, departures, ready)
        return len(found)

    return await transaction(engine, work)
