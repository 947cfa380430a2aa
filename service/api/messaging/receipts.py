"""Settling over HTTP: a single receipt in the path, or a batch of up to 1000."""

from datetime import datetime, timedelta
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from service import model
from service.api.http.exact_json import decode, is_absent
from service.api.http.exchange import Answer, Exchange, json_answer, rfc3339
from service.api.messaging.drafts import duration
from service.domain.receipts import ReceiptRequest, settle, settle_all
from service.errors import FieldError, InvalidRequest, Problem, invalid
from service.model import Action
from service.store.store import Store

ReceiptText = Annotated[str, Meta(description="A receipt from a received message.")]
Drop = Annotated[
    bool, Meta(description="If the queue has no dead-letter queue: true deletes the message, false answers 409.")
]
ErrorText = Annotated[
    str | None, Meta(description="What went wrong, up to 4096 bytes of UTF-8; stored as `last_error`.")
]


class Extend(Struct, forbid_unknown_fields=True):
    """Extend or shorten a lease."""

    visibility_timeout: Annotated[float, Meta(description="Seconds from now until the lease ends, 0 to 604800.")]


class Release(Struct, forbid_unknown_fields=True):
    """Return a message to its queue. An empty request body means all defaults."""

    delay: Annotated[float | None, Meta(description="Seconds until the message is visible again, 0 to 31536000.")] = (
        None
    )
    error: ErrorText = None
    count: Annotated[bool, Meta(description="If false, this delivery does not count in `receive_count`.")] = True


class Reject(Struct, forbid_unknown_fields=True):
    """Report that a message cannot be processed. An empty request body means all defaults."""

    error: ErrorText = None
    drop: Drop = False


class Item(Struct, forbid_unknown_fields=True):
    """A receipt in a batch, with the fields of its action."""

    receipt: ReceiptText
    action: Literal["delete", "extend", "release", "reject"]
    visibility_timeout: float | None = None
    delay: float | None = None
    error: str | None = None
    count: bool | None = None
    drop: bool | None = None


class SettleBatch(Struct, forbid_unknown_fields=True):
    """Receipts to settle in this order, each independently of the others."""

    items: Annotated[list[Item], Meta(description="1 to 1000 items.")]


class Extended(Struct):
    """When the lease now ends."""

    lease_expires_at: datetime


class Result(Struct):
    """The result of an item. `status` is `ok` or an error code."""

    receipt: str
    status: str
    lease_expires_at: datetime | msgspec.UnsetType = msgspec.UNSET


class SettleResults(Struct):
    """The results, in the order of the items."""

    results: list[Result]


_extend_decoder = msgspec.json.Decoder(Extend)
_release_decoder = msgspec.json.Decoder(Release)
_reject_decoder = msgspec.json.Decoder(Reject)
_batch_decoder = msgspec.json.Decoder(SettleBatch)
_ACTIONS = {"delete": Action.DELETE, "extend": Action.EXTEND, "release": Action.RELEASE, "reject": Action.REJECT}
_FIELDS = {
    Action.DELETE: frozenset[str](),
    Action.EXTEND: frozenset({"visibility_timeout"}),
    Action.RELEASE: frozenset({"delay", "error", "count"}),
    Action.REJECT: frozenset({"error", "drop"}),
}


async def delete_receipt(store: Store, exchange: Exchange) -> Answer:
    """Delete the message. The response is sent once the deletion is durable."""
    await settle(store, exchange.caller, ReceiptRequest(exchange.name, Action.DELETE))
    return Answer(204)


async def extend_receipt(store: Store, exchange: Exchange) -> Answer:
    """Set the end of the lease to a number of seconds from now."""
    request = decode(_extend_decoder, exchange.body)
    until = await _settle(store, exchange, Item(exchange.name, "extend", visibility_timeout=request.visibility_timeout))
    assert until is not None  # noqa: S101 - an extend either succeeds and returns a time or raises
    return json_answer(200, b'{"lease_expires_at":"%b"}' % rfc3339(until).encode())


