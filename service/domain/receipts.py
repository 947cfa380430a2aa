"""Settling: delete, extend, release or reject a message by its receipt."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from service.errors import Forbidden, Problem
from service.model import NOTHING, Action, Caller
from service.store.messaging.receipt_seal import receipt_not_found
from service.store.messaging.receipts import Settle
from service.store.store import Store


class ReceiptRequest(Struct):
    """A consumer's request to settle one receipt; `until` and `drop` are as in `Settle`."""

    receipt: str
    action: Action
    until: timedelta = NOTHING
    error: str | None = None
    counted: bool = True
    drop: bool = False


async def settle(store: Store, caller: Caller, request: ReceiptRequest) -> datetime | None:
    """Settle one receipt; return when the message becomes visible again, or None if it does not.

    Raises NotFound, LeaseLost, NoDeadLetterQueue, Forbidden, Unavailable.
    """
    return await store.settle_one(await open_receipt(store, caller, request))


async def settle_all(
    store: Store, caller: Caller, requests: Sequence[ReceiptRequest]
) -> list[datetime | Problem | None]:
    """Settle the receipts in the given order; return an outcome for each."""
    opened: list[Settle | Problem] = []
    for request in requests:
        try:
            opened.append(await open_receipt(store, caller, request))
        except Problem as problem:
            opened.append(problem)
    outcomes = iter(await store.settle([item for item in opened if isinstance(item, Settle)]))
    return [next(outcomes) if isinstance(item, Settle) else item for item in opened]


async def open_receipt(store: Store, caller: Caller, request: ReceiptRequest) -> Settle:
    """Return the lease that a receipt names, with what is to be done with it. Raises NotFound, Forbidden."""
    receipt = store.receipts.open(caller.project_id, request.receipt)
    if caller.queues != ("*",):
        await _check_pattern(store, caller, receipt.queue_id)
    lease = receipt.queue_id, receipt.message_id, receipt.lease
    return Settle(
        *lease, request.action, request.until, request.error, request.counted, fifo=receipt.fifo, drop=request.drop
    )


async def _check_pattern(store: Store, caller: Caller, queue_id: int) -> None:
    name = await store.directory.name(queue_id)
    if name is None:
        raise receipt_not_found()
    if not caller.covers(name):
        raise Forbidden("This receipt's queue is outside the key's patterns. Use a key that covers the queue.")
