"""Transactions: one request that settles receipts and sends messages, all or nothing."""

from collections.abc import Sequence
from hashlib import sha256
from uuid import UUID

import msgspec
from msgspec import Struct, structs

from service.domain.deduplication import unique
from service.domain.receipts import ReceiptRequest, open_receipt
from service.domain.sends import fit, tries
from service.errors import InvalidRequest, PayloadTooLarge, Problem, QueueFull, Unavailable, pointed
from service.message import Draft
from service.model import Caller, Queue
from service.store.messaging.receipts import Settle
from service.store.messaging.sends import StaleQueue
from service.store.messaging.transactions import Done, Name, Transact, name_of
from service.store.store import Store


class Outgoing(Struct):
    """A message and the queue that it is sent to."""

    queue: str
    draft: Draft


async def transact(
    store: Store, caller: Caller, requests: Sequence[ReceiptRequest], outgoing: Sequence[Outgoing], key: str | None
) -> Done:
    """Settle and send, all or nothing. A transaction that was done before is not done again, but answered the same.

    `key` identifies a transaction without receipts. Raises a Problem that points at a member; then nothing was done.
    """
    digest = _digest(requests, outgoing)
    settles = [await _settle(store, caller, request, place) for place, request in enumerate(requests)]
    named = None if key is None or settles else _name(caller, key)
    try:
        return await _transact(store, caller.project_id, Transact(settles, digest, named), outgoing)
    except Problem:
        # If this transaction was done before, it is answered as it was then, whatever would prevent it now.
        name = name_of(settles, named)
        if name is None or (done := await store.recall_transaction(name, digest)) is None:
            raise
        return done


def _digest(requests: Sequence[ReceiptRequest], outgoing: Sequence[Outgoing]) -> bytes:
    """Return a hash of the request without its trace, which differs each time."""
    sent = [(one.queue, structs.replace(one.draft, traceparent=None, tracestate=None)) for one in outgoing]
    return sha256(msgspec.msgpack.encode((requests, sent))).digest()


def _name(caller: Caller, key: str) -> Name:
    return caller.project_id, 0, UUID(bytes=sha256(key.encode()).digest()[:16])


async def _settle(store: Store, caller: Caller, request: ReceiptRequest, place: int) -> Settle:
    try:
        return await open_receipt(store, caller, request)
    except Problem as problem:
        raise pointed(problem, f"/settle/{place}/receipt") from None


async def _transact(store: Store, project_id: int, item: Transact, outgoing: Sequence[Outgoing]) -> Done:
    """Try with the queues as they are cached, then as they are in the database."""
    for attempt in tries():
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
    """Return the positions of each queue's messages."""
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
