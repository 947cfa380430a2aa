"""The hot operations: one table, from which both FastAPI and the shortcut ahead of it (`express`) are made.

Whichever way a request comes, it is the same `Performer` that answers it: the two cannot differ in more than how they
find it.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from service import model
from service.api import drafts, frames, messages, publish, receipts, transactions
from service.api.callers import PROJECT_HEADER
from service.api.documented import problems
from service.api.exchange import Answer, Exchange
from service.api.queues import NO_QUEUE
from service.store.receipts import MAX_LENGTH
from service.store.store import Store

Run = Callable[[Store, Exchange], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One hot operation. `path` has one parameter, {queue} or {receipt}, or none; the function's name is its id."""

    method: str
    path: str
    scope: model.Scope
    run: Run
    status: int
    summary: str
    request: type | None = None
    answer: type | None = None
    body_required: bool = True
    raw: bool = False
    # What it takes besides.
    also: tuple[model.Scope, ...] = ()

    @property
    def noun(self) -> str:
        """Return what the path's parameter names; nothing if it has none."""
        return self.path.partition("{")[2].partition("}")[0]

    @property
    def on_queue(self) -> bool:
        """Tell whether the path names a queue."""
        return self.noun == "queue"

    @property
    def is_named(self) -> bool:
        """Tell whether the path's parameter is a name that keys may be bound to."""
        return self.noun in {"queue", "topic"}

    @property
    def tag(self) -> str:
        """Return the noun under which the documents show it."""
        return "messages" if self.on_queue else self.path.split("/")[2]


_SEND, _RECEIVE = model.Scope.SEND, model.Scope.RECEIVE
_QUEUE, _RECEIPT, _TOPIC = "/v1/queues/{queue}", "/v1/receipts/{receipt}", "/v1/topics/{topic}"

OPERATIONS = (
    Operation(
        "POST",
        f"{_QUEUE}/messages",
        _SEND,
        messages.send_message,
        201,
        "Send a message",
        drafts.Message,
        messages.Sent,
    ),
    Operation(
        "POST",
        f"{_QUEUE}/messages/batch",
        _SEND,
        messages.send_batch,
        201,
        "Send a batch of messages",
        drafts.Batch,
        messages.SentBatch,
    ),
    Operation(
        "POST",
        f"{_QUEUE}/raw",
        _SEND,
        messages.send_raw,
        201,
        "Send a request's body as it is",
        None,
        messages.Sent,
        body_required=False,
        raw=True,
    ),
    Operation(
        "POST",
        f"{_QUEUE}/messages/receive",
        _RECEIVE,
        messages.receive_messages,
        200,
        "Receive messages",
        messages.Receive,
        messages.ReceivedMessages,
        body_required=False,
    ),
    Operation("DELETE", _RECEIPT, _RECEIVE, receipts.delete_receipt, 204, "Delete a received message"),
    Operation(
        "PATCH",
        _RECEIPT,
        _RECEIVE,
        receipts.extend_receipt,
        200,
        "Extend a lease",
        receipts.Extend,
        receipts.Extended,
    ),
    Operation(
        "POST",
        f"{_RECEIPT}/release",
        _RECEIVE,
        receipts.release_receipt,
        204,
        "Release a received message",
        receipts.Release,
        body_required=False,
    ),
    Operation(
        "POST",
        f"{_RECEIPT}/reject",
        _RECEIVE,
        receipts.reject_receipt,
        204,
        "Reject a received message",
        receipts.Reject,
        body_required=False,
    ),
    Operation(
        "POST",
        "/v1/receipts/batch",
        _RECEIVE,
        receipts.settle_receipts,
        200,
        "Settle many receipts",
        receipts.SettleBatch,
        receipts.SettleResults,
    ),
    Operation(
        "POST",
        f"{_TOPIC}/messages",
        _SEND,
        publish.publish_message,
        201,
        "Publish a message",
        drafts.Message,
        publish.Published,
    ),
    Operation(
        "POST",
        f"{_TOPIC}/messages/batch",
        _SEND,
        publish.publish_batch,
        201,
        "Publish a batch of messages",
        drafts.Batch,
        publish.PublishedBatch,
    ),
    Operation(
        "POST",
        f"{_TOPIC}/match",
        model.Scope.MANAGE,
        publish.match_message,
        200,
        "Tell which subscriptions a message would reach",
        drafts.Message,
        publish.Matches,
    ),
    Operation(
        "POST",
        "/v1/transactions",
        _SEND,
        transactions.commit_transaction,
        200,
        "Settle and send, all or nothing",
        transactions.Transaction,
        transactions.TransactionDone,
        also=(_RECEIVE,),
    ),
)


