"""The table of hot operations, used by both dispatchers: FastAPI and `express`.

With either dispatcher the same `Performer` answers the request, so they differ only in how they find the operation.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from service import model
from service.api.http.exchange import Answer, Exchange
from service.api.kit.callers import PROJECT_HEADER
from service.api.kit.documented import problems
from service.api.kit.paths import NO_QUEUE
from service.api.messaging import drafts, publishes, receipts, receives, sends, transactions
from service.store.messaging.receipt_seal import MAX_LENGTH
from service.store.store import Store

Run = Callable[[Store, Exchange], Awaitable[Answer]]


@dataclass(frozen=True)
class Operation:
    """A hot operation. `path` has at most one parameter; the name of the function `run` is the operation's id."""

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
    # Further scopes that the key needs.
    also: tuple[model.Scope, ...] = ()

    @cached_property
    def noun(self) -> str:
        """Return the name of the path parameter, or an empty string if there is none."""
        return self.path.partition("{")[2].partition("}")[0]

    @cached_property
    def on_queue(self) -> bool:
        """Return whether the path parameter is a queue."""
        return self.noun == "queue"

    @cached_property
    def is_named(self) -> bool:
        """Return whether the path parameter is a name that a key's patterns can restrict."""
        return self.noun in {"queue", "topic"}

    @cached_property
    def scopes(self) -> tuple[model.Scope, ...]:
        """Return the scopes that a key needs."""
        return self.scope, *self.also

    @property
    def tag(self) -> str:
        """Return the operation's tag in the OpenAPI document."""
        return "messages" if self.on_queue else self.path.split("/")[2]


_SEND, _RECEIVE = model.Scope.SEND, model.Scope.RECEIVE
_QUEUE, _RECEIPT, _TOPIC = "/v1/queues/{queue}", "/v1/receipts/{receipt}", "/v1/topics/{topic}"

OPERATIONS = (
    Operation(
        "POST",
        f"{_QUEUE}/messages",
        _SEND,
        sends.send_message,
        201,
        "Send a message",
        drafts.Message,
        sends.Sent,
    ),
    Operation(
        "POST",
        f"{_QUEUE}/messages/batch",
        _SEND,
        sends.send_batch,
        201,
        "Send a batch of messages",
        drafts.Batch,
        sends.SentBatch,
    ),
    Operation(
        "POST",
        f"{_QUEUE}/raw",
        _SEND,
        sends.send_raw,
        201,
        "Send a raw request body",
        None,
        sends.Sent,
        body_required=False,
        raw=True,
    ),
    Operation(
        "POST",
        f"{_QUEUE}/messages/receive",
        _RECEIVE,
        receives.receive_messages,
        200,
        "Receive messages",
        receives.Receive,
        receives.ReceivedMessages,
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
        "Settle a batch of receipts",
        receipts.SettleBatch,
        receipts.SettleResults,
    ),
    Operation(
        "POST",
        f"{_TOPIC}/messages",
        _SEND,
        publishes.publish_message,
        201,
        "Publish a message",
        drafts.Message,
        publishes.Published,
    ),
    Operation(
        "POST",
        f"{_TOPIC}/messages/batch",
        _SEND,
        publishes.publish_batch,
        201,
        "Publish a batch of messages",
        drafts.Batch,
        publishes.PublishedBatch,
    ),
    Operation(
        "POST",
        f"{_TOPIC}/match",
        model.Scope.MANAGE,
        publishes.match_message,
        200,
        "List the subscriptions that a message matches",
        drafts.Message,
        publishes.Matches,
    ),
    Operation(
        "POST",
        "/v1/transactions",
        _SEND,
        transactions.commit_transaction,
        200,
        "Settle and send atomically",
        transactions.Transaction,
        transactions.TransactionDone,
        also=(_RECEIVE,),
    ),
)


