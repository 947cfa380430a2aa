"""Looking at messages: nothing is taken, counted, locked or slowed by it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, cast, func, or_, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from service.model import NO_GROUP, MessageState, Queue
from service.store.clock import EPOCH, MICROSECOND, NOW
from service.store.identifiers import first_id
from service.store.statements import STATEMENTS
from service.store.tables import message
from service.store.transactions import by_index, driver

# What a page looks at, whatever its filter leaves of it.
PAGE_ROWS = 10_000
# Headers on a page, at most; there is always one message.
PAGE_BYTES = 8 * 1024 * 1024
PREVIEW_BYTES = 256

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

    def conditions(self, queue: Queue, columns: Any = message.c) -> list[ColumnElement[bool]]:
        """Return what holds for messages of the queue that match and are there: what has expired is not."""
        conditions = [or_(func.coalesce(_expires_at(columns, queue) > NOW, True), _is_leased(columns))]
        if self.state is not None:
            conditions.append(_in_state(columns, self.state))
        if self.group is not None:
            conditions.append(func.coalesce(columns.message_group, NO_GROUP) == self.group)
        decoded = cast(func.convert_from(columns.headers, "UTF8"), JSONB)
        conditions += [decoded[name].astext == value for name, value in self.headers]
        return conditions


def _is_leased(columns: Any) -> ColumnElement[bool]:
    return and_(columns.lease.is_not(None), columns.visible_at > NOW)


LEASED = _is_leased(message.c)


def _in_state(columns: Any, state: MessageState) -> ColumnElement[bool]:
    if state is MessageState.LEASED:
        return _is_leased(columns)
    if state is MessageState.DELAYED:
        return and_(columns.lease.is_(None), columns.visible_at > NOW)
    ready: ColumnElement[bool] = columns.visible_at <= NOW
    return ready


def sent_between(wanted: MessageFilter) -> list[ColumnElement[bool]]:
    """Return what holds for the ids of messages sent between the filter's times."""
    conditions = []
    if wanted.sent_after is not None:
        conditions.append(message.c.id >= first_id((wanted.sent_after - EPOCH) // MICROSECOND + 1))
    if wanted.sent_before is not None:
        conditions.append(message.c.id < first_id((wanted.sent_before - EPOCH) // MICROSECOND))
    return conditions


def _expires_at(columns: Any, queue: Queue) -> ColumnElement[datetime]:
    """Return when a message expires; null is never."""
    retention = queue.config.retention
    own: ColumnElement[datetime] = columns.expires_at
    return own if retention is None else func.coalesce(own, columns.first_visible_at + retention)


def _shown(columns: Any, queue: Queue) -> list[ColumnElement[Any]]:
    """Return what is shown of a message, but for its body."""
    names = "id visible_at lease receive_count attempts urgency is_json content_type headers message_group seq"
    return [
        *(columns[name] for name in names.split()),
        columns.first_received_at,
        columns.traceparent,
        columns.tracestate,
        columns.last_error,
        columns.dead_letter,
        columns.published,
        columns.pushed_by,
        _expires_at(columns, queue).label("expires_at"),
        func.octet_length(columns.body).label("body_size"),
        NOW.label("now"),
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
    rows = (await connection.execute(_page(queue, wanted, page))).all()
    if len(rows) > page.limit:
        return rows[: page.limit], rows[page.limit - 1].id
    is_cut = bool(rows) and (rows[-1].place == PAGE_ROWS or rows[-1].weight >= PAGE_BYTES)
    return [row for row in rows if row.fits], rows[-1].id if is_cut else None


def _page(queue: Queue, wanted: MessageFilter, page: Place) -> Select[Any]:
    """Return the statement of a page: what fits, one more than asked for, and the last message that was looked at.

    Every level has the order of the index, so that it goes no further than what it needs.
    """
    by_id = _by_id(message.c, page)
    behind = [] if page.after is None else [message.c.id < page.after if page.newest else message.c.id > page.after]
    looked = (
        select(message, func.row_number().over(order_by=by_id).label("place"))
        .where(message.c.queue_number == queue.number, *sent_between(wanted), *behind)
        .order_by(by_id)
        .limit(PAGE_ROWS)
        .subquery("looked")
    )
    fits = and_(*wanted.conditions(queue, looked.c))
    headers_size = func.coalesce(func.octet_length(looked.c.headers), 0)
    by_id = _by_id(looked.c, page)
    found = (
        select(
            *_shown(looked.c, queue),
            func.substring(looked.c.body, 1, PREVIEW_BYTES).label("preview"),
            looked.c.place,
            fits.label("fits"),
            headers_size.label("headers_size"),
            func.sum(headers_size).over(order_by=by_id, rows=(None, 0)).label("weight"),
        )
        .where(or_(fits, looked.c.place == PAGE_ROWS))
        .order_by(by_id)
        .limit(page.limit + 1)
        .subquery("found")
    )
    within = found.c.weight - found.c.headers_size < PAGE_BYTES
    return select(found).where(within).order_by(_by_id(found.c, page))


def _by_id(columns: Any, page: Place) -> ColumnElement[UUID]:
    by_id: ColumnElement[UUID] = columns.id.desc() if page.newest else columns.id
    return by_id


async def find(connection: AsyncConnection, queue: Queue, message_id: UUID) -> Any:
    """Return one message with its body, or None."""
    this = and_(message.c.queue_number == queue.number, message.c.id == message_id)
    there = MessageFilter().conditions(queue)
    return (await connection.execute(select(*_shown(message.c, queue), message.c.body).where(this, *there))).first()


async def holder(connection: AsyncConnection, queue: Queue, group: str, seq: int) -> Any:
    """Return the message that keeps the one at this place of a fifo queue's group from being received, or None."""
    await by_index(connection)
    rows = await (await driver(connection)).fetch(_HOLDER, queue.number, group, seq, PAGE_ROWS)
    return rows[0] if rows else None


async def groups(
    connection: AsyncConnection, queue: Queue, after: str | None, limit: int, *, blocked: bool
) -> tuple[list[Any], str | None]:
    """Return a page of groups in the byte order of their names, and the name behind which the next one begins.

    `blocked`: only those that somebody or something holds.
    """
    await by_index(connection)
    rows = await (await driver(connection)).fetch(_GROUPS, queue.number, after, PAGE_ROWS, blocked, limit + 1)
    if len(rows) > limit:
        return rows[:limit], rows[limit - 1]["name"]
    is_cut = bool(rows) and rows[-1]["place"] == PAGE_ROWS
    return [row for row in rows if row["held"] or not blocked], rows[-1]["name"] if is_cut else None
