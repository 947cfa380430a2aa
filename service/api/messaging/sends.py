"""Sending over HTTP: single messages, batches and raw bodies."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from service.api.http.exchange import Answer, Exchange, json_answer, rfc3339, rfc3339_of
from service.api.messaging.drafts import (
    batch_drafts,
    header_pointer,
    idempotency_key,
    keep_context,
    keep_key,
    one_draft,
    raw_draft,
)
from service.domain.sends import send
from service.message import Draft
from service.store.database.identifiers import sent_at
from service.store.store import Store


class Sent(Struct):
    """A stored message, or the earlier message if this one is a duplicate."""

    id: Annotated[str, Meta(description="The message's id, unique in the project.")]
    sent_at: datetime
    visible_at: datetime
    duplicate: bool


class SentBatch(Struct):
    """The messages of the batch, in the order of the request."""

    messages: list[Sent]


async def send_message(store: Store, exchange: Exchange) -> Answer:
    """Store a message. The response is sent once the message is durable."""
    return await _send_one(store, exchange, one_draft(exchange.body), "/deduplication_id")


async def _send_one(store: Store, exchange: Exchange, draft: Draft, pointer: str) -> Answer:
    """Send a message; `pointer` is the place of its deduplication id."""
    keep_context([draft], exchange.headers)
    keep_key(draft, exchange.headers, pointer)
    [visible_at] = await send(store, exchange.caller.project_id, exchange.name, [draft])
    return json_answer(200 if draft.duplicate else 201, _sent(draft, visible_at))


async def send_batch(store: Store, exchange: Exchange) -> Answer:
    """Store up to 1000 messages in the given order, all or none."""
    drafts = batch_drafts(exchange.body)
    keep_context(drafts, exchange.headers)
    key = idempotency_key(exchange.headers)
    visible_at = await send(store, exchange.caller.project_id, exchange.name, drafts, batch=True, key=key)
    repeated = key is not None and all(draft.duplicate for draft in drafts)
    return json_answer(200 if repeated else 201, b'{"messages":[%b]}' % b",".join(map(_sent, drafts, visible_at)))


async def send_raw(store: Store, exchange: Exchange) -> Answer:
    """Store the request body unchanged; Restante-* headers set the message's other fields."""
    draft = raw_draft(exchange.body, exchange.headers)
    return await _send_one(store, exchange, draft, header_pointer(b"restante-deduplication-id"))


def _sent(draft: Draft, visible_at: datetime) -> bytes:
    return sent_json(draft.id, visible_at, duplicate=draft.duplicate)


def sent_json(message_id: UUID, visible_at: datetime, *, duplicate: bool) -> bytes:
    """Return the response for a sent message as JSON."""
    return (
        f'{{"id":"{message_id}","sent_at":"{rfc3339_of(sent_at(message_id))}",'
        f'"visible_at":"{rfc3339(visible_at)}","duplicate":{"true" if duplicate else "false"}}}'
    ).encode()
