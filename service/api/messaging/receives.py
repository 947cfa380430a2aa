"""Receiving over HTTP: parses requests and writes messages as JSON."""

import re
from base64 import b64encode
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from service import model, tracing
from service.api.http.exact_json import JSON_TYPE, decode, is_absent
from service.api.http.exchange import Answer, Exchange, json_answer, rfc3339, rfc3339_of
from service.api.messaging.drafts import duration, out_of_range
from service.domain.receives import receive
from service.errors import FieldError, InvalidRequest
from service.message import Leased
from service.store.database.identifiers import sent_at
from service.store.messaging.waiting import Claimed
from service.store.store import Store

_wait_preference = re.compile(rb"(?:^|[,;])\s*wait\s*=\s*\"?([0-9]{1,9})\"?\s*(?:$|[,;])", re.IGNORECASE).search


class Receive(Struct, forbid_unknown_fields=True):
    """The options of a receive. An empty request body means all defaults."""

    max_messages: Annotated[int | None, Meta(description="Maximum number of messages, 1 to 100; default 1.")] = None
    wait: Annotated[float | None, Meta(description="Seconds to wait for the first message, 0 to 60; default 0.")] = None
    visibility_timeout: Annotated[
        float | None, Meta(description="Seconds that the lease lasts, 0 to 604800; default: the queue's.")
    ] = None


class DeadLettered(Struct):
    """How a message got into its dead-letter queue."""

    source_queue: str
    reason: Literal["max_receives", "expired", "rejected", "push_failed"]
    receive_count: Annotated[int, Meta(description="How many times it was received from the source queue.")]
    at: datetime
    last_error: str | None
    attempts: Annotated[
        int | msgspec.UnsetType,
        Meta(description="How many webhook requests were made for it. Absent in dead letters of older versions."),
    ] = msgspec.UNSET


class PublishedBy(Struct):
    """The topic that a copy was published to, and the id that the publisher got."""

    topic: str
    id: str


class Received(Struct):
    """A leased message. It has `body` or `body_base64`; it has `last_error`, `traceparent`, `tracestate` if known."""

    id: str
    receipt: Annotated[str, Meta(description="Identifies the lease; required to settle the message.", max_length=200)]
    content_type: str
    headers: dict[str, str]
    group: str | None
    priority: int
    receive_count: Annotated[int, Meta(description="1 on the first delivery.")]
    sent_at: datetime
    first_received_at: datetime
    lease_expires_at: datetime
    dead_letter: Annotated[
        DeadLettered | msgspec.UnsetType,
        Meta(description="Only in a dead-letter queue: where the message came from, and why."),
    ] = msgspec.UNSET
    published: Annotated[
        PublishedBy | msgspec.UnsetType, Meta(description="Only if the message was published: its topic.")
    ] = msgspec.UNSET
    body: Any = None
    body_base64: str | msgspec.UnsetType = msgspec.UNSET
    last_error: str | msgspec.UnsetType = msgspec.UNSET
    traceparent: str | msgspec.UnsetType = msgspec.UNSET
    tracestate: str | msgspec.UnsetType = msgspec.UNSET


class ReceivedMessages(Struct):
    """The leased messages; an empty list if none arrived in time."""

    messages: list[Received]


_receive_decoder = msgspec.json.Decoder(Receive)


async def receive_messages(store: Store, exchange: Exchange) -> Answer:
    """Lease messages, waiting for the first one for up to `wait` seconds."""
    request = _ANYTHING if is_absent(exchange.body) else decode(_receive_decoder, exchange.body)
    preferred = _preferred_wait(exchange.headers) if request.wait is None else None
    wait = request.wait if preferred is None else preferred
    errors: list[FieldError] = []
    max_messages = 1 if request.max_messages is None else request.max_messages
    if not 1 <= max_messages <= model.MAX_RECEIVE:
        errors.append(out_of_range("/max_messages", f"1 to {model.MAX_RECEIVE} messages", max_messages))
    waits = duration(wait, "/wait", errors, model.NOTHING, model.MAX_WAIT) or model.NOTHING
    timeout = duration(
        request.visibility_timeout, "/visibility_timeout", errors, model.NOTHING, model.MAX_VISIBILITY_TIMEOUT
    )
    if errors:
        raise InvalidRequest(errors)
    claimed = await receive(
        store,
        exchange.caller,
        exchange.name,
        exchange,
        max_messages=max_messages,
        wait=waits.total_seconds(),
        visibility_timeout=timeout,
    )
    answer = json_answer(200, b'{"messages":[%b]}' % b",".join(_received(store, claimed)))
    if preferred is not None:
        answer.headers.append((b"preference-applied", b"wait=%d" % preferred))
    return answer


_ANYTHING = Receive()


def _preferred_wait(headers: dict[bytes, bytes]) -> int | None:
    """Return the seconds of `Prefer: wait=SECONDS` (RFC 7240). A value that is too large is ignored, not an error."""
    prefer = headers.get(b"prefer")
    match = _wait_preference(prefer) if prefer is not None else None
    if match is None or int(match[1]) > model.MAX_WAIT.total_seconds():
        return None
    return int(match[1])


def _received(store: Store, claimed: Claimed | None) -> Iterable[bytes]:
    """Yield each leased message as JSON."""
    if claimed is None:
        return
    if tracing.active is not None:
        tracing.active.delivered(message.traceparent for message in claimed.messages)
    for message in claimed.messages:
        yield received_json(store, claimed, message, message.lease_expires_at)


def received_json(store: Store, claimed: Claimed, message: Leased, expires_at: datetime) -> bytes:
    """Return a leased message as JSON, with the body as it was sent. `expires_at`: the end of its lease."""
    queue, message_id = claimed.queue, message.id
    receipt = store.receipts.seal(queue, message_id.bytes, claimed.lease)
    content_type, group = message.content_type, message.group
    head = (
        f'{{"id":"{message_id}","receipt":"{receipt}",'
        f'"content_type":{_text(content_type) if content_type else _JSON_TYPE_TEXT},'
        f'"group":{_text(group) if group else "null"},"priority":{9 - message.urgency},'
        f'"receive_count":{message.receive_count},"sent_at":"{rfc3339_of(sent_at(message_id))}",'
        f'"first_received_at":"{rfc3339(message.first_received_at)}",'
        f'"lease_expires_at":"{rfc3339(expires_at)}"'
    )
    for field in ("last_error", "traceparent", "tracestate"):
        if (value := getattr(message, field)) is not None:
            head += f',"{field}":{_text(value)}'
    if (letter := message.dead_letter) is not None:
        # Written again without the whitespace that PostgreSQL adds.
        head += f',"dead_letter":{_text(msgspec.json.decode(letter))}'
    if (published := message.published) is not None:
        head += f',"published":{published}'
    return b'%b,"headers":%b,%b}' % (head.encode(), message.headers or b"{}", _body(message))


def _body(message: Leased) -> bytes:
    return b'"body":' + message.body if message.is_json else b'"body_base64":"%b"' % b64encode(message.body)


_JSON_TYPE_TEXT = f'"{JSON_TYPE}"'


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()
