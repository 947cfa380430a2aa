"""Transactions over HTTP: receipts are settled and messages sent, all or nothing, and remembered by their receipts.

Locks are taken in the order that applies everywhere: key, deduplication, length, group, message. A repeated request
finds the first answer once it has got the locks that the first one held.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, NoReturn
from uuid import UUID

import msgspec
from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from service.errors import Conflict, LeaseLost, Problem, Unavailable, pointed
from service.model import NO_GROUP, Action
from service.store.database.connections import Fetches, Link
from service.store.database.lane import MAX_BYTES
from service.store.database.ready import Ready
from service.store.database.statements import STATEMENTS
from service.store.database.transaction import by_index, driver, transaction
from service.store.messaging import deduplication, receipts
from service.store.messaging.deduplication import Again, SentOnce, Unique
from service.store.messaging.receipt_seal import receipt_not_found
from service.store.messaging.receipts import Settle, Settled

_LOCK_KEY = STATEMENTS["transactions.lock_key"]
_LOCK_GROUPS = STATEMENTS["transactions.lock_groups"]
_HOLD = STATEMENTS["transactions.hold"]
_RECALL = STATEMENTS["transactions.recall"]
_LOST = STATEMENTS["transactions.lost"]
_REMEMBER = STATEMENTS["transactions.remember"]

# An answer is found by the queue id, lease and message id of a receipt, or by the project id, 0 and the hash of a key.
Name = tuple[int, int, UUID]


class Transact(Struct):
    """One transaction.

    `digest`: a hash of the whole request. `key`: identifies a transaction without receipts. `places`: for each parcel,
    the positions of its messages in the request.
    """

    settles: list[Settle]
    digest: bytes
    key: Name | None = None
    parcels: list[Unique] = []
    places: list[list[int]] = []

    @property
    def name(self) -> Name | None:
        """Return what the transaction is remembered by, or None."""
        return name_of(self.settles, self.key)


def name_of(items: Sequence[Settle], key: Name | None) -> Name | None:
    """Return what a transaction is remembered by: its first receipt, or else its key."""
    if items:
        return items[0].queue_id, items[0].lease, items[0].message_id
    return key


class Done(Struct):
    """The result: when each settled message becomes visible again, and the messages that were sent, in their order."""

    settled: list[Settled]
    sent: list[SentOnce]


class _Repeated(Exception):  # noqa: N818 - not an error: it rolls the transaction back
    """The transaction was done before, with this result."""

    def __init__(self, done: Done) -> None:
        super().__init__()
        self.done = done


async def transact(link: Link, announce: receipts.Announce, items: Sequence[Transact]) -> list[Done | Problem]:
    """Run each item in a database transaction of its own."""
    return [await _transact(link, announce, item) for item in items]


def weigh(_item: Transact) -> int:
    """Make a lane take one item at a time, so that none waits for the end of another that it shares a batch with."""
    return MAX_BYTES


async def _transact(link: Link, announce: receipts.Announce, item: Transact) -> Done | Problem:
    while True:
        try:
            done, ready = await link.atomically(partial(_attempt, link, item))
        except _Repeated as repeated:
            return repeated.done
        except Again as again:
            if again.problems:
                place, problem = next(iter(again.problems.items()))
                return pointed(problem, f"/send/{item.places[place][0]}/queue")
        except Unavailable:
            raise
        except Problem as problem:
            # The problem is this item's alone and does not affect those behind it in the lane.
            return problem
        else:
            announce(ready)
            return done


async def _attempt(link: Link, item: Transact) -> tuple[Done, Ready]:
    """Run an item in the caller's database transaction. Raises Problem, Again, _Repeated."""
    parcels, ready = dict(enumerate(item.parcels)), Ready()
    if item.key is not None:
        await link.fetch(_LOCK_KEY, item.key[2].int >> 65)
    taken = await deduplication.take(link, parcels)
    plan = deduplication.plan(parcels, taken)
    missing = await _lock(link, item, plan)
    if item.name is not None and (done := await _recall(link, item.name, item.digest)) is not None:
        raise _Repeated(done)
    if missing:
        await _refuse_lost(link, item, missing)
    settled = await _settle(link, item.settles, ready)
    sent = await deduplication.store_planned(link, parcels, plan)
    ordered: dict[int, SentOnce] = {}
    for place, sents in sent.items():
        ordered |= zip(item.places[place], sents, strict=True)
        for one in sents:
            if not one.duplicate:
                ready.add(parcels[place].queue.id, one.visible_at)
    done = Done(settled, [ordered[position] for position in range(len(ordered))])
    if item.name is not None:
        await _remember(link, item, done)
    return done, ready


