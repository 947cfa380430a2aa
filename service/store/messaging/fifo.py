"""The groups of fifo queues: the row of a group says from when on its first messages may be taken.

A transaction that changes messages of a group holds the group's row until it commits: `lock` or `try_lock`, the change,
then `refresh`.
"""

from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any
from uuid import UUID

import asyncpg
from msgspec import Struct

from service.message import Leased
from service.model import MAX_RECEIVE
from service.store.database.connections import Fetches
from service.store.database.ready import Ready
from service.store.database.statements import STATEMENTS
from service.store.messaging.leased import leased
from service.store.messaging.takers import Taker

GroupKey = tuple[int, str]
MessageKey = tuple[int, UUID]

# Groups that one statement locks, few enough not to take long.
MAX_GROUPS = 1000

_READY = STATEMENTS["fifo.ready"]
_TAKE = STATEMENTS["fifo.take"]
_LOCK = STATEMENTS["fifo.lock"]
_LOCK_LEAVING = STATEMENTS["fifo.lock_leaving"]
_TRY_LOCK = STATEMENTS["fifo.try_lock"]
_REFRESH = STATEMENTS["fifo.refresh"]


class Receiver(Struct, eq=False):
    """A receive or a webhook that asks a queue for up to `wanted` messages of up to `bytes` together.

    `messages`: what it got, in order. `webhook`: its id if it is a webhook; otherwise `taker` says who asks.
    """

    wanted: int
    bytes: int
    timeout: timedelta
    messages: list[Leased] = []
    webhook: int | None = None
    taker: Taker | None = None


class Look(Struct):
    """One queue's part of a claim: from which mark on, and for which receivers.

    `seen`: what the look saw, as in `receives.claim`. `groups`: how many were ready, of which `left` were not taken.
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
        """Return how many groups to lock at most, as each has at least one message."""
        return min(sum(receiver.wanted for receiver in self.receivers), MAX_GROUPS)


async def claim(link: Fetches, looks: Sequence[Look], lease: int) -> None:
    """Lease the first messages of ready groups, each group to one receiver, in the caller's transaction."""
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
            receivers[row["receiver"]].messages.append(leased(row))


def _taking(look: Look, receiver: Receiver, place: int, groups: deque[tuple[str, int]]) -> Iterator[tuple[Any, ...]]:
    """Give a receiver groups until it has enough; yield the parameters of `fifo.take` for each."""
    room = receiver.wanted
    taken_by, taken_via = receiver.taker.stored if receiver.taker else (None, None)
    while room > 0 and groups:
        name, depth = groups.popleft()
        wanted = min(room, depth)
        asked = look.number, name, wanted, receiver.bytes, receiver.timeout, receiver.webhook
        yield place, *asked, taken_by, taken_via
        room -= wanted


async def lock(link: Fetches, queue_ids: Sequence[int], message_ids: Sequence[UUID]) -> list[GroupKey | None]:
    """Lock the groups of these messages; return the group of each, or None if the message does not exist any more."""
    return _in_order(await link.fetch(_LOCK, queue_ids, message_ids), len(queue_ids))


async def lock_leaving(
    link: Fetches, leases: tuple[Sequence[int], Sequence[UUID], Sequence[int]], rejected: Sequence[bool | None]
) -> tuple[list[GroupKey | None], set[GroupKey]]:
    """Lock the groups of leased messages, and the groups in dead-letter queues that they may move to; return both.

    `rejected` True: the message leaves its queue; False: it does if it has no delivery left; None: it stays.
    """
    rows = await link.fetch(_LOCK_LEAVING, *leases, rejected)
    targets = {(row["target"], row["name"]) for row in rows if row["target"] is not None}
    return _in_order(rows, len(rejected)), targets


def _in_order(rows: Sequence[asyncpg.Record], messages: int) -> list[GroupKey | None]:
    """Return the group of each message, in the order in which the messages were given."""
    groups: list[GroupKey | None] = [None] * messages
    for row in rows:
        groups[row["ord"] - 1] = row["number"], row["name"]
    return groups


async def try_lock(
    link: Fetches, targets: Mapping[MessageKey, int | None]
) -> tuple[set[GroupKey], dict[MessageKey, GroupKey]]:
    """Lock the groups of these messages, and those of the same name in their `targets`, without waiting.

    Returns the groups that were locked, and the group of each message all of whose groups were.
    """
    columns = [number for number, _ in targets], [message_id for _, message_id in targets], list(targets.values())
    rows = await link.fetch(_TRY_LOCK, *columns)
    held = {(row["number"], row["name"]) for row in rows if row["id"] is None}
    return held, {
        (row["number"], row["id"]): (row["number"], row["name"])
        for row in rows
        if row["id"] is not None
        and (row["number"], row["name"]) in held
        and (row["target"] is None or (row["target"], row["name"]) in held)
    }


async def refresh(link: Fetches, touched: Sequence[GroupKey], removed: Sequence[GroupKey], ready: Ready) -> None:
    """Compute when locked groups are ready, after changes and removals; `removed` names a group for each message."""
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
