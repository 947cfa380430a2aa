"""Settling: ending and extending leases, with one statement for each verb and many receipts."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from uuid import UUID

import asyncpg
from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from service.errors import LeaseLost, NoDeadLetterQueue, Problem
from service.model import MAX_RECEIVE, NOTHING, Action
from service.store.database import process_counts
from service.store.database.connections import Link
from service.store.database.ready import Ready
from service.store.database.statements import STATEMENTS
from service.store.database.transaction import driver, transaction
from service.store.messaging import fifo
from service.store.messaging.moves import Departure, move
from service.store.messaging.receipt_seal import receipt_not_found
from service.telemetry import MESSAGES_SETTLED

_DELETE = STATEMENTS["receipts.delete"]
_EXTEND = STATEMENTS["receipts.extend"]
_RELEASE = STATEMENTS["receipts.release"]
_HOLD = STATEMENTS["receipts.hold"]
_HELD = STATEMENTS["receipts.held"]
_REMEMBER = STATEMENTS["receipts.remember"]
_RECALL = STATEMENTS["receipts.recall"]
_SETTLED = {action: MESSAGES_SETTLED.labels(action=action.name.lower()) for action in Action}


class Settle(Struct, eq=False):
    """One action on one lease. A Struct, because one is made for each message, in a third of a dataclass's time.

    `until`: the delay of a release (None: until a retry) or the new visibility timeout of an extend. `counted` False:
    the delivery is not counted. `renewed`: an extend is done only if the lease ends at this time; otherwise another
    request has set it. `remember` False: no consumer has the receipt, so the call cannot be repeated. `fifo`: the
    message is in a fifo queue. `pushed`: the lease is a webhook's. `drop`: a rejected message may be deleted if there
    is no dead-letter queue.
    """

    queue_id: int
    message_id: UUID
    lease: int
    action: Action
    until: timedelta | None = NOTHING
    error: str | None = None
    counted: bool = True
    renewed: datetime | None = None
    remember: bool = True
    fifo: bool = False
    pushed: bool = False
    drop: bool = False

    @property
    def target(self) -> bytes:
        """Return what identifies the message; rows are locked in the order of these values."""
        return self.queue_id.to_bytes(8, "big") + self.message_id.bytes

    @property
    def rejected(self) -> bool | None:
        """Return whether the message leaves its queue. False: it does if it has no delivery left; None: it stays."""
        if self.action is Action.REJECT:
            return True
        return False if self.action is Action.RELEASE and self.counted else None

    def repeats(self, other: "Settle") -> bool:
        """Return whether this is the same call as another one for the same message."""
        mine, theirs = (self.lease, self.action, self.until), (other.lease, other.action, other.until)
        return mine == theirs and (self.renewed, self.drop) == (other.renewed, other.drop)


# When the message becomes visible again, or None for a repeat and for a message that has left its queue.
Settled = datetime | None

SettleOutcomes = dict[Settle, Settled | Problem]

Bundle = Sequence[Settle]

Announce = Callable[[Ready], None]


async def settle_bundles(link: Link, announce: Announce, bundles: Sequence[Bundle]) -> list[list[Settled | Problem]]:
    """Settle the bundle of each caller, with outcomes in its order, and announce what may be received now."""
    ready = Ready()
    outcomes = iter(await settle(link, [item for bundle in bundles for item in bundle], ready))
    announce(ready)
    return [list(islice(outcomes, len(bundle))) for bundle in bundles]


def weigh(bundle: Bundle) -> int:
    """Return what a bundle adds to a statement, in bytes."""
    return 1024 * len(bundle)


async def settle(link: Link, settles: Sequence[Settle], ready: Ready) -> list[Settled | Problem]:
    """Settle receipts. Those of the same message are done in the given order, and the same call twice only once."""
    outcomes: SettleOutcomes = {}
    repeats: dict[Settle, Settle] = {}
    waiting = settles
    while waiting:
        now: dict[bytes, Settle] = {}
        later = []
        for item in waiting:
            first = now.setdefault(item.target, item)
            if first is not item and item.repeats(first):
                repeats[item] = first
            elif first is not item:
                later.append(item)
        outcomes |= await _round(link, [now[target] for target in sorted(now)], ready)
        waiting = later
    return [outcomes[repeats.get(item, item)] for item in settles]


async def _round(link: Link, settles: list[Settle], ready: Ready) -> SettleOutcomes:
    """Settle many messages, each at most once."""
    standard = [item for item in settles if not item.fifo]
    done = await _standard(link, standard, ready) if standard else {}
    if len(standard) < len(settles):
        ordered = [item for item in settles if item.fifo]
        done |= await link.atomically(partial(_ordered, link, ordered, ready))
    if missing := [item for item in settles if item not in done]:
        done |= await _recall(link, missing)
    return done


async def _standard(link: Link, settles: list[Settle], ready: Ready) -> SettleOutcomes:
    """Settle messages of standard queues; those whose lease is lost are missing from the outcomes."""
    done = await _attempt(link, settles)
    if leaving := _leaving(settles, done):
        done |= await link.atomically(partial(_leave, link, leaving, ready))
    if missing := [item for item in settles if item not in done]:
        # A row may be missing only because it changed while the statement waited for its lock: its newest version is
        # not in that statement's snapshot. A new statement sees it.
        done |= await _attempt(link, missing)
    for item, outcome in done.items():
        if isinstance(outcome, datetime):
            ready.add(item.queue_id, outcome)
    return done


async def _ordered(link: Link, settles: list[Settle], ready: Ready) -> SettleOutcomes:
    """Settle messages of fifo queues, in a transaction that holds their groups."""
    groups, targets = await _lock_groups(link, settles)
    group_of = {item: group for item, group in zip(settles, groups, strict=True) if group is not None}
    held = list(group_of)
    done: SettleOutcomes = {}
    for part in _one_holder_each(group_of):
        done |= await _attempt(link, part)
    left = await _leave(link, leaving, ready) if (leaving := _leaving(held, done)) else {}
    if stay := [item for item in leaving if item not in left]:
        # The queue's dead-letter rule, by which they had no delivery left, was removed meanwhile.
        done |= await _attempt(link, stay)
    gone = [item for item, outcome in left.items() if outcome is None]
    removed = [group_of[item] for item in done if item.action is Action.DELETE] + [group_of[item] for item in gone]
    await fifo.refresh(link, [*group_of.values(), *targets], removed, ready)
    return done | left


async def _lock_groups(link: Link, settles: list[Settle]) -> tuple[list[fifo.GroupKey | None], set[fifo.GroupKey]]:
    """Lock the group of each message, and those in dead-letter queues that messages may move to."""
    leases, rejected = _leases(settles), [item.rejected for item in settles]
    if any(leaves is not None for leaves in rejected):
        return await fifo.lock_leaving(link, leases, rejected)
    return await fifo.lock(link, *leases[:2]), set()


def _one_holder_each(group_of: Mapping[Settle, fifo.GroupKey]) -> list[list[Settle]]:
    """Return settles in parts, each of which extends in every group only messages of one lease.

    Within one statement, neither of two holders of a group would see that the other one is getting hold of it again.
    """
    parts: list[tuple[list[Settle], dict[fifo.GroupKey, int]]] = [([], {})]
    for item, group in group_of.items():
        place = 0
        if item.action is Action.EXTEND:
            while parts[place][1].setdefault(group, item.lease) != item.lease:
                place += 1
                if place == len(parts):
                    parts.append(([], {}))
        parts[place][0].append(item)
    return [part for part, _ in parts]


def _leaving(settles: list[Settle], done: SettleOutcomes) -> list[Settle]:
    """Return the settles whose messages may have to leave their queue: rejected, or not released by the statement."""
    return [item for item in settles if item not in done and item.rejected is not None]


async def _leave(link: Link, settles: list[Settle], ready: Ready) -> SettleOutcomes:
    """Move messages that are rejected, or released without a delivery left, to the dead-letter queue.

    If there is none, a rejected message is deleted if it may be dropped; otherwise its outcome is a problem.
    """
    rows = await link.fetch(_HOLD, *_leases(settles), [item.rejected for item in settles])
    held = [(settles[row["ord"] - 1], row["number"]) for row in rows]
    if not held:
        return {}
    departures = [
        Departure(number, item.message_id, item.fifo, 0, _reason(item), error=item.error, may_drop=item.drop)
        for item, number in held
    ]
    left = {departure.id for departure in await move(link, departures, ready)}
    gone = [item for item, _ in held if item.message_id in left]
    await link.fetch(_REMEMBER, *_leases(gone), [int(item.action) for item in gone])
    _count(gone)
    stuck = [item for item, _ in held if item.action is Action.REJECT and item.message_id not in left]
    return {**dict.fromkeys(gone), **dict.fromkeys(stuck, NoDeadLetterQueue())}


async def held(engine: AsyncEngine, leases: Sequence[tuple[int, UUID, int]]) -> set[int]:
    """Return the positions of the leases (queue id, message id, lease) that still hold their messages."""

    async def work(connection: AsyncConnection) -> set[int]:
        rows = await (await driver(connection)).fetch(_HELD, *map(list, zip(*leases, strict=True)))
        return {row["ord"] - 1 for row in rows}

    return await transaction(engine, work)


def _reason(item: Settle) -> str:
    if item.action is Action.RELEASE:
        return "max_receives"
    return "push_failed" if item.pushed else "rejected"


async def _attempt(link: Link, settles: list[Settle]) -> SettleOutcomes:
    """Run a statement for each verb; settles whose lease no longer holds are missing from the outcomes."""
    deleted = [item for item in settles if item.action is Action.DELETE]
    extended = [item for item in settles if item.action is Action.EXTEND]
    released = [item for item in settles if item.action is Action.RELEASE]
    done: SettleOutcomes = {}
    if deleted:
        rows = await link.fetch(_DELETE, *_leases(deleted), [int(item.action) for item in deleted])
        gone: list[Settle] = [deleted[row["ord"] - 1] for row in rows]
        for queue_id, messages in Counter([item.queue_id for item in gone]).items():
            process_counts.deleted(queue_id, messages)
        done |= dict.fromkeys(gone)
    if extended:
        timeouts, renewed = [item.until for item in extended], [item.renewed for item in extended]
        rows = await link.fetch(_EXTEND, *_leases(extended), timeouts, renewed, MAX_RECEIVE + 1)
        done |= _visible(extended, rows)
    if released:
        rows = await link.fetch(
            _RELEASE,
            *_leases(released),
            [item.until for item in released],
            [item.error for item in released],
            [item.counted for item in released],
            [item.remember for item in released],
        )
        done |= _visible(released, rows)
    _count(done)
    return done


def _count(done: Iterable[Settle]) -> None:
    for action, count in Counter(item.action for item in done).items():
        _SETTLED[action].inc(count)


def _leases(settles: list[Settle]) -> tuple[list[int], list[UUID], list[int]]:
    return (
        [item.queue_id for item in settles],
        [item.message_id for item in settles],
        [item.lease for item in settles],
    )


def _visible(settles: list[Settle], rows: list[asyncpg.Record]) -> dict[Settle, Settled | Problem]:
    return {settles[row["ord"] - 1]: row["visible_at"] for row in rows}


async def _recall(link: Link, settles: list[Settle]) -> dict[Settle, Settled | Problem]:
    """Return the outcomes of receipts without a lease: a repeat of an earlier call, or a problem."""
    rows = await link.fetch(_RECALL, *_leases(settles))
    return {settles[row["ord"] - 1]: _recalled(settles[row["ord"] - 1], row) for row in rows}


def _recalled(item: Settle, row: asyncpg.Record) -> Settled | Problem:
    if not row["queue_exists"]:
        return receipt_not_found()
    if row["action"] != item.action or row["given_again"]:
        return LeaseLost()
    return None
