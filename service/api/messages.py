"""Sending and receiving over HTTP: requests in, answers out. What they mean is in `domain`."""

import re
from base64 import b64encode
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import asyncpg
import msgspec
from msgspec import Meta, Struct

from service import model
from service.api.drafts import (
    JSON_TYPE,
    batch_drafts,
    duration,
    header_pointer,
    idempotency_key,
    keep_context,
    keep_key,
    one_draft,
    out_of_range,
    raw_draft,
)
from service.api.exact_json import decode
from service.api.exchange import Answer, Exchange, json_answer, rfc3339, rfc3339_of
from service.domain.receive import receive
from service.domain.send import send
from service.errors import FieldError, InvalidRequest
from service.model import Draft
from service.store.identifiers import sent_at
from service.store.lines import Claimed
from service.store.store import Store

_wait_preference = re.compile(rb"(?:^|[,;])\s*wait\s*=\s*\"?([0-9]{1,9})\"?\s*(?:$|[,;])", re.IGNORECASE).search


class Sent(Struct):
    """A message that was stored durably."""

    id: Annotated[str, Meta(description="The message's id, unique in the project.")]
    sent_at: datetime
    visible_at: datetime
    duplicate: bool


class SentBatch(Struct):
    """The batch's messages in the order given."""

    messages: list[Sent]


class Receive(Struct, forbid_unknown_fields=True):
    """What to receive. An empty request body means all defaults."""

    max_messages: Annotated[int | None, Meta(description="1 to 100, default 1.")] = None
    wait: Annotated[float | None, Meta(description="Seconds to wait for the first message, 0 to 60, default 0.")] = None
    visibility_timeout: Annotated[
        float | None, Meta(description="Seconds that the lease lasts, 0 to 604800; default: the queue's.")
    ] = None


class DeadLettered(Struct):
    """How a message came into its dead-letter queue."""

    source_queue: str
    reason: Literal["max_receives", "expired", "rejected", "push_failed"]
    receive_count: Annotated[int, Meta(description="How often it had been received there.")]
    at: datetime
    last_error: str | None


class PublishedBy(Struct):
    """The topic that a copy comes from, and the id that its publisher was told."""

    topic: str
    id: str


class Received(Struct):
    """A leased message. Either `body` or `body_base64` is there; `last_error`, `traceparent`, `tracestate` if known."""

    id: str
    receipt: Annotated[str, Meta(description="Names the lease: all a consumer needs to settle.", max_length=200)]
    content_type: str
    headers: dict[str, str]
    group: str | None
    priority: int
    receive_count: Annotated[int, Meta(description="1 on the first delivery.")]
    sent_at: datetime
    first_received_at: datetime
    lease_expires_at: datetime
    dead_letter: Annotated[
        DeadLettered | msgspec.UnsetType, Meta(description="In a dead-letter queue: where it came from, and why.")
    ] = msgspec.UNSET
    published: Annotated[
        PublishedBy | msgspec.UnsetType, Meta(description="Of a copy: the topic it was published to.")
    ] = msgspec.UNSET
    body: Any = None
    body_base64: str | msgspec.UnsetType = msgspec.UNSET
    last_error: str | msgspec.UnsetType = msgspec.UNSET
    traceparent: str | msgspec.UnsetType = msgspec.UNSET
    tracestate: str | msgspec.UnsetType = msgspec.UNSET


class ReceivedMessages(Struct):
    """What was leased; an empty list when nothing came in time."""

    messages: list[Received]


_receive_decoder = msgspec.json.Decoder(Receive)


async def send_message(store: Store, exchange: Exchange) -> Answer:
    """Store one message and answer once it is durable."""
    return await _send_one(store, exchange, one_draft(exchange.body), "/deduplication_id")


async def _send_one(store: Store, exchange: Exchange, draft: Draft, pointer: str) -> Answer:
    """Send a message; `pointer` is where its deduplication id stands."""
    keep_context([draft], exchange.headers)
    keep_key(draft, exchange.headers, pointer)
    [visible_at] = await send(store, exchange.caller.project_id, exchange.name, [draft])
    return json_answer(200 if draft.duplicate else 201, _sent(draft, visible_at))


