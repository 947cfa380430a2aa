"""Acting on all messages of a queue that match: a batch at a time, those that nobody holds."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, not_, select, tuple_
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

# Where a message stands: its id, or its group and place.
Place = tuple[Any, ...]

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


def _order(queue: Queue) -> tuple[ColumnElement[Any], ...]:
    """Return what messages are gone through by: in a fifo queue by group and place, so that each keeps its order."""
    return (message.c.message_group, message.c.seq) if queue.is_fifo else (message.c.id,)


async def next_matching(
    connection: AsyncConnection, queue: Queue, wanted: MessageFilter, after: Place, limit: int
) -> tuple[dict[UUID, Place], Place | None]:
    """Lock the next messages that match and that nobody holds.

    Return each with its place, and the last place that was looked at, None at the end of the queue.
    """
    order = _order(queue)
    behind = and_(
        message.c.queue_number == queue.number,
        tuple_(*order) > tuple_(*after),
        *([message.c.seq.is_not(None)] if queue.is_fifo else []),
        *sent_between(wanted),
    )
    step = select(*order).where(behind).order_by(*order).offset(PAGE_ROWS - 1).limit(1)
    last = (await connection.execute(step)).first()
    end = tuple(last) if last is not None else None
    within = [] if end is None else [tuple_(*order) <= tuple_(*end)]
    matching = (
        select(message.c.id, message.c.size, *(column.label(f"place_{n}") for n, column in enumerate(order)))
        .where(behind, *within, *wanted.conditions(queue), not_(LEASED))
        .order_by(*order)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    rows = (await connection.execute(matching)).mappings().all()
    found = {row["id"]: tuple(row[f"place_{n}"] for n, _ in enumerate(order)) for row in first_bytes(rows)}
    is_cut = len(found) == limit or len(found) < len(rows)
    return found, next(reversed(found.values())) if is_cut else end


async def take_away(
    connection: AsyncConnection, queue: Queue, found: Iterable[UUID], to: int | None, ready: Ready
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
