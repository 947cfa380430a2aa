"""Looking at messages: nothing is taken, counted, locked or slowed by it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, cast, func, literal, or_, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from service.model import NO_GROUP, MessageState, Queue
from service.store.clock import EPOCH, MICROSECOND
from service.store.identifiers import first_id
from service.store.statements import STATEMENTS
from service.store.tables import message
from service.store.transactions import by_index, driver

# What a page looks at, whatever its filter leaves of it.
PAGE_ROWS = 10_000
PREVIEW_BYTES = 256

_NOW = func.clock_timestamp()
LEASED = and_(message.c.lease.is_not(None), message.c.visible_at > _NOW)
_GROUPS = STATEMENTS["fifo.groups"]
_HOLDER = STATEMENTS["fifo.holder"]


@dataclass(frozen=True, slots=True)
class MessageFilter:
    """Which messages of a queue: all that is given has to hold. The times themselves are outside."""

    state: MessageState | None = None
    group: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    sent_after: datetime | None = None
    sent_before: datetime | None = None

    def conditions(self, queue: Queue) -> list[ColumnElement[bool]]:
        """Return what holds for messages of the queue that match and are there: what has expired is not."""
        conditions = [or_(_expires_at(queue) > _NOW, LEASED)]
        if self.state is not None:
            conditions.append(_in_state(self.state))
        if self.group is not None:
            conditions.append(message.c.message_group == self.group)
        decoded = cast(func.convert_from(message.c.headers, "UTF8"), JSONB)
        conditions += [decoded[name].astext == value for name, value in self.headers]
        return conditions


def _in_state(state: MessageState) -> ColumnElement[bool]:
    if state is MessageState.LEASED:
        return LEASED
    if state is MessageState.DELAYED:
        return and_(message.c.lease.is_(None), message.c.visible_at > _NOW)
    return message.c.visible_at <= _NOW


def sent_between(wanted: MessageFilter) -> list[ColumnElement[bool]]:
    """Return what holds for the ids of messages sent between the filter's times."""
    conditions = []
    if wanted.sent_after is not None:
        conditions.append(message.c.id >= first_id((wanted.sent_after - EPOCH) // MICROSECOND + 1))
    if wanted.sent_before is not None:
        conditions.append(message.c.id < first_id((wanted.sent_before - EPOCH) // MICROSECOND))
    return conditions


def _expires_at(queue: Queue) -> ColumnElement[datetime]:
    retention = queue.config.retention
    by_queue = "infinity" if retention is None else message.c.first_visible_at + retention
    return func.coalesce(message.c.expires_at, by_queue)


def _shown(queue: Queue) -> list[ColumnElement[Any]]:
    """Return what is shown of a message, but for its body."""
    retention = queue.config.retention
    by_queue = literal(None) if retention is None else message.c.first_visible_at + retention
    names = "id visible_at lease receive_count urgency is_json content_type headers message_group last_error seq"
    return [
        *(message.c[name] for name in names.split()),
        message.c.first_received_at,
        message.c.traceparent,
        message.c.tracestate,
        message.c.dead_letter,
        func.coalesce(message.c.expires_at, by_queue).label("expires_at"),
        func.octet_length(message.c.body).label("body_size"),
        _NOW.label("now"),
    ]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins, how long it is, and which way it goes."""

    after: UUID | None
    limit: int
    newest: bool = False


async def listed(
    connection: AsyncConnection, queue: Queue, wanted: MessageFilter, page: Place
) -> tuple[Sequence[Any], UUID | None]:
    """Return a page in the order of sending, and the id behind which the next one begins, if there is one."""
    await by_index(connection)
    order = message.c.id.desc() if page.newest else message.c.id
    after = page.after
    behind = [] if after is None else [message.c.id < after if page.newest else message.c.id > after]
    place = (message.c.queue_number == queue.number, *sent_between(wanted), *behind)
    last_seen = select(message.c.id).where(*place).order_by(order).offset(PAGE_ROWS - 1).limit(1)
    end = (await connection.execute(last_seen)).scalar_one_or_none()
    within = [] if end is None else [message.c.id >= end if page.newest else message.c.id <= end]
    found = (
        select(*_shown(queue), func.substring(message.c.body, 1, PREVIEW_BYTES).label("preview"))
        .where(*place, *within, *wanted.conditions(queue))
        .order_by(order)
        .limit(page.limit + 1)
    )
    rows = (await connection.execute(found)).all()
    if len(rows) > page.limit:
        return rows[: page.limit], rows[page.limit - 1].id
    return rows, end


async def find(connection: AsyncConnection, queue: Queue, message_id: UUID) -> Any:
    """Return one message with its body, or None."""
    this = and_(message.c.queue_number == queue.number, message.c.id == message_id)
    there = MessageFilter().conditions(queue)
    return (await connection.execute(select(*_shown(queue), message.c.body).where(this, *there))).first()


async def holder(connection: AsyncConnection, queue: Queue, group: str) -> Any:
    """Return the message that holds a group of a fifo queue; None: its first message can be received."""
    await by_index(connection)
    rows = await (await driver(connection)).fetch(_HOLDER, queue.number, group)
    return rows[0] if rows else None


async def groups(
    connection: AsyncConnection, queue: Queue, after: str | None, limit: int, *, blocked: bool
) -> tuple[list[Any], str | None]:
    """Return a page of groups in the byte order of their names, and the name behind which the next one begins.

    `blocked`: only those that somebody or something holds.
    """
    await by_index(connection)
    link = await driver(connection)
    rows = await link.fetch(_GROUPS, queue.number, after is None, after or NO_GROUP, PAGE_ROWS)
    found = [row for row in rows if row["held"] or not blocked]
    if len(found) > limit:
        return found[:limit], found[limit - 1]["name"]
    return found, rows[-1]["name"] if len(rows) == PAGE_ROWS else None
