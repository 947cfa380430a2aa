"""Acting on all messages of a queue that match: a batch at a time, those that nobody holds."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import and_, not_, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from service.model import MessageState, Queue
from service.store import fifo
from service.store.browse import LEASED, PAGE_ROWS, MessageFilter, sent_between
from service.store.clock import EPOCH
from service.store.moves import Departure, first_bytes, move_free
from service.store.ready import Ready
from service.store.statements import STATEMENTS
from service.store.stats import count_within_patience
from service.store.tables import message
from service.store.transactions import driver

_RELEASE_DELAY = STATEMENTS["messages.release_delay"]


def stored(wanted: MessageFilter) -> dict[str, Any]:
    """Return a filter as JSON has it."""
    after, before = wanted.sent_after, wanted.sent_before
    return asdict(wanted) | {
        "sent_after": after and after.isoformat(),
        "sent_before": before and before.isoformat(),
    }


def loaded(kept: dict[str, Any]) -> MessageFilter:
    """Return the filter that was stored."""
    times = {name: kept[name] and datetime.fromisoformat(kept[name]) for name in ("sent_after", "sent_before")}
    state = kept["state"] and MessageState(kept["state"])
    headers = tuple((name, value) for name, value in kept["headers"])
    return MessageFilter(state=state, group=kept["group"], headers=headers, **times)


async def matched(engine: AsyncEngine, queue: Queue, wanted: MessageFilter) -> int | None:
    """Return how many messages match that nobody holds; None if counting takes more than two seconds."""
    conditions = (*sent_between(wanted), *wanted.conditions(queue), not_(LEASED))
    return await count_within_patience(engine, [message.c.queue_number == queue.number, *conditions])


async def next_matching(
    connection: AsyncConnection, queue: Queue, wanted: MessageFilter, after: UUID, limit: int
) -> tuple[list[UUID], UUID | None]:
    """Lock the next messages by id that match and that nobody holds.

    Return them, and the last id that was looked at, None at the end of the queue.
    """
    place = and_(message.c.queue_number == queue.number, message.c.id > after, *sent_between(wanted))
    step = select(message.c.id).where(place).order_by(message.c.id).offset(PAGE_ROWS - 1).limit(1)
    end = (await connection.execute(step)).scalar_one_or_none()
    within = [] if end is None else [message.c.id <= end]
    matching = (
        select(message.c.id, message.c.size)
        .where(place, *within, *wanted.conditions(queue), not_(LEASED))
        .order_by(message.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    rows = (await connection.execute(matching)).mappings().all()
    found = [row["id"] for row in first_bytes(rows)]
    is_cut = len(found) == limit or len(found) < len(rows)
    return found, found[-1] if is_cut else end


async def take_away(
    connection: AsyncConnection, queue: Queue, found: Sequence[UUID], to: int | None, ready: Ready
) -> set[UUID]:
    """Move locked messages to the queue of this number, or remove them; return those that no other holds by group."""
    departures = [Departure(queue.number, message_id, queue.is_fifo, to=to) for message_id in found]
    return {departure.id for departure in await move_free(await driver(connection), departures, ready)}


async def release_delay(
    connection: AsyncConnection, queue: Queue, found: Sequence[UUID], ready: Ready, statement: str = _RELEASE_DELAY
) -> set[UUID]:
    """Make locked messages that are delayed ready now; return those that no other holds by group."""
    link = await driver(connection)
    groups: dict[fifo.MessageKey, fifo.Group] = {}
    free = found
    if queue.is_fifo:
        groups = await fifo.try_lock(link, [(queue.number, message_id) for message_id in found])
        free = [message_id for message_id in found if (queue.number, message_id) in groups]
    await link.fetch(statement, queue.number, free)
    await fifo.refresh(link, list(groups.values()), [], ready)
    ready.add(queue.id, EPOCH)
    return set(free)
