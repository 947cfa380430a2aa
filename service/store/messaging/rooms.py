"""Sending into queues that set max_length: the limit is never exceeded, yet messages are counted only now and then.

A process that has counted divides the room that is left between itself and the other processes that send there. Within
its grant a process sends without counting. Deletes only make more room, so grants stay safe; the next count finds the
room that was gained. Senders share an advisory lock that a count takes exclusively, so no send is under way during a
count.

A queue that was found full is not counted again for each send that it refuses, because a count of many messages holds
up the sends to other queues. It stays full until this process has settled a message of it, or for half a second.
"""

import time
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Sequence
from functools import partial

from msgspec import Struct

from service.errors import Problem, QueueFull
from service.model import Queue
from service.store.database.connections import Link
from service.store.database.identifiers import random_number
from service.store.database.statements import STATEMENTS
from service.store.messaging.sends import Parcel, VisibleAt, store

_ENTER = STATEMENTS["rooms.enter"]
_GRANTED = STATEMENTS["rooms.granted"]
_CLOSE = STATEMENTS["rooms.close"]
_COUNT = STATEMENTS["rooms.count"]
_GRANT = STATEMENTS["rooms.grant"]
_WITHDRAW = STATEMENTS["rooms.withdraw"]
_REMEMBERED = 10_000
FULL_SECONDS = 0.5

SendOutcomes = list[VisibleAt | Problem]


class _Room(Struct):
    """The last grant, and how much of it was used since."""

    grant_id: int
    used: int


class _Found(Struct):
    """A full queue: its version, its number of messages, and when they were counted, by time.monotonic()."""

    version: int
    length: int
    at: float


class Rooms:
    """The grants of one process, by the queue's number, and the queues that it has found full, by their id."""

    def __init__(self) -> None:
        self._process = random_number()
        self._rooms: OrderedDict[int, _Room] = OrderedDict()
        self._full: OrderedDict[int, _Found] = OrderedDict()
        # The queue that is being counted, unless a message has left it meanwhile.
        self._counting: int | None = None

    def left(self, queue_ids: Iterable[int]) -> None:
        """Count these queues again at the next send, because messages may have left them."""
        if not self._full and self._counting is None:
            return
        for queue_id in queue_ids:
            self._full.pop(queue_id, None)
            if queue_id == self._counting:
                self._counting = None

    async def store(self, link: Link, parcels: Sequence[Parcel]) -> SendOutcomes:
        """Store parcels of bounded queues, all or nothing of each."""
        outcomes: dict[int, VisibleAt | Problem] = {}
        for mine in _by_queue(parcels):
            stored = await self._store(link, [parcels[place] for place in mine])
            outcomes |= zip(mine, stored, strict=True)
        return [outcomes[place] for place in range(len(parcels))]

    async def _store(self, link: Link, parcels: Sequence[Parcel]) -> SendOutcomes:
        """Store parcels of one queue."""
        queue = parcels[0].queue
        if (found := self._full.get(queue.id)) is not None:
            if found.version == queue.version and time.monotonic() - found.at < FULL_SECONDS:
                return [_full(queue, found.length) for _ in parcels]
            del self._full[queue.id]
        within = await link.atomically(partial(self._within_grant, link, parcels))
        if within is not None:
            return within
        # If the count does not commit, it is unknown how much of an older grant was used.
        self._rooms.pop(queue.number, None)
        stored, grant_id = await link.atomically(partial(self._counted, link, parcels))
        if grant_id is not None:
            self._remember(queue.number, _Room(grant_id, 0))
        return stored

    def _remember_full(self, queue: Queue, length: int) -> None:
        if self._counting != queue.id:
            return
        self._full[queue.id] = _Found(queue.version, length, time.monotonic())
        if len(self._full) > _REMEMBERED:
            self._full.popitem(last=False)

    async def _within_grant(self, link: Link, parcels: Sequence[Parcel]) -> SendOutcomes | None:
        """Store parcels of one queue if the grant is enough for all of them; otherwise return None."""
        queue = parcels[0].queue
        if queue.number not in self._rooms:
            return None
        await link.fetch(_ENTER, queue.number)
        rows = await link.fetch(_GRANTED, queue.number, self._process)
        if not rows or rows[0]["version"] != queue.version:
            return None
        room = self._rooms[queue.number]
        if room.grant_id != rows[0]["grant_id"]:
            self._remember(queue.number, room := _Room(rows[0]["grant_id"], 0))
        wanted = _messages(parcels)
        if room.used + wanted > rows[0]["permits"]:
            return None
        # Counted before storing: if storing fails, it is unknown whether this part of the grant was used.
        room.used += wanted
        return await store(link, parcels)

    async def _counted(self, link: Link, parcels: Sequence[Parcel]) -> tuple[SendOutcomes, int | None]:
        """Count, store what there is room for, and grant the rest; return the grant's id, or None without one."""
        self._counting = parcels[0].queue.id
        outcomes, room = await _store_counted(link, parcels)
        if room <= 0 and all(isinstance(outcome, Problem) for outcome in outcomes):
            self._remember_full(parcels[0].queue, (parcels[0].queue.config.max_length or 0) - room)
            return outcomes, None
        # Granted even if no room is left, because that ends the earlier grants of other processes.
        queue, grant_id = parcels[0].queue, random_number()
        await link.fetch(_GRANT, queue.number, self._process, queue.version, room, grant_id)
        return outcomes, grant_id

    def _remember(self, number: int, room: _Room) -> None:
        self._rooms[number] = room
        if len(self._rooms) > _REMEMBERED:
            self._rooms.popitem(last=False)