REF = "#/components/schemas/{name}"
_NO_RECEIPT = {
    404: "This is not a receipt of this project, or its queue was deleted: receipt_not_found.",
    409: "The receipt no longer holds the lease of its message: lease_lost.",
}
_NOT_FOUND = {
    "queue": NO_QUEUE,
    "receipt": _NO_RECEIPT,
    "topic": {404: "There is no such topic in this project: topic_not_found."},
}
_OTHER_BATCH = {409: "The Idempotency-Key was used for a batch with a different number of messages: conflict."}
_TRANSACTION = {
    404: "A receipt or queue does not exist in this project: receipt_not_found, queue_not_found. Nothing was done.",
    409: "A lease is lost (lease_lost), or another transaction used a receipt or the key (conflict). Nothing was done.",
    429: "A queue is full or the project is at a limit: queue_full, quota_exceeded, rate_limited. Nothing was done.",
}
_REPEATED = {"description": "A duplicate: sent before within the deduplication window, so nothing was stored."}
_RATE = "The project exceeds its requests per second: rate_limited."
_NO_STORAGE = {507: "The embedded database's disk is full: storage_full. Nothing was stored."}
_FULL = {429: f"The queue or the project's storage is full: queue_full, quota_exceeded. {_RATE}", **_NO_STORAGE}
_CROWDED = {429: f"The project has its maximum number of waiting receives: quota_exceeded. {_RATE}"}


def _json(kind: type) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": REF.format(name=kind.__name__)}}}


def response_entries(operation: Operation) -> dict[int | str, dict[str, Any]]:
    """Return the responses of an operation, including problems, for the OpenAPI document."""
    response: dict[str, Any] = {"description": operation.summary}
    if operation.answer is not None:
        response["content"] = _json(operation.answer)
    more = _NOT_FOUND.get(operation.noun, {})
    full = _FULL if operation.scope is _SEND else _CROWDED if operation.on_queue else {}
    has_body = operation.raw or operation.request is not None
    repeated = {200: _REPEATED | {"content": response["content"]}} if operation.scope is _SEND else {}
    return problems({**more, **full, **_other(operation)}, body=has_body) | repeated | {operation.status: response}


def _other(operation: Operation) -> dict[int, str]:
    """Return the problems that are specific to an operation."""
    if operation.run is transactions.commit_transaction:
        return _TRANSACTION | _NO_STORAGE
    return _OTHER_BATCH if operation.run in {sends.send_batch, publishes.publish_batch} else {}


def request_entry(operation: Operation) -> dict[str, Any]:
    """Return the OpenAPI entry of the request, which FastAPI cannot derive because the operation parses it itself."""
    noun = operation.noun
    extra: dict[str, Any] = {"security": [{"key": []}], "parameters": []}
    if noun:
        bounds = {"pattern": model.NAME_PATTERN} if operation.is_named else {"maxLength": MAX_LENGTH}
        kind = {"type": "string", **bounds}
        extra["parameters"] += [{"name": noun, "in": "path", "required": True, "schema": kind}]
    if operation.raw:
        # Any content type. A concrete one is listed too, because client generators ignore ranges.
        binary = {"schema": {"type": "string", "format": "binary"}}
        content = {"*/*": binary, "application/octet-stream": binary}
        extra["requestBody"] = {"content": content, "required": False}
        extra["parameters"] += [_header(*header) for header in _RAW_HEADERS]
    elif operation.request is not None:
        extra["requestBody"] = {"content": _json(operation.request), "required": operation.body_required}
    if operation.scope is _SEND:
        extra["parameters"] += [_header("Idempotency-Key", _IDEMPOTENCY_KEY)]
    extra["parameters"] += [_header("Restante-Project", PROJECT_HEADER)]
    return extra


_IDEMPOTENCY_KEY = (
    "1 to 128 visible ASCII characters. For a single message: its deduplication id. For a batch, or a transaction "
    "without receipts: identifies the whole request, so that a repetition stores nothing."
)
_RAW_HEADERS = (
    ("Restante-Delay", "Seconds until the message becomes visible; default: the queue's delay."),
    ("Restante-Ttl", "Seconds that the message is kept after that; default: the queue's retention."),
    ("Restante-Priority", "0 (default) to 9; higher priorities are received first. Standard queues only."),
    ("Restante-Group", "The group of the message, 1 to 128 characters."),
    ("Restante-Deduplication-Id", "The message's deduplication id, 1 to 128 characters."),
    ("Restante-Header-NAME", "The message's header NAME."),
)


def _header(name: str, description: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": False, "description": description, "schema": {"type": "string"}}
