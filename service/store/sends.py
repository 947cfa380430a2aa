"""Storing messages: drafts of many callers in one statement."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from service.errors import Problem
from service.model import NO_GROUP, NOTHING, Draft, Queue
from service.store import counting
from service.store.connections import Link
from service.store.statements import STATEMENTS
from service.telemetry import MESSAGES_SENT

_SEND = STATEMENTS["messages.send"]
_SEND_PLAIN = STATEMENTS["messages.send_plain"]
_SEND_FIFO = STATEMENTS["fifo.send"]


class StaleQueue(Problem):
    """The queue was changed or deleted since it was looked up: look again. Never reaches a caller."""

    def __init__(self) -> None:
        super().__init__("The queue has changed.")


class Parcel(Struct):
    """What one caller sends to one queue, stored wholly or not at all."""

    queue: Queue
    drafts: list[Draft]


VisibleAt = list[datetime]
StoreParcels = Callable[[Link, Sequence[Parcel]], Awaitable[list[VisibleAt | Problem]]]


async def store(link: Link, parcels: Sequence[Parcel]) -> list[VisibleAt | Problem]:
    """Store the parcels; each answers when its messages become visible, or `StaleQueue`."""
    fifo = [parcel for parcel in parcels if parcel.queue.is_fifo]
    if not fifo:
        return await _store(link, parcels)
    if len(fifo) == len(parcels):
        return await _store(link, parcels, fifo=True)
    # In the order given within each kind; between queues there is none.
    standard = [parcel for parcel in parcels if not parcel.queue.is_fifo]
    kinds = iter(await _store(link, standard)), iter(await _store(link, fifo, fifo=True))
    return [next(kinds[parcel.queue.is_fifo]) for parcel in parcels]


async def _store(link: Link, parcels: Sequence[Parcel], *, fifo: bool = False) -> list[VisibleAt | Problem]:
    pairs = [(parcel.queue, draft) for parcel in parcels for draft in parcel.drafts]
    if fifo:
        statement, columns = _SEND_FIFO, [_fifo_columns(*pair) for pair in pairs]
    elif all(draft.is_plain for _, draft in pairs):
        statement, columns = _SEND_PLAIN, [_plain_columns(*pair) for pair in pairs]
    else:
        statement, columns = _SEND, [_standard_columns(*pair) for pair in pairs]
    [row] = await link.fetch(statement, *map(list, zip(*columns, strict=True)))
    now, newest = row["now"], newest_versions(parcels)
    # Of several versions of a queue the database has the newest one, if any: nothing was stored for the others.
    stored = {number: newest[number] for number in row["stored"]}
    outcomes: list[VisibleAt | Problem] = [
        [_visible_at(parcel.queue, draft, now) for draft in parcel.drafts]
        if stored.get(parcel.queue.number) == parcel.queue.version
        else StaleQueue()
        for parcel in parcels
    ]
    _count(parcels, outcomes)
    return outcomes


def _count(parcels: Sequence[Parcel], outcomes: list[VisibleAt | Problem]) -> None:
    """Count what was stored: once for all parcels, and once for each queue."""
    stored: defaultdict[int, int] = defaultdict(int)
    for parcel, outcome in zip(parcels, outcomes, strict=True):
        if isinstance(outcome, list):
            stored[parcel.queue.id] += len(outcome)
    MESSAGES_SENT.inc(sum(stored.values()))
    for queue_id, messages in stored.items():
        counting.sent(queue_id, messages)


def newest_versions(parcels: Iterable[Parcel]) -> dict[int, int]:
    """Return the newest version of each queue that one of the parcels was made for."""
    newest: dict[int, int] = {}
    for parcel in parcels:
        number, version = parcel.queue.number, parcel.queue.version
        if newest.get(number, 0) < version:
            newest[number] = version
    return newest


def _visible_at(queue: Queue, draft: Draft, now: datetime) -> datetime:
    """Return what the statement has worked out for a message."""
    if draft.deliver_at is not None:
        return max(draft.deliver_at.astimezone(UTC), now)
    delay = queue.config.delay if draft.delay is None else draft.delay
    return now + delay if delay else now


def _plain_columns(queue: Queue, draft: Draft) -> tuple[Any, ...]:
    """Return the parameters of `messages.send_plain`, in their order."""
    return queue.number, queue.version, draft.id, draft.body


def _further_columns(queue: Queue, draft: Draft) -> tuple[Any, ...]:
    """Return the parameters that `messages.send` and `fifo.send` have besides, but for the group and what follows."""
    delay = draft.delay if draft.delay is not None else queue.config.delay
    return (
        delay if draft.deliver_at is None else NOTHING,
        draft.deliver_at,
        draft.ttl,
        draft.size,
        draft.is_json,
        draft.content_type,
        draft.headers,
        draft.traceparent,
        draft.tracestate,
    )


def _standard_columns(queue: Queue, draft: Draft) -> tuple[Any, ...]:
    return *_plain_columns(queue, draft), *_further_columns(queue, draft), draft.group, draft.urgency, draft.published


def _fifo_columns(queue: Queue, draft: Draft) -> tuple[Any, ...]:
    return *_plain_columns(queue, draft), *_further_columns(queue, draft), draft.group or NO_GROUP, draft.published


def weigh(parcel: Parcel) -> int:
    """Return what a parcel adds to a statement, in octets."""
    return sum(draft.size + 100 for draft in parcel.drafts)