def component_schemas() -> dict[str, Any]:
    """Return the JSON Schemas that the operations' entries refer to."""
    types = [kind for operation in OPERATIONS for kind in (operation.request, operation.answer) if kind is not None]
    types += frames.KINDS
    _, components = msgspec.json.schema_components(types, ref_template=_REF)
    return components


_REF = "#/components/schemas/{name}"
_NO_RECEIPT = {
    404: "It is not a receipt of this project, or its queue is gone: receipt_not_found.",
    409: "It is no longer the current lease of its message: lease_lost.",
}
_NOT_FOUND = {
    "queue": NO_QUEUE,
    "receipt": _NO_RECEIPT,
    "topic": {404: "There is no such topic in this project: topic_not_found."},
}
_OTHER_BATCH = {409: "The Idempotency-Key was used for a batch of another number of messages: conflict."}
_TRANSACTION = {
    404: "A receipt or queue is not of this project: receipt_not_found, queue_not_found. Nothing was done.",
    409: "A lease is lost (lease_lost), or another transaction had this receipt or key (conflict). Nothing was done.",
    429: "A queue or the project is full, or makes too many requests: queue_full, quota_exceeded, rate_limited.",
}
_REPEATED = {"description": "It was sent before, within the deduplication window: nothing was stored."}
_RATE = "The project makes more requests a second than it may: rate_limited."
_FULL = {429: f"The queue or the project is full: queue_full, quota_exceeded. {_RATE}"}
_CROWDED = {429: f"No more receives of the project may wait: quota_exceeded. {_RATE}"}


def _json(kind: type) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": _REF.format(name=kind.__name__)}}}


def response_entries(operation: Operation) -> dict[int | str, dict[str, Any]]:
    """Return the answer and every problem of an operation."""
    response: dict[str, Any] = {"description": operation.summary}
    if operation.answer is not None:
        response["content"] = _json(operation.answer)
    more = _NOT_FOUND.get(operation.noun, {})
    full = _FULL if operation.scope is _SEND else _CROWDED if operation.on_queue else {}
    has_body = operation.raw or operation.request is not None
    repeated = {200: _REPEATED | {"content": response["content"]}} if operation.scope is _SEND else {}
    return problems({**more, **full, **_other(operation)}, body=has_body) | repeated | {operation.status: response}


def _other(operation: Operation) -> dict[int, str]:
    """Return the problems that one operation alone has."""
    if operation.run is transactions.commit_transaction:
        return _TRANSACTION
    return _OTHER_BATCH if operation.run in {messages.send_batch, publish.publish_batch} else {}


def request_entry(operation: Operation) -> dict[str, Any]:
    """Return what FastAPI cannot read off an endpoint that reads its request itself."""
    noun = operation.noun
    extra: dict[str, Any] = {"security": [{"key": []}], "parameters": []}
    if noun:
        bounds = {"pattern": model.NAME_PATTERN} if operation.is_named else {"maxLength": MAX_LENGTH}
        kind = {"type": "string", **bounds}
        extra["parameters"] += [{"name": noun, "in": "path", "required": True, "schema": kind}]
    if operation.raw:
        # Any type; a name beside it, as generators of clients pass over a range.
        octets = {"schema": {"type": "string", "format": "binary"}}
        content = {"*/*": octets, "application/octet-stream": octets}
        extra["requestBody"] = {"content": content, "required": False}
        extra["parameters"] += [_header(*header) for header in _RAW_HEADERS]
    elif operation.request is not None:
        extra["requestBody"] = {"content": _json(operation.request), "required": operation.body_required}
    if operation.scope is _SEND:
        extra["parameters"] += [_header("Idempotency-Key", _IDEMPOTENCY_KEY)]
    extra["parameters"] += [_header("Restante-Project", PROJECT_HEADER)]
    return extra


_IDEMPOTENCY_KEY = (
    "1 to 128 visible ASCII characters, the message's deduplication id; of a batch, what all of it is known by; "
    "of a transaction without receipts the same."
)
_RAW_HEADERS = (
    ("Restante-Delay", "Seconds until the message becomes visible; default: the queue's delay."),
    ("Restante-Ttl", "Seconds it is kept from then on; default: the queue's retention."),
    ("Restante-Priority", "0 (default) to 9, the highest first; standard queues only."),
    ("Restante-Group", "The group of the message, 1 to 128 characters."),
    ("Restante-Deduplication-Id", "The message's deduplication id, 1 to 128 characters."),
    ("Restante-Header-NAME", "The message's header NAME."),
)


def _header(name: str, description: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": False, "description": description, "schema": {"type": "string"}}
