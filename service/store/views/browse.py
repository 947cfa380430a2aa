"""Browsing: looking at messages without leasing, counting or locking any."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, and_, cast, exists, func, or_, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from service.message import HeldGroup, MessageState, SeenMessage
from service.model import NO_GROUP, Queue
from service.store.database.clock import EPOCH, MICROSECOND, NOW
from service.store.database.identifiers import first_id, sent_at
from service.store.database.statements import COLUMNS, STATEMENTS
from service.store.database.tables import api_key, message, webhook
from service.store.database.tables import queue as queue_table
from service.store.database.transaction import by_index, driver
from service.store.messaging.takers import holder_of
from service.store.resources.queues import covering

# Messages that a page looks at, however few of them its filter matches.
PAGE_ROWS = 10_000
# Bytes of headers on a page, at most; a page always has at least one message.
PAGE_BYTES = 8 * 1024 * 1024
PREVIEW_BYTES = 256

_GROUPS = STATEMENTS["browse.groups"]
_HOLDER = STATEMENTS["browse.holder"]


@dataclass(frozen=True, slots=True)
class MessageFilter:
    """Which messages of a queue to show: a message must meet every condition given. The times are exclusive."""

    state: MessageState | None = None
    group: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    sent_after: datetime | None = None
    sent_before: datetime | None = None
    # Conditions for dead letters; `error` as `folded_error` returns it, empty for those without one.
    source: str | None = None
    reason: str | None = None
    error: str | None = None
    ids: tuple[UUID, ...] | None = None

    def conditions(self, queue: Queue, columns: Any = message.c) -> list[ColumnElement[bool]]:
        """Return the conditions for messages of the queue that match and have not expired."""
        conditions = [or_(func.coalesce(_expires_at(columns, queue) > NOW, True), _is_leased(columns))]
        if self.state is not None:
            conditions.append(_in_state(columns, self.state))
        if self.group is not None:
            conditions.append(func.coalesce(columns.message_group, NO_GROUP) == self.group)
        decoded = cast(func.convert_from(columns.headers, "UTF8"), JSONB)
        conditions += [decoded[name].astext == value for name, value in self.headers]
        if self.ids is not None:
            conditions.append(columns.id.in_(self.ids))
        return conditions + self._of_dead_letters(columns)

    def _of_dead_letters(self, columns: Any) -> list[ColumnElement[bool]]:
        letter = columns.dead_letter
        conditions = [letter.is_not(None)] if (self.source, self.reason, self.error) != (None, None, None) else []
        for name, value in (("source_queue", self.source), ("reason", self.reason)):
            if value is not None:
                conditions.append(letter[name].astext == value)
        if self.error is not None:
            conditions.append(func.coalesce(func.folded_error(letter["last_error"].astext), "") == self.error)
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
    """Return the conditions for the ids of messages that were sent between the filter's times."""
    conditions = []
    if wanted.sent_after is not None:
        conditions.append(message.c.id >= first_id((wanted.sent_after - EPOCH) // MICROSECOND + 1))
    if wanted.sent_before is not None:
        conditions.append(message.c.id < first_id((wanted.sent_before - EPOCH) // MICROSECOND))
    return conditions


def _expires_at(columns: Any, queue: Queue) -> ColumnElement[datetime]:
    """Return when a message expires; null: never."""
    retention = queue.config.retention
    own: ColumnElement[datetime] = columns.expires_at
    return own if retention is None else func.coalesce(own, columns.first_visible_at + retention)


def _shown(columns: Any, queue: Queue) -> list[ColumnElement[Any]]:
    """Return the columns that are shown of a message, except for its body."""
    return [
        *(columns[name] for name in COLUMNS["leased"] if name not in {"body", "message_group"}),
        columns.message_group.label("group"),
        columns.lease,
        columns.seq,
        columns.pushed_by,
        _expires_at(columns, queue).label("expires_at"),
        func.octet_length(columns.body).label("body_size"),
        NOW.label("now"),
    ]


_TAKEN = (
    message.c.taken_by,
    message.c.taken_via,
    message.c.taken_under,
    select(api_key.c.name).where(api_key.c.id == message.c.taken_by).scalar_subquery().label("key_name"),
    select(webhook.c.name).where(webhook.c.id == message.c.pushed_by).scalar_subquery().label("webhook"),
)


@dataclass(frozen=True, slots=True)
class PageStart:
    """Where a page begins, how many messages it has, and whether the newest come first."""

    after: UUID | None
    limit: int
    newest: bool = False


async def listed(
    connection: AsyncConnection, queue: Queue, wanted: MessageFilter, page: PageStart
) -> tuple[list[SeenMessage], UUID | None]:
    """Return a page in the order of sending, and the id after which the next page begins, if there is one."""
    await by_index(connection)
    rows = (await connection.execute(_page(queue, wanted, page))).all()
    if len(rows) > page.limit:
        return [_seen(row) for row in rows[: page.limit]], rows[page.limit - 1].id
    is_cut = bool(rows) and (rows[-1].place == PAGE_ROWS or rows[-1].weight >= PAGE_BYTES)
    return [_seen(row) for row in rows if row.fits], rows[-1].id if is_cut else None


def _page(queue: Queue, wanted: MessageFilter, page: PageStart) -> Select[Any]:
    """Return the statement of a page: matching messages, one more than the limit, and the last message looked at.

    Every level has the order of the index, so that the statement reads no further than it needs to.
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
            func.substring(looked.c.body, 1, PREVIEW_BYTES).label("body"),
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


def _by_id(columns: Any, page: PageStart) -> ColumnElement[UUID]:
    by_id: ColumnElement[UUID] = columns.id.desc() if page.newest else columns.id
    return by_id


async def queue_of(
    connection: AsyncConnection, project_id: int, names: tuple[str, ...], message_id: UUID
) -> str | None:
    """Return the name of the project's queue that holds a message, if a pattern in `names` covers it, or None."""
    await by_index(connection)
    holds = exists().where(message.c.queue_number == queue_table.c.number, message.c.id == message_id)
    expression = covering(names)
    covered = [queue_table.c.name.regexp_match(expression)] if expression else []
    mine = select(queue_table.c.name).where(queue_table.c.project_id == project_id, holds, *covered)
    return (await connection.execute(mine.limit(1))).scalar_one_or_none()


async def find(connection: AsyncConnection, queue: Queue, message_id: UUID) -> SeenMessage | None:
    """Return one message with its body and its holder, or None."""
    this = and_(message.c.queue_number == queue.number, message.c.id == message_id)
    there = MessageFilter().conditions(queue)
    whole = select(*_shown(message.c, queue), message.c.body, *_TAKEN).where(this, *there)
    row = (await connection.execute(whole)).first()
    return None if row is None else _seen(row)


_SEEN = SeenMessage.__struct_fields__[:-1]


def _seen(row: Row[*tuple[Any, ...]]) -> SeenMessage:
    columns: Mapping[Any, Any] = row._mapping  # noqa: SLF001 - documented: named so that no column hides it
    seen = SeenMessage(**{name: columns[name] for name in _SEEN})
    if seen.state is MessageState.LEASED and "taken_by" in columns:
        seen.holder = holder_of(columns)
    return seen


async def holder(connection: AsyncConnection, queue: Queue, group: str, seq: int) -> UUID | None:
    """Return the id of the message that keeps the one at this place of a group from being received, or None."""
    await by_index(connection)
    rows = await (await driver(connection)).fetch(_HOLDER, queue.number, group, seq, PAGE_ROWS)
    return rows[0]["id"] if rows else None


async def groups(
    connection: AsyncConnection, queue: Queue, after: str | None, limit: int, *, blocked: bool
) -> tuple[list[HeldGroup], str | None]:
    """Return a page of groups in the byte order of their names, and the name after which the next page begins.

    `blocked`: only groups that are held, by a lease or a delay.
    """
    await by_index(connection)
    rows = await (await driver(connection)).fetch(_GROUPS, queue.number, after, PAGE_ROWS, blocked, limit + 1)
    if len(rows) > limit:
        return [_group(row) for row in rows[:limit]], rows[limit - 1]["name"]
    is_cut = bool(rows) and rows[-1]["place"] == PAGE_ROWS
    shown = [_group(row) for row in rows if row["held"] or not blocked]
    return shown, rows[-1]["name"] if is_cut else None


def _group(row: Any) -> HeldGroup:
    group, message_id = (row["name"], row["depth"]), row["id"]
    if message_id is None:
        return HeldGroup(*group)
    if row["lease"] is not None:
        holder = holder_of(row)
        return HeldGroup(*group, message_id, "lease", holder.since, row["until"], holder)
    # The delay of a message that was never received began with the send.
    since = EPOCH + sent_at(message_id) * MICROSECOND if row["receive_count"] == 0 else None
    if row["pushed_by"] is not None:
        return HeldGroup(*group, message_id, "webhook", since)
    return HeldGroup(*group, message_id, "delay", since, row["until"])
