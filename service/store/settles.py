"""Ending and prolonging leases: many receipts in one statement a verb."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from uuid import UUID

import asyncpg
from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from service.errors import LeaseLost, Problem
from service.model import NOTHING, Action
from service.store import counting, fifo
from service.store.connections import Link
from service.store.moves import Departure, move
from service.store.ready import Ready
from service.store.receipts import receipt_not_found
from service.store.statements import STATEMENTS
from service.store.transactions import driver, transaction
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
    """One thing to do with one lease; a Struct, since one is made for each message and takes a third of the time.

    `until` is the delay of a release (None: until a retry) or the new visibility timeout of an extend. `counted` false
    gives the attempt back. `renewed`: when the lease must end for an extend to be done; at another time, somebody else
    has set it. `remember` false: nobody has the receipt, so nobody can repeat the call. `fifo`: of a fifo
    queue. `pushed`: by a webhook.
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

    @property
    def target(self) -> bytes:
        """Return what two settles of the same message share; also the order in which rows are locked."""
        return self.queue_id.to_bytes(8, "big") + self.message_id.bytes

    def repeats(self, other: "Settle") -> bool:
        """Tell whether this is the same call as another, of the same message."""
        mine, theirs = (self.lease, self.action, self.until), (other.lease, other.action, other.until)
        return mine == theirs and self.renewed == other.renewed


# When the message becomes visible again, or None for a repeat and for a message that is gone.
Settled = datetime | None

Outcomes = dict[Settle, Settled | Problem]

Bundle = Sequence[Settle]

Announce = Callable[[Ready], None]


async def settle_bundles(link: Link, announce: Announce, bundles: Sequence[Bundle]) -> list[list[Settled | Problem]]:
    """Settle what each caller brings; outcomes in the order of each. Announces what others may receive now."""
    ready = Ready()
    outcomes = iter(await settle(link, [item for bundle in bundles for item in bundle], ready))
    announce(ready)
    return [list(islice(outcomes, len(bundle))) for bundle in bundles]


def weigh(bundle: Bundle) -> int:
    """Return what a bundle adds to a statement, in octets."""
    return 1024 * len(bundle)


async def settle(link: Link, settles: Sequence[Settle], ready: Ready) -> list[Settled | Problem]:
    """Do each in the order given, as far as they concern the same message; the same twice is done once."""
    outcomes: Outcomes = {}
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


async def _round(link: Link, settles: list[Settle], ready: Ready) -> Outcomes:
    """Do one thing with each of many messages."""
    standard = [item for item in settles if not item.fifo]
    done = await _standard(link, standard, ready) if standard else {}
    if len(standard) < len(settles):
        ordered = [item for item in settles if item.fifo]
        done |= await link.atomically(partial(_ordered, link, ordered, ready))
    if missing := [item for item in settles if item not in done]:
        done |= await _recall(link, missing)
    return done


async def _standard(link: Link, settles: list[Settle], ready: Ready) -> Outcomes:
    """Settle messages of standard queues; those whose lease is lost are missing from the answer."""
    done = await _attempt(link, settles)
    if leaving := _leaving(settles, done):
        done |= await link.atomically(partial(_leave, link, leaving, ready))
    if missing := [item for item in settles if item not in done]:
        # Perhaps only changed by another while we waited for its lock: a new statement sees what became of it.
        done |= await _attempt(link, missing)
    for item, outcome in done.items():
        if isinstance(outcome, datetime):
            ready.add(item.queue_id, outcome)
    return done


async def _ordered(link: Link, settles: list[Settle], ready: Ready) -> Outcomes:
    """Settle messages of fifo queues, in a transaction that holds their groups."""
    groups = await fifo.lock(link, [item.queue_id for item in settles], [item.message_id for item in settles])
    group_of = {item: group for item, group in zip(settles, groups, strict=True) if group is not None}
    held = list(group_of)
    done = await _attempt(link, held)
    left = await _leave(link, leaving, ready) if (leaving := _leaving(held, done)) else {}
    if stay := [item for item in leaving if item not in left]:
        # The rule by which they had no delivery left was dropped meanwhile.
        done |= await _attempt(link, stay)
    removed = [group_of[item] for item in done if item.action is Action.DELETE] + [group_of[item] for item in left]
    await fifo.refresh(link, list(group_of.values()), removed, ready)
    return done | left


def _leaving(settles: list[Settle], done: Outcomes) -> list[Settle]:
    """Return what may have to leave its queue: what is rejected, and what could not be released."""
    verbs = (Action.REJECT, Action.RELEASE)
    return [item for item in settles if item not in done and item.action in verbs and item.counted]


async def _leave(link: Link, settles: list[Settle], ready: Ready) -> Outcomes:
    """Move what is rejected, or released with no delivery left, to the dead-letter queue; drop it if there is none."""
    rows = await link.fetch(_HOLD, *_leases(settles), [item.action is Action.REJECT for item in settles])
    held = [(settles[row["ord"] - 1], row["number"]) for row in rows]
    if not held:
        return {}
    departures = [
        Departure(number, item.message_id, item.fifo, _reason(item), error=item.error) for item, number in held
    ]
    left = {departure.id for departure in await move(link, departures, ready)}
    gone = [item for item, _ in held if item.message_id in left]
    await link.fetch(_REMEMBER, *_leases(gone), [int(item.action) for item in gone])
    _count(gone)
    return dict.fromkeys(gone)


async def held(engine: AsyncEngine, leases: Sequence[tuple[int, UUID, int]]) -> set[int]:
    """Return the places of those leases (queue, message, lease) that still hold their messages."""

    async def work(connection: AsyncConnection) -> set[int]:
        rows = await (await driver(connection)).fetch(_HELD, *map(list, zip(*leases, strict=True)))
        return {row["ord"] - 1 for row in rows}

    return await transaction(engine, work)


def _reason(item: Settle) -> str:
    if item.action is Action.RELEASE:
        return "max_receives"
    return "push_failed" if item.pushed else "rejected"


async def _attempt(link: Link, settles: list[Settle]) -> Outcomes:
    """Run a statement for each verb that is asked for; what holds no lease any more is missing from the answer."""
    deleted = [item for item in settles if item.action is Action.DELETE]
    extended = [item for item in settles if item.action is Action.EXTEND]
    released = [item for item in settles if item.action is Action.RELEASE]
    done: Outcomes = {}
    if deleted:
        rows = await link.fetch(_DELETE, *_leases(deleted), [int(item.action) for item in deleted])
        gone: list[Settle] = [deleted[row["ord"] - 1] for row in rows]
        for queue_id, messages in Counter([item.queue_id for item in gone]).items():
            counting.deleted(queue_id, messages)
        done |= dict.fromkeys(gone)
    if extended:
        timeouts, renewed = [item.until for item in extended], [item.renewed for item in extended]
        rows = await link.fetch(_EXTEND, *_leases(extended), timeouts, renewed)
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
    """Tell repeats from receipts that were superseded."""
    rows = await link.fetch(_RECALL, *_leases(settles))
    return {settles[row["ord"] - 1]: _recalled(settles[row["ord"] - 1], row) for row in rows}


def _recalled(item: Settle, row: asyncpg.Record) -> Settled | Problem:
    if not row["queue_exists"]:
        return receipt_not_found()
    if row["action"] != item.action or row["given_again"]:
        return LeaseLost()
    return None