async def close(link: Link, number: int) -> None:
    """Keep other transactions from sending into a bounded queue until this one ends."""
    await link.fetch(_CLOSE, number)


async def store_counted(link: Link, parcels: Sequence[Parcel]) -> SendOutcomes:
    """Store parcels of bounded queues after a count, in the caller's transaction, and withdraw all grants."""
    outcomes: dict[int, VisibleAt | Problem] = {}
    for mine in _by_queue(parcels):
        stored, _ = await _store_counted(link, [parcels[place] for place in mine])
        await link.fetch(_WITHDRAW, parcels[mine[0]].queue.number)
        outcomes |= zip(mine, stored, strict=True)
    return [outcomes[place] for place in range(len(parcels))]


async def _store_counted(link: Link, parcels: Sequence[Parcel]) -> tuple[SendOutcomes, int]:
    """Store the parcels of one queue that there is room for; return the outcomes and the room that is left."""
    queue = parcels[0].queue
    limit = queue.config.max_length or 0
    await close(link, queue.number)
    [counted] = await link.fetch(_COUNT, queue.number, limit + 1)
    room = limit - counted["length"]
    accepted = []
    for parcel in parcels:
        if len(parcel.drafts) <= room:
            accepted.append(parcel)
            room -= len(parcel.drafts)
    stored = iter(await store(link, accepted) if accepted else [])
    taken = set(map(id, accepted))
    return [next(stored) if id(parcel) in taken else _full(queue, counted["length"]) for parcel in parcels], room


def _by_queue(parcels: Sequence[Parcel]) -> list[list[int]]:
    """Return the positions of the parcels of each queue."""
    places: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
    for place, parcel in enumerate(parcels):
        places[parcel.queue.number, parcel.queue.version].append(place)
    return list(places.values())


def _messages(parcels: Iterable[Parcel]) -> int:
    return sum(len(parcel.drafts) for parcel in parcels)


def _full(queue: Queue, length: int) -> QueueFull:
    return QueueFull(
        f"The queue {queue.name!r} holds {length} of at most {queue.config.max_length} messages (max_length). "
        "Send again when consumers have made room."
    )
