"""The groups of fifo queues: who holds one, and from when on its first messages may be taken.

Whoever changes messages of a group holds its row until the commit: `lock` or `try_lock`, the change, `refresh`.
"""

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any
from uuid import UUID

import asyncpg
from msgspec import Struct

from service.model import MAX_RECEIVE
from service.store.connections import Fetches
from service.store.ready import Ready
from service.store.statements import STATEMENTS

Group = tuple[int, str]
MessageKey = tuple[int, UUID]

# As many as one statement locks without taking long.
MAX_GROUPS = 1000

_READY = STATEMENTS["fifo.ready"]
_TAKE = STATEMENTS["fifo.take"]
_LOCK = STATEMENTS["fifo.lock"]
_TRY_LOCK = STATEMENTS["fifo.try_lock"]
_REFRESH = STATEMENTS["fifo.refresh"]


class Receiver(Struct, eq=False):
    """One of those who ask a queue: how many messages it takes, of how many bytes; `rows` are what it got, in order.

    `webhook`: the one that asks, if it is one.
    """

    wanted: int
    bytes: int
    timeout: timedelta
    rows: list[asyncpg.Record] = []
    webhook: int | None = None


class Look(Struct):
    """One queue's part of a claim: from which mark on, for whom.

    `seen` is what the look saw, as in `messages.claim`; `groups` were ready, of which `left` were not taken.
    """

    number: int
    version: int
    mark: datetime
    receivers: list[Receiver]
    seen: asyncpg.Record | None = None
    groups: int = 0
    left: int = 0

    @property
    def limit(self) -> int:
        """Return how many groups it takes at most: each has one message at least."""
        return min(sum(receiver.wanted for receiver in self.receivers), MAX_GROUPS)


async def claim(link: Fetches, looks: Sequence[Look], lease: int) -> None:
    """Lease the first messages of ready groups, each group to one receiver. Runs in the caller's transaction."""
    rows = await link.fetch(
        _READY,
        [look.number for look in looks],
        [look.version for look in looks],
        [look.mark for look in looks],
        [look.limit for look in looks],
    )
    ready: list[deque[tuple[str, int]]] = [deque() for _ in looks]
    for row in rows:
        if row["name"] is None:
            looks[row["ord"] - 1].seen = row
        else:
            ready[row["ord"] - 1].append((row["name"], row["depth"]))
    receivers: list[Receiver] = []
    taking: list[tuple[Any, ...]] = []
    for look, groups in zip(looks, ready, strict=True):
        look.groups = len(groups)
        for receiver in look.receivers:
            taking += _taking(look, receiver, len(receivers), groups)
            receivers.append(receiver)
        look.left = len(groups)
    if taking:
        taken = await link.fetch(_TAKE, *map(list, zip(*taking, strict=True)), lease)
        for row in sorted(taken, key=itemgetter("ord", "seq")):
            receivers[row["receiver"]].rows.append(row)


def _taking(look: Look, receiver: Receiver, place: int, groups: deque[tuple[str, int]]) -> Iterator[tuple[Any, ...]]:
    """Give a receiver groups until it has enough; yield the parameters of `fifo.take` for each."""
    room = receiver.wanted
    while room > 0 and groups:
        name, depth = groups.popleft()
        wanted = min(room, depth)
        yield place, look.number, name, wanted, receiver.bytes, receiver.timeout, receiver.webhook
        room -= wanted


async def lock(link: Fetches, queue_ids: Sequence[int], message_ids: Sequence[UUID]) -> list[Group | None]:
    """Hold the groups of these messages; return the group of each, None where the message is gone."""
    rows = await link.fetch(_LOCK, queue_ids, message_ids)
    groups: list[Group | None] = [None] * len(queue_ids)
    for row in rows:
        groups[row["ord"] - 1] = row["number"], row["name"]
    return groups


async def try_lock(link: Fetches, messages: Sequence[MessageKey]) -> dict[MessageKey, Group]:
    """Hold the groups of these messages as far as they are free; return the messages of those, with their groups."""
    rows = await link.fetch(_TRY_LOCK, [number for number, _ in messages], [message_id for _, message_id in messages])
    held = {(row["number"], row["name"]) for row in rows if row["id"] is None}
    groups = {(row["number"], row["id"]): (row["number"], row["name"]) for row in rows if row["id"] is not None}
    return {message: group for message, group in groups.items() if group in held}


async def refresh(link: Fetches, touched: Sequence[Group], removed: Sequence[Group], ready: Ready) -> None:
    """Work out when held groups are ready, after changes and removals (one group for each message removed)."""
    counts = Counter(removed)
    groups = sorted({*touched, *removed})
    if not groups:
        return
    rows = await link.fetch(
        _REFRESH,
        [number for number, _ in groups],
        [name for _, name in groups],
        [counts[group] for group in groups],
        MAX_RECEIVE + 1,
    )
    for row in rows:
        ready.add(row["queue_id"], row["ready_at"])