async def _lock(link: Link, item: Transact, plan: deduplication.Plan) -> list[Settle]:
    """Lock everything that the item is going to change; return the settles whose leases are lost."""
    await deduplication.lock_lengths(link, item.parcels)
    leased = [settle for settle in item.settles if settle.fifo]
    groups = [
        (parcel.queue.number, parcel.drafts[position].group or NO_GROUP)
        for place, parcel in enumerate(item.parcels)
        if parcel.queue.is_fifo
        for position in plan.new[place]
    ]
    if leased or groups:
        await link.fetch(
            _LOCK_GROUPS,
            *_leases(leased),
            [settle.rejected for settle in leased],
            [number for number, _ in groups],
            [name for _, name in groups],
        )
    missing = sorted(item.settles, key=lambda settle: settle.target)
    # A row that changed while the first statement waited for its lock is missing there, and found by the second.
    for _ in range(2):
        if missing:
            held = {row["ord"] for row in await link.fetch(_HOLD, *_leases(missing))}
            missing = [settle for place, settle in enumerate(missing, 1) if place not in held]
    return missing


def _leases(items: Sequence[Settle]) -> tuple[list[int], list[UUID], list[int]]:
    return [item.queue_id for item in items], [item.message_id for item in items], [item.lease for item in items]


async def _refuse_lost(link: Link, item: Transact, missing: Sequence[Settle]) -> NoReturn:
    """Raise the problem of the first settle whose lease is lost."""
    lost = [settle for settle in item.settles if settle in missing]
    [row, *_] = await link.fetch(_LOST, *_leases(lost))
    problem: Problem = LeaseLost()
    if not row["queue_exists"]:
        problem = receipt_not_found()
    elif row["spent"]:
        problem = _other_content("This receipt was spent by another transaction.")
    raise pointed(problem, f"/settle/{item.settles.index(lost[0])}/receipt")


def _other_content(what: str) -> Conflict:
    return Conflict(f"{what} Nothing was done. A repeated transaction must be the same in every member.")


async def _settle(link: Link, items: Sequence[Settle], ready: Ready) -> list[Settled]:
    """Settle messages that are locked. Raises Problem if one member undoes what another needs."""
    settled: list[Settled] = []
    for place, outcome in enumerate(await receipts.settle(link, items, ready)):
        if isinstance(outcome, Problem):
            raise pointed(outcome, f"/settle/{place}/receipt")
        settled.append(outcome)
    return settled


async def _remember(link: Link, item: Transact, done: Done) -> None:
    names: list[tuple[Any, ...]] = [
        (settle.queue_id, settle.message_id, settle.lease, settle.action is not Action.EXTEND)
        for settle in item.settles
    ]
    if item.key is not None:
        project_id, lease, key = item.key
        names = [(project_id, key, lease, False)]
    answer = msgspec.msgpack.encode(done, enc_hook=str)
    await link.fetch(_REMEMBER, *map(list, zip(*names, strict=True)), item.digest, answer)


async def _recall(link: Fetches, name: Name, digest: bytes) -> Done | None:
    """Return the result of the same transaction, or None. Raises Conflict if its key was used for another one."""
    queue_id, lease, message_id = name
    rows = await link.fetch(_RECALL, queue_id, lease, message_id)
    for row in rows:
        if row["digest"] == digest:
            return msgspec.msgpack.decode(row["answer"], type=Done)
    if rows and not lease:
        raise _other_content("This Idempotency-Key was used for another transaction.")
    return None


async def recall(engine: AsyncEngine, name: Name, digest: bytes) -> Done | None:
    """Return the result of the same transaction if it was done before, or else None. Raises Conflict."""

    async def work(connection: AsyncConnection) -> Done | None:
        await by_index(connection)
        return await _recall(await driver(connection), name, digest)

    return await transaction(engine, work)
