"""Taking messages out of their queue: into a dead-letter queue, into another one, or away."""

from collections.abc import Sequence
from itertools import accumulate
from operator import itemgetter
from typing import Any
from uuid import UUID

from msgspec import Struct

from service.store import counting, fifo
from service.store.clock import EPOCH
from service.store.connections import Fetches
from service.store.ready import Ready
from service.store.statements import STATEMENTS
from service.telemetry import MESSAGES_DEAD_LETTERED, MESSAGES_DROPPED, MESSAGES_EXPIRED

BATCH_BYTES = 16 * 1024 * 1024

_SIZE = itemgetter("size")
_MOVE = STATEMENTS["moves.move"]
_STAYED = STATEMENTS["moves.stayed"]


class Departure(Struct):
    """A message that is to leave the queue of this number; `fifo`: it is a fifo queue.

    With a `reason` it goes to the queue's dead-letter queue, or away if there is none; else to the queue numbered `to`.
    """

    number: int
    id: UUID
    fifo: bool
    reason: str | None = None
    to: int | None = None
    error: str | None = None


def first_bytes(rows: Sequence[Any]) -> Sequence[Any]:
    """Return the first rows, as many as a statement moves within its time whatever their `size`; one at least."""
    if sum(map(_SIZE, rows)) <= BATCH_BYTES:
        return rows
    within = sum(size <= BATCH_BYTES for size in accumulate(map(_SIZE, rows)))
    return rows[: max(1, within)]


async def move(link: Fetches, departures: Sequence[Departure], ready: Ready) -> list[Departure]:
    """Move messages, and note who may receive them; return those that have left.

    One stays whose queue has no dead-letter queue any more: it has deliveries left again. Runs in the caller's
    transaction. Messages of fifo queues: the caller holds their groups, and refreshes them.
    """
    places = [departure.number for departure in departures], [departure.id for departure in departures]
    rows = await link.fetch(
        _MOVE,
        *places,
        [departure.reason for departure in departures],
        [departure.to for departure in departures],
        [departure.error for departure in departures],
    )
    for row in rows:
        _count(row["reason"], row["from_id"], row["to_id"], row["messages"])
        if row["to_id"] is not None:
            ready.add(row["to_id"], EPOCH)
    if sum(row["messages"] for row in rows) == len(departures):
        return list(departures)
    stayed = {row["ord"] - 1 for row in await link.fetch(_STAYED, *places)}
    return [departure for place, departure in enumerate(departures) if place not in stayed]


def _count(reason: str | None, from_id: int, to_id: int | None, messages: int) -> None:
    if reason is None and to_id is None:
        counting.deleted(from_id, messages)
        return
    counting.left(from_id, messages, to_id, dead=reason is not None)
    if reason == "expired":
        MESSAGES_EXPIRED.inc(messages)
    elif reason is not None and to_id is None:
        MESSAGES_DROPPED.labels(reason).inc(messages)
    if reason is not None and to_id is not None:
        MESSAGES_DEAD_LETTERED.labels(reason).inc(messages)


async def move_free(link: Fetches, departures: Sequence[Departure], ready: Ready) -> list[Departure]:
    """Move messages whose rows the caller has locked, but for those whose group somebody else holds at this moment.

    Nobody waits for anybody, so it does not matter that others lock the group first. Return what was moved.
    """
    ordered = [(departure.number, departure.id) for departure in departures if departure.fifo]
    groups = await fifo.try_lock(link, ordered) if ordered else {}
    free = [departure for departure in departures if not departure.fifo or (departure.number, departure.id) in groups]
    if not free:
        return []
    gone = await move(link, free, ready)
    removed = [groups[departure.number, departure.id] for departure in gone if departure.fifo]
    await fifo.refresh(link, list(groups.values()), removed, ready)
    return gone
