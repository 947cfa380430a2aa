"""Removing messages whose time is over, a bounded batch at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from service.store.clock import EPOCH, MICROSECOND
from service.store.identifiers import sent_at
from service.store.moves import Departure, first_bytes, move_free
from service.store.ready import Ready
from service.store.statements import STATEMENTS
from service.store.transactions import by_index, driver, transaction

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
    """What is remembered of a queue between two looks.

    Messages are looked at twice: in the order they become visible, from `low_visible_at` on, for those nobody has
    touched; in the order they were sent, for the rest. There everything before `passed_id` was seen, and from `kept_id`
    on some were kept, being delayed or leased; none of them expires before `kept_until`.
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
    """What a look at a queue found: when the first message may expire, by either order."""

    number: int
    retention: timedelta
    waiting_due: datetime
    returned_due: datetime
    moved_due: datetime


async def queues(engine: AsyncEngine, since: datetime) -> list[tuple[int, datetime]]:
    """Return number and time of change of the queues with a retention that were changed since then."""
    rows = await _run(engine, _QUEUES, (since,))
    return [(row.number, row.updated_at) for row in rows]


async def look(engine: AsyncEngine, watches: Sequence[Watch]) -> list[Seen]:
    """Return what is first in each of these queues; those that have nothing to expire any more are missing."""
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


async def expire_waiting(engine: AsyncEngine, watch: Watch, retention: timedelta, now: datetime, ready: Ready) -> int:
    """Remove a batch of the expired messages that nobody has touched; 0: that was all, the watch has moved on."""
    removed = await _expire(engine, _WAITING, (watch.number, watch.low_visible_at, BATCH), ready)
    if not removed:
        watch.low_visible_at = max(watch.low_visible_at, now - retention - SLACK)
    return removed


async def expire_returned(engine: AsyncEngine, watch: Watch, retention: timedelta, now: datetime, ready: Ready) -> int:
    """Remove a batch of the expired messages that consumers gave back; 0: that was all, the watch has moved on."""
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
    """Remove a batch of the expired messages that came from another queue; 0: that was all."""
    return await _expire(engine, _MOVED, (watch.number, BATCH), ready)


async def expire_own(engine: AsyncEngine, ready: Ready) -> int:
    """Remove one batch of messages whose own ttl is over, of whatever queues."""
    return await _expire(engine, _OWN, (BATCH,), ready)


def first_id(at: datetime) -> UUID:
    """Return the least id that a message sent at this time, to the millisecond, can have."""
    return UUID(int=max(0, (at - EPOCH) // timedelta(milliseconds=1)) << 80)


async def _run(engine: AsyncEngine, sql: str, arguments: tuple[Any, ...]) -> list[Any]:
    async def work(connection: AsyncConnection) -> list[Any]:
        await by_index(connection)
        return list(await connection.exec_driver_sql(sql, arguments))

    return await transaction(engine, work)


async def _expire(engine: AsyncEngine, sql: str, arguments: tuple[Any, ...], ready: Ready) -> int:
    """Drop what a statement finds, or move it to the dead-letter queue; return how much was found."""

    async def work(connection: AsyncConnection) -> int:
        await by_index(connection)
        link = await driver(connection)
        # In their order within a group: they may have become visible at the same moment.
        found = sorted(await link.fetch(sql, *arguments), key=lambda row: row["seq"] or 0)
        departures = [
            Departure(row["number"], row["id"], row["seq"] is not None, "expired") for row in first_bytes(found)
        ]
        if departures:
            await move_free(link, departures, ready)
        return len(found)

    return await transaction(engine, work)
