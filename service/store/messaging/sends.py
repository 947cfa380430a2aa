"""Storing messages: drafts of many callers in one statement."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any

from msgspec import Struct

from service.errors import Problem
from service.message import Draft
from service.model import NO_GROUP, NOTHING, Queue
from service.store.database import process_counts
from service.store.database.connections import Link
from service.store.database.statements import COLUMNS, STATEMENTS
from service.telemetry import MESSAGES_SENT

_SEND = STATEMENTS["sends.send"]
_SEND_PLAIN = STATEMENTS["sends.send_plain"]
_SEND_FIFO = STATEMENTS["fifo.send"]


class StaleQueue(Problem):
    """The queue was changed or deleted since it was looked up, so look it up again. No client ever sees this."""

    def __init__(self) -> None:
        super().__init__("The queue has changed.")


class Parcel(Struct):
    """The messages of one caller for one queue, stored all or none."""

    queue: Queue
    drafts: list[Draft]


VisibleAt = list[datetime]
StoreParcels = Callable[[Link, Sequence[Parcel]], Awaitable[list[VisibleAt | Problem]]]


async def store(link: Link, parcels: Sequence[Parcel]) -> list[VisibleAt | Problem]:
    """Store the parcels; the outcome of each is when its messages become visible, or `StaleQueue`."""
    fifo = [parcel for parcel in parcels if parcel.queue.is_fifo]
    if not fifo:
        return await _store(link, parcels)
    if len(fifo) == len(parcels):
        return await _store(link, parcels, fifo=True)
    # The given order is kept within each kind of queue. Between queues there is no order.
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
    # If parcels name several versions of a queue, only the newest can be the database's: the others were not stored.
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
    """Count the stored messages: in the metrics, and for each queue."""
    stored: defaultdict[int, int] = defaultdict(int)
    for parcel, outcome in zip(parcels, outcomes, strict=True):
        if isinstance(outcome, list):
            stored[parcel.queue.id] += len(outcome)
    MESSAGES_SENT.inc(sum(stored.values()))
    for queue_id, messages in stored.items():
        process_counts.sent(queue_id, messages)


def newest_versions(parcels: Iterable[Parcel]) -> dict[int, int]:
    """Return the newest version of each queue among the parcels."""
    newest: dict[int, int] = {}
    for parcel in parcels:
        number, version = parcel.queue.number, parcel.queue.version
        if newest.get(number, 0) < version:
            newest[number] = version
    return newest


def _visible_at(queue: Queue, draft: Draft, now: datetime) -> datetime:
    """Return when a message becomes visible, as the statement has computed it."""
    if draft.deliver_at is not None:
        return max(draft.deliver_at.astimezone(UTC), now)
    delay = queue.config.delay if draft.delay is None else draft.delay
    return now + delay if delay else now


def _plain_columns(queue: Queue, draft: Draft) -> tuple[Any, ...]:
    """Return the parameters of `sends.send_plain`, in their order."""
    return queue.number, queue.version, draft.id, draft.body


def _further_columns(queue: Queue, draft: Draft) -> tuple[Any, ...]:
    """Return the next parameters of `sends.send` and `fifo.send`, up to the group."""
    delay = draft.delay if draft.delay is not None else queue.config.delay
    return delay if draft.deliver_at is None else NOTHING, draft.deliver_at, draft.ttl, draft.size


_given = attrgetter(*COLUMNS["given"])


def _standard_columns(queue: Queue, draft: Draft) -> tuple[Any, ...]:
    further = _further_columns(queue, draft)
    return *_plain_columns(queue, draft), *further, draft.group, draft.urgency, *_given(draft)


def _fifo_columns(queue: Queue, draft: Draft) -> tuple[Any, ...]:
    return *_plain_columns(queue, draft), *_further_columns(queue, draft), draft.group or NO_GROUP, *_given(draft)


def weigh(parcel: Parcel) -> int:
    """Return what a parcel adds to a statement, in bytes."""
    return sum([draft.size for draft in parcel.drafts]) + 100 * len(parcel.drafts)
