"""Settling: delete, extend, release or reject what a receipt holds."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from service.errors import Forbidden, Problem
from service.model import NOTHING, Action, Caller
from service.store.receipts import receipt_not_found
from service.store.settles import Settle
from service.store.store import Store


class Order(Struct):
    """What a consumer wants done with one receipt; `until` as in `Settle`."""

    receipt: str
    action: Action
    until: timedelta = NOTHING
    error: str | None = None
    counted: bool = True


async def settle(store: Store, caller: Caller, order: Order) -> datetime | None:
    """Do what one order says; return when the message is visible again, if it is.

    Raises NotFound, LeaseLost, Forbidden, Unavailable.
    """
    return await store.settle_one(await open_receipt(store, caller, order))


async def settle_all(store: Store, caller: Caller, orders: Sequence[Order]) -> list[datetime | Problem | None]:
    """Do what each order says, in the order given; one outcome for each."""
    opened: list[Settle | Problem] = []
    for order in orders:
        try:
            opened.append(await open_receipt(store, caller, order))
        except Problem as problem:
            opened.append(problem)
    outcomes = iter(await store.settle([item for item in opened if isinstance(item, Settle)]))
    return [next(outcomes) if isinstance(item, Settle) else item for item in opened]


async def open_receipt(store: Store, caller: Caller, order: Order) -> Settle:
    """Return what an order is about. Raises NotFound, Forbidden."""
    receipt = store.receipts.open(caller.project_id, order.receipt)
    if caller.queues != ("*",):
        await _check_pattern(store, caller, receipt.queue_id)
    lease = receipt.queue_id, receipt.message_id, receipt.lease
    return Settle(*lease, order.action, order.until, order.error, order.counted, fifo=receipt.fifo)


async def _check_pattern(store: Store, caller: Caller, queue_id: int) -> None:
    name = await store.directory.name(queue_id)
    if name is None:
        raise receipt_not_found()
    if not caller.covers(name):
        raise Forbidden("This receipt is of a queue outside the key's patterns. Use a key that covers the queue.")
