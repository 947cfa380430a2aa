"""Moving messages out of their queue: to its dead-letter queue, to another queue, or deleting them."""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from operator import itemgetter
from typing import Any
from uuid import UUID

from msgspec import Struct

from service.store.database import process_counts
from service.store.database.clock import EPOCH
from service.store.database.connections import Fetches
from service.store.database.ready import Ready
from service.store.database.statements import STATEMENTS
from service.store.messaging import fifo
from service.store.messaging.fifo import GroupKey, MessageKey
from service.telemetry import MESSAGES_DEAD_LETTERED, MESSAGES_DROPPED, MESSAGES_EXPIRED

BATCH_BYTES = 16 * 1024 * 1024

_SIZE = itemgetter("size")
_OPEN = STATEMENTS["moves.open"]
_HOLD = STATEMENTS["moves.hold"]
_MOVE = STATEMENTS["moves.move"]
_STAYED = STATEMENTS["moves.stayed"]


class Candidate(Struct):
    """A message that a statement has found without locking it.

    `number` is its queue's, `fifo` says whether that is a fifo queue, and `version` is the row's when it was found.
    """

    number: int
    id: UUID
    fifo: bool
    version: int

    @property
    def key(self) -> MessageKey:
        """Return what identifies the message."""
        return self.number, self.id


class Departure(Candidate):
    """A message that is to leave its queue.

    With a `reason` it goes to the queue's dead-letter queue, otherwise to the queue with the number `to`. `may_drop`:
    it is deleted if the queue has no dead-letter queue.
    """

    reason: str | None = None
    to: int | None = None
    error: str | None = None
    may_drop: bool = False


class Held(Struct):
    """The rows that `hold` has locked: messages in their order and groups, with the group of each fifo message."""

    keys: list[MessageKey]
    groups: set[GroupKey]
    group_of: dict[MessageKey, GroupKey]


def first_bytes(rows: Sequence[Any]) -> Sequence[Any]:
    """Return the first rows up to BATCH_BYTES by their `size`, which one statement can move in time; at least one."""
    if sum(map(_SIZE, rows)) <= BATCH_BYTES:
        return rows
    within = sum(size <= BATCH_BYTES for size in accumulate(map(_SIZE, rows)))
    return rows[: max(1, within)]


async def move(link: Fetches, departures: Sequence[Departure], ready: Ready) -> list[Departure]:
    """Move messages in the caller's transaction; return those that have left. Adds the targets to `ready`.

    A message whose queue has no dead-letter queue stays, unless it has expired or may be dropped. For messages of fifo
    queues, the caller holds the groups and refreshes them.
    """
    places = [departure.number for departure in departures], [departure.id for departure in departures]
    rows = await link.fetch(
        _MOVE,
        *places,
        [departure.reason for departure in departures],
        [departure.to for departure in departures],
        [departure.error for departure in departures],
        [departure.may_drop for departure in departures],
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
        process_counts.deleted(from_id, messages)
        return
    process_counts.left(from_id, messages, to_id, dead=reason is not None)
    if reason == "expired":
        MESSAGES_EXPIRED.inc(messages)
    elif reason is not None and to_id is None:
        MESSAGES_DROPPED.labels(reason).inc(messages)
    if reason is not None and to_id is not None:
        MESSAGES_DEAD_LETTERED.labels(reason).inc(messages)


async def hold(link: Fetches, candidates: Sequence[Candidate], targets: Mapping[MessageKey, int]) -> Held:
    """Lock groups and then messages, without waiting for those that another transaction holds.

    A message that has changed since it was found is left out, and with it those behind it in its group. `targets` are
    the numbers of the fifo queues that messages go to; the groups there are locked too.
    """
    ordered = {candidate.key: targets.get(candidate.key) for candidate in candidates if candidate.fifo}
    groups, group_of = await fifo.try_lock(link, ordered) if ordered else (set(), {})
    free = [candidate for candidate in candidates if not candidate.fifo or candidate.key in group_of]
    columns = [item.number for item in free], [item.id for item in free], [item.version for item in free]
    places = {row["ord"] - 1 for row in await link.fetch(_HOLD, *columns)} if free else set()
    keys: list[MessageKey] = []
    ended: set[GroupKey] = set()
    for place, candidate in enumerate(free):
        group = group_of.get(candidate.key)
        if place in places and group not in ended:
            keys.append(candidate.key)
        elif group is not None:
            ended.add(group)
    return Held(keys, groups, group_of)


async def move_free(link: Fetches, departures: Sequence[Departure], ready: Ready) -> list[Departure]:
    """Move messages that were found, except those that another transaction holds; return those that were moved.

    The caller gives the messages of a group in their order.
    """
    held = await hold(link, departures, await _targets(link, departures))
    keys = set(held.keys)
    free = [departure for departure in departures if departure.key in keys]
    gone = await move(link, free, ready) if free else []
    removed = [held.group_of[departure.key] for departure in gone if departure.fifo]
    await fifo.refresh(link, list(held.groups), removed, ready)
    return gone


async def _targets(link: Fetches, departures: Sequence[Departure]) -> dict[MessageKey, int]:
    """Return the number of the fifo queue that each message goes to, and create the groups missing there."""
    ordered = [departure for departure in departures if departure.fifo]
    if not ordered:
        return {}
    rows = await link.fetch(
        _OPEN,
        [departure.number for departure in ordered],
        [departure.id for departure in ordered],
        [departure.reason for departure in ordered],
        [departure.to for departure in ordered],
    )
    return {ordered[row["ord"] - 1].key: row["number"] for row in rows}
