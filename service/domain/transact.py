"""Transactions: one request that settles leases and sends messages, wholly or not at all."""

from collections.abc import Sequence
from hashlib import sha256
from uuid import UUID

import msgspec
from msgspec import Struct, structs

from service.domain.once import unique
from service.domain.send import TRIES, fit
from service.domain.settle import Order, open_receipt
from service.errors import InvalidRequest, PayloadTooLarge, Problem, QueueFull, Unavailable, pointed
from service.model import Caller, Draft, Queue
from service.store.sends import StaleQueue
from service.store.settles import Settle
from service.store.store import Store
from service.store.transacts import Done, Name, Transact, name_of


class Outgoing(Struct):
    """A message, and the queue that it is sent to."""

    queue: str
    draft: Draft


async def transact(
    store: Store, caller: Caller, orders: Sequence[Order], outgoing: Sequence[Outgoing], key: str | None
) -> Done:
    """Do it all, or nothing; what was done before is not done again but answered the same.

    `key` names it if it has no orders. Raises a Problem that points at a member, and has done nothing then.
    """
    digest = _digest(orders, outgoing)
    settles = [await _settle(store, caller, order, place) for place, order in enumerate(orders)]
    named = None if key is None or settles else _name(caller, key)
    try:
        return await _transact(store, caller.project_id, Transact(settles, digest, named), outgoing)
    except Problem:
        # Whatever stands in its way by now, it may have been done.
        name = name_of(settles, named)
        if name is None or (done := await store.recall_transaction(name, digest)) is None:
            raise
        return done


def _digest(orders: Sequence[Order], outgoing: Sequence[Outgoing]) -> bytes:
    """Return a hash of what was asked, but for the trace, which is another one each time."""
    sent = [(one.queue, structs.replace(one.draft, traceparent=None, tracestate=None)) for one in outgoing]
    return sha256(msgspec.msgpack.encode((orders, sent))).digest()


def _name(caller: Caller, key: str) -> Name:
    return caller.project_id, 0, UUID(bytes=sha256(key.encode()).digest()[:16])


async def _settle(store: Store, caller: Caller, order: Order, place: int) -> Settle:
    try:
        return await open_receipt(store, caller, order)
    except Problem as problem:
        raise pointed(problem, f"/settle/{place}/receipt") from None


async def _transact(store: Store, project_id: int, item: Transact, outgoing: Sequence[Outgoing]) -> Done:
    """Try with the queues as they are remembered, then as they are."""
    for attempt in range(TRIES):
        try:
            item.parcels, item.places = [], []
            for name, positions in _by_queue(outgoing).items():
                queue = await _queue(store, project_id, name, positions[0], fresh=attempt > 0)
                drafts = [outgoing[position].draft for position in positions]
                for draft in drafts:
                    draft.id = store.identifiers.message()
                queue = await fit(store, queue, drafts, [f"/send/{position}" for position in positions].__getitem__)
                item.parcels.append(unique(queue, drafts))
                item.places.append(positions)
            return await store.transact(item)
        except StaleQueue:
            continue
        except (InvalidRequest, PayloadTooLarge, QueueFull):
            if attempt:
                raise
    raise Unavailable


def _by_queue(outgoing: Sequence[Outgoing]) -> dict[str, list[int]]:
    """Return where the messages of each queue stand."""
    positions: dict[str, list[int]] = {}
    for position, one in enumerate(outgoing):
        positions.setdefault(one.queue, []).append(position)
    return positions


async def _queue(store: Store, project_id: int, name: str, position: int, *, fresh: bool) -> Queue:
    known = None if fresh else store.directory.known(project_id, name)
    try:
        return known or await store.directory.find(project_id, name)
    except Problem as problem:
        raise pointed(problem, f"/send/{position}/queue") from None
