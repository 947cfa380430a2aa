"""Acting on all messages of a queue that match and are not leased, a batch at a time."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct
from sqlalchemy import ColumnElement, Label, and_, literal_column, not_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from service.message import MessageState
from service.model import Queue
from service.store.database.clock import EPOCH
from service.store.database.ready import Ready
from service.store.database.statements import STATEMENTS
from service.store.database.tables import message
from service.store.database.transaction import driver
from service.store.messaging import fifo
from service.store.messaging.moves import Candidate, Departure, first_bytes, hold, move_free
from service.store.views.browse import LEASED, PAGE_ROWS, MessageFilter, sent_between
from service.store.views.stats import count_within_patience

# The position of a message: its id or, in a fifo queue, its group and its place there.
MessagePlace = tuple[Any, ...]

_RELEASE_DELAY = STATEMENTS["actions.release_delay"]
_VERSION: Label[int] = literal_column("message.xmin::text::bigint").label("version")


class MatchingMessage(Struct):
    """The position of a message that matches, and its row's version."""

    place: MessagePlace
    version: int


def stored(wanted: MessageFilter) -> dict[str, Any]:
    """Return a filter as it is stored in JSON."""
    after, before = wanted.sent_after, wanted.sent_before
    return asdict(wanted) | {
        "sent_after": after and after.isoformat(),
        "sent_before": before and before.isoformat(),
        "ids": wanted.ids and [str(message_id) for message_id in wanted.ids],
    }


def loaded(kept: dict[str, Any]) -> MessageFilter:
    """Return a stored filter."""
    times: dict[str, Any] = {
        name: kept[name] and datetime.fromisoformat(kept[name]) for name in ("sent_after", "sent_before")
    }
    state = kept["state"] and MessageState(kept["state"])
    headers = tuple((name, value) for name, value in kept["headers"])
    # Tasks of older versions do not have these fields.
    letter = {name: kept.get(name) for name in ("source", "reason", "error")}
    ids = kept.get("ids") and tuple(UUID(message_id) for message_id in kept["ids"])
    return MessageFilter(state=state, group=kept["group"], headers=headers, ids=ids, **times, **letter)


async def matched(engine: AsyncEngine, queue: Queue, wanted: MessageFilter) -> int | None:
    """Return how many messages match and are not leased, or None if counting takes more than two seconds."""
    conditions = (*sent_between(wanted), *wanted.conditions(queue), not_(LEASED))
    return await count_within_patience(engine, [message.c.queue_number == queue.number, *conditions])


def _order(queue: Queue) -> tuple[ColumnElement[Any], ...]:
    """Return the order in which messages are processed: in a fifo queue by group and place, so groups keep theirs."""
    return (message.c.message_group, message.c.seq) if queue.is_fifo else (message.c.id,)


async def next_matching(
    connection: AsyncConnection, queue: Queue, wanted: MessageFilter, after: MessagePlace, limit: int
) -> tuple[dict[UUID, MatchingMessage], MessagePlace | None]:
    """Find the next messages that match and are not leased.

    Returns the messages, and the last position that was looked at, or None at the end of the queue.
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
        select(message.c.id, message.c.size, _VERSION, *(column.label(f"place_{n}") for n, column in enumerate(order)))
        .where(behind, *within, *wanted.conditions(queue), not_(LEASED))
        .order_by(*order)
        .limit(limit)
    )
    rows = (await connection.execute(matching)).mappings().all()
    found = {
        row["id"]: MatchingMessage(tuple(row[f"place_{n}"] for n, _ in enumerate(order)), row["version"])
        for row in first_bytes(rows)
    }
    is_cut = len(found) == limit or len(found) < len(rows)
    return found, next(reversed(found.values())).place if is_cut else end


async def take_away(
    connection: AsyncConnection, queue: Queue, found: Mapping[UUID, int], to: int | None, ready: Ready
) -> set[UUID]:
    """Move messages that still have these versions to another queue, or delete them; return those that were free."""
    departures = [
        Departure(queue.number, message_id, queue.is_fifo, version, to=to) for message_id, version in found.items()
    ]
    return {departure.id for departure in await move_free(await driver(connection), departures, ready)}


async def release_delay(
    connection: AsyncConnection, queue: Queue, found: Mapping[UUID, int], ready: Ready, statement: str = _RELEASE_DELAY
) -> set[UUID]:
    """Make delayed messages ready that still have these versions; return those that were free."""
    link = await driver(connection)
    candidates = [Candidate(queue.number, message_id, queue.is_fifo, version) for message_id, version in found.items()]
    held = await hold(link, candidates, {})
    free = [message_id for _, message_id in held.keys]
    await link.fetch(statement, queue.number, free)
    await fifo.refresh(link, list(held.groups), [], ready)
    ready.add(queue.id, EPOCH)
    return set(free)