async def send_batch(store: Store, exchange: Exchange) -> Answer:
    """Store up to 1000 messages, all or none, in order."""
    drafts = batch_drafts(exchange.body)
    keep_context(drafts, exchange.headers)
    key = idempotency_key(exchange.headers)
    visible_at = await send(store, exchange.caller.project_id, exchange.name, drafts, batch=True, key=key)
    repeated = key is not None and all(draft.duplicate for draft in drafts)
    return json_answer(200 if repeated else 201, b'{"messages":[%b]}' % b",".join(map(_sent, drafts, visible_at)))


async def send_raw(store: Store, exchange: Exchange) -> Answer:
    """Store the request's body as it is; what else belongs to the message is in Restante-* headers."""
    draft = raw_draft(exchange.body, exchange.headers)
    return await _send_one(store, exchange, draft, header_pointer(b"restante-deduplication-id"))


async def receive_messages(store: Store, exchange: Exchange) -> Answer:
    """Lease messages, waiting for the first one if asked to."""
    request = decode(_receive_decoder, exchange.body) if exchange.body else _ANYTHING
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
        exchange.client,
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
    """Return what `Prefer: wait=SECONDS` (RFC 7240) asks for; one that cannot be met is no error and left out."""
    prefer = headers.get(b"prefer")
    match = _wait_preference(prefer) if prefer is not None else None
    if match is None or int(match[1]) > model.MAX_WAIT.total_seconds():
        return None
    return int(match[1])


def _sent(draft: Draft, visible_at: datetime) -> bytes:
    return sent_json(draft.id, visible_at, duplicate=draft.duplicate)


def sent_json(message_id: UUID, visible_at: datetime, *, duplicate: bool) -> bytes:
    """Return what a sender is told of a message."""
    return (
        f'{{"id":"{message_id}","sent_at":"{rfc3339_of(sent_at(message_id))}",'
        f'"visible_at":"{rfc3339(visible_at)}","duplicate":{"true" if duplicate else "false"}}}'
    ).encode()


def _received(store: Store, claimed: Claimed | None) -> Iterable[bytes]:
    """Yield each leased message as JSON, its body as it came."""
    if claimed is None:
        return
    for row in claimed.rows:
        yield received_json(store, claimed, row, row["lease_expires_at"])


def received_json(store: Store, claimed: Claimed, row: asyncpg.Record, expires_at: datetime) -> bytes:
    """Return a leased message; `expires_at`: when its lease ends, as far as the consumer is concerned."""
    queue, message_id = claimed.queue, row["id"]
    receipt = store.receipts.seal(queue, message_id.bytes, claimed.lease)
    content_type, group = row["content_type"], row["message_group"]
    head = (
        f'{{"id":"{message_id}","receipt":"{receipt}",'
        f'"content_type":{_text(content_type) if content_type else _JSON_TYPE_TEXT},'
        f'"group":{_text(group) if group else "null"},"priority":{9 - row["urgency"]},'
        f'"receive_count":{row["receive_count"]},"sent_at":"{rfc3339_of(sent_at(message_id))}",'
        f'"first_received_at":"{rfc3339(row["first_received_at"])}",'
        f'"lease_expires_at":"{rfc3339(expires_at)}"'
    )
    for field in ("last_error", "traceparent", "tracestate"):
        if (value := row[field]) is not None:
            head += f',"{field}":{_text(value)}'
    if (letter := row["dead_letter"]) is not None:
        # Without the blanks that the database puts in.
        head += f',"dead_letter":{_text(msgspec.json.decode(letter))}'
    if (published := row["published"]) is not None:
        head += f',"published":{published}'
    return b'%b,"headers":%b,%b}' % (head.encode(), row["headers"] or b"{}", _body(row))


def _body(row: asyncpg.Record) -> bytes:
    body: bytes = row["body"]
    return b'"body":' + body if row["is_json"] else b'"body_base64":"%b"' % b64encode(body)


_JSON_TYPE_TEXT = f'"{JSON_TYPE}"'


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()
