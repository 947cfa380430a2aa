"""Transactions over HTTP: leases settled and messages sent, all or nothing, and remembered by their receipts.

Locks in the order that holds everywhere: the key, deduplication, length, group, message. What is asked again finds its
first answer once it has got the locks that the first one held.
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
from service.store import deduplication, settles
from service.store.connections import Fetches, Link
from service.store.deduplication import Again, Sent, Unique
from service.store.lane import MAX_BYTES
from service.store.ready import Ready
from service.store.receipts import receipt_not_found
from service.store.settles import Settle, Settled
from service.store.statements import STATEMENTS
from service.store.transactions import by_index, driver, transaction

_LOCK_KEY = STATEMENTS["transacts.lock_key"]
_LOCK_GROUPS = STATEMENTS["transacts.lock_groups"]
_HOLD = STATEMENTS["transacts.hold"]
_RECALL = STATEMENTS["transacts.recall"]
_LOST = STATEMENTS["transacts.lost"]
_REMEMBER = STATEMENTS["transacts.remember"]

# Queue id or project id, lease, message id or hash: what an answer is found by.
Name = tuple[int, int, UUID]


class Transact(Struct):
    """One transaction. `places` has, for each parcel, where its messages stand in the request.

    `digest` is of all that was asked; `key` names it when it has no receipts.
    """

    settles: list[Settle]
    digest: bytes
    key: Name | None = None
    parcels: list[Unique] = []
    places: list[list[int]] = []

    @property
    def name(self) -> Name | None:
        """Return what it is remembered by, if it is."""
        return name_of(self.settles, self.key)


def name_of(items: Sequence[Settle], key: Name | None) -> Name | None:
    """Return what a transaction is remembered by: its first receipt, else its key."""
    if items:
        return items[0].queue_id, items[0].lease, items[0].message_id
    return key


class Done(Struct):
    """What was done: when each message that was settled is visible again, and what was sent, in the order given."""

    settled: list[Settled]
    sent: list[Sent]


class _Repeated(Exception):  # noqa: N818 - not an error: it takes the transaction back
    """It was done before."""

    def __init__(self, done: Done) -> None:
        super().__init__()
        self.done = done


async def transact(link: Link, announce: settles.Announce, items: Sequence[Transact]) -> list[Done | Problem]:
    """Do each, in a transaction of its own."""
    return [await _transact(link, announce, item) for item in items]


def weigh(_item: Transact) -> int:
    """Let a lane take one at a time: none is to wait for the end of another that began with it."""
    return MAX_BYTES


async def _transact(link: Link, announce: settles.Announce, item: Transact) -> Done | Problem:
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
            # This one's alone: those that wait behind it go on.
            return problem
        else:
            announce(ready)
            return done


async def _attempt(link: Link, item: Transact) -> tuple[Done, Ready]:
    """Do it, in a transaction of the caller's. Raises Problem, Again, _Repeated."""
    parcels, ready = dict(enumerate(item.parcels)), Ready()
    if item.key is not None:
        await link.fetch(_LOCK_KEY, item.key[2].int >> 65)
    taken = await deduplication.take(link, parcels)
    missing = await _lock(link, item)
    if item.name is not None and (done := await _recall(link, item.name, item.digest)) is not None:
        raise _Repeated(done)
    if missing:
        await _refuse_lost(link, item, missing)
    settled = await _settle(link, item.settles, ready)
    sent = await deduplication.store_taken(link, parcels, taken)
    ordered: dict[int, Sent] = {}
    for place, sents in sent.items():
        ordered |= zip(item.places[place], sents, strict=True)
        for one in sents:
            if not one.duplicate:
                ready.add(parcels[place].queue.id, one.visible_at)
    done = Done(settled, [ordered[position] for position in range(len(ordered))])
    if item.name is not None:
        await _remember(link, item, done)
    return done, ready


async def _lock(link: Link, item: Transact) -> list[Settle]:
    """Hold everything it is going to change; return the settles whose leases are lost."""
    await deduplication.lock_lengths(link, item.parcels)
    leased = [settle for settle in item.settles if settle.fifo]
    groups = [
        (parcel.queue.number, draft.group or NO_GROUP)
        for parcel in item.parcels
        if parcel.queue.is_fifo
        for draft in parcel.drafts
    ]
    if leased or groups:
        await link.fetch(
            _LOCK_GROUPS,
            [settle.queue_id for settle in leased],
            [settle.message_id for settle in leased],
            [number for number, _ in groups],
            [name for _, name in groups],
        )
    missing = sorted(item.settles, key=lambda settle: settle.target)
    # A row that was changed while it was waited for is missing from the first answer.
    for _ in range(2):
        if missing:
            held = {row["ord"] for row in await link.fetch(_HOLD, *_leases(missing))}
            missing = [settle for place, settle in enumerate(missing, 1) if place not in held]
    return missing


def _leases(items: Sequence[Settle]) -> tuple[list[int], list[UUID], list[int]]:
    return [item.queue_id for item in items], [item.message_id for item in items], [item.lease for item in items]


async def _refuse_lost(link: Link, item: Transact, missing: Sequence[Settle]) -> NoReturn:
    """Raise the problem of the first one whose lease is lost."""
    lost = [settle for settle in item.settles if settle in missing]
    [row, *_] = await link.fetch(_LOST, *_leases(lost))
    problem: Problem = LeaseLost()
    if not row["queue_exists"]:
        problem = receipt_not_found()
    elif row["spent"]:
        problem = _other_content("This receipt was spent by another transaction.")
    raise pointed(problem, f"/settle/{item.settles.index(lost[0])}/receipt")


def _other_content(what: str) -> Conflict:
    return Conflict(f"{what} Nothing was done. What is repeated has to be the same in every member.")


async def _settle(link: Link, items: Sequence[Settle], ready: Ready) -> list[Settled]:
    """Settle what is held. Raises Problem when one member undoes what another needs."""
    settled: list[Settled] = []
    for place, outcome in enumerate(await settles.settle(link, items, ready)):
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
    """Return what the same transaction was answered. Raises Conflict when the key was another transaction's."""
    queue_id, lease, message_id = name
    rows = await link.fetch(_RECALL, queue_id, lease, message_id)
    for row in rows:
        if row["digest"] == digest:
            return msgspec.msgpack.decode(row["answer"], type=Done)
    if rows and not lease:
        raise _other_content("This Idempotency-Key was used for another transaction.")
    return None


async def recall(engine: AsyncEngine, name: Name, digest: bytes) -> Done | None:
    """Return what the same transaction was answered, if it was done. Raises Conflict."""

    async def work(connection: AsyncConnection) -> Done | None:
        await by_index(connection)
        return await _recall(await driver(connection), name, digest)

    return await transaction(engine, work)