async def release_receipt(store: Store, exchange: Exchange) -> Answer:
    """Return the message to its queue, immediately or after a delay."""
    request = Release() if is_absent(exchange.body) else decode(_release_decoder, exchange.body)
    item = Item(exchange.name, "release", delay=request.delay, error=request.error, count=request.count)
    await _settle(store, exchange, item)
    return Answer(204)


async def reject_receipt(store: Store, exchange: Exchange) -> Answer:
    """Move the message to the dead-letter queue. If the queue has none, delete it if `drop` is true."""
    request = Reject() if is_absent(exchange.body) else decode(_reject_decoder, exchange.body)
    await _settle(store, exchange, Item(exchange.name, "reject", error=request.error, drop=request.drop))
    return Answer(204)


async def settle_receipts(store: Store, exchange: Exchange) -> Answer:
    """Settle up to 1000 receipts in the given order, each independently of the others, with a result for each."""
    items = decode(_batch_decoder, exchange.body).items
    if not 1 <= len(items) <= model.MAX_BATCH:
        raise invalid(
            "/items", "out_of_range", f"A batch must have 1 to {model.MAX_BATCH} items; this one has {len(items)}."
        )
    errors: list[FieldError] = []
    orders = [order_of(item, f"/items/{position}", errors) for position, item in enumerate(items)]
    if errors:
        raise InvalidRequest(errors)
    outcomes = await settle_all(store, exchange.caller, orders)
    return json_answer(200, b'{"results":[%b]}' % b",".join(map(result_json, items, outcomes)))


async def _settle(store: Store, exchange: Exchange, item: Item) -> datetime | None:
    errors: list[FieldError] = []
    order = order_of(item, "", errors)
    if errors:
        raise InvalidRequest(errors)
    return await settle(store, exchange.caller, order)


def order_of(item: Item, pointer: str, errors: list[FieldError]) -> ReceiptRequest:
    """Return what an item requests; append its invalid fields to `errors`."""
    order = ReceiptRequest(item.receipt, _ACTIONS[item.action])
    _check_fields(item, order.action, pointer, errors)
    if order.action is Action.EXTEND:
        place = f"{pointer}/visibility_timeout"
        order.until = _until(item.visibility_timeout, place, errors, model.MAX_VISIBILITY_TIMEOUT)
        if item.visibility_timeout is None:
            errors.append(FieldError(place, "missing", "This field is required."))
    elif order.action is Action.RELEASE:
        order.until = _until(item.delay, f"{pointer}/delay", errors, model.MAX_DELAY)
        order.counted = item.count is not False
    order.drop = item.drop is True
    order.error = _error(item.error, f"{pointer}/error", errors)
    return order


def _check_fields(item: Item, action: Action, pointer: str, errors: list[FieldError]) -> None:
    """Append an error for every field that the item's action does not have."""
    errors.extend(
        FieldError(f"{pointer}/{name}", "unknown_field", f"The action {item.action!r} has no such field.")
        for name in ("visibility_timeout", "delay", "error", "count", "drop")
        if getattr(item, name) is not None and name not in _FIELDS[action]
    )


def _until(seconds: float | None, pointer: str, errors: list[FieldError], most: timedelta) -> timedelta:
    return duration(seconds, pointer, errors, model.NOTHING, most) or model.NOTHING


def _error(error: str | None, pointer: str, errors: list[FieldError]) -> str | None:
    if error is None:
        return None
    if len(error.encode()) > model.MAX_ERROR_BYTES:
        errors.append(FieldError(pointer, "out_of_range", f"Must be at most {model.MAX_ERROR_BYTES} bytes."))
    if "\x00" in error:
        errors.append(FieldError(pointer, "control_character", "Must not contain U+0000."))
    return error


def result_json(item: Item, outcome: datetime | Problem | None) -> bytes:
    """Return the result of an item as JSON."""
    receipt = msgspec.json.encode(item.receipt)
    if isinstance(outcome, Problem):
        return b'{"receipt":%b,"status":"%b"}' % (receipt, outcome.problem_code.encode())
    if item.action == "extend" and outcome is not None:
        return b'{"receipt":%b,"status":"ok","lease_expires_at":"%b"}' % (receipt, rfc3339(outcome).encode())
    return b'{"receipt":%b,"status":"ok"}' % receipt
