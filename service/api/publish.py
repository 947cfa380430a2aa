"""Publishing over HTTP: requests in, answers out; and what a message would come to."""

import msgspec
from msgspec import Struct

from service import model
from service.api.drafts import Message, draft_of, idempotency_key, keep_context
from service.api.exact_json import decode
from service.api.exchange import Answer, Exchange, json_answer
from service.domain import subscriptions
from service.domain.publish import publish
from service.errors import FieldError, InvalidRequest, invalid
from service.model import Draft
from service.store.publishes import Published as Outcome
from service.store.store import Store


class Publications(Struct, forbid_unknown_fields=True):
    """Messages to publish together: all in every queue that wants them, or none."""

    messages: list[Message]


class Published(Struct):
    """A message that was published. `delivered_to`: queues that got a copy; none when it is a duplicate."""

    id: str
    delivered_to: int
    duplicate: bool


class PublishedBatch(Struct):
    """What became of each message, in the order given."""

    messages: list[Published]


class Match(Struct):
    """A subscription, and the part of its filter that the message does not meet, as a JSON Pointer into it, if any."""

    subscription: str
    queue: str
    matches: bool
    failed: str | None


class Matches(Struct):
    """What a message would come to."""

    delivered_to: int
    subscriptions: list[Match]


_message_decoder = msgspec.json.Decoder(Message)
_batch_decoder = msgspec.json.Decoder(Publications)


async def publish_message(store: Store, exchange: Exchange) -> Answer:
    """Store a copy in every subscribed queue whose filter the message matches, all or none, durable when answered."""
    draft = _draft(exchange)
    keep_context([draft], exchange.headers)
    if (key := idempotency_key(exchange.headers)) is not None:
        if draft.deduplication_id not in (None, key):
            raise invalid("/deduplication_id", "conflict", "The Idempotency-Key is another one. Give one of the two.")
        draft.deduplication_id = key
    [outcome] = await publish(store, exchange.caller.project_id, exchange.name, [draft], _whole)
    return json_answer(200 if outcome.sent.duplicate else 201, _published(outcome))


async def publish_batch(store: Store, exchange: Exchange) -> Answer:
    """Publish up to 1000 messages, in order, all or none."""
    messages = decode(_batch_decoder, exchange.body).messages
    if not 1 <= len(messages) <= model.MAX_BATCH:
        detail = f"A batch has 1 to {model.MAX_BATCH} messages, this one {len(messages)}."
        raise invalid("/messages", "out_of_range", detail)
    errors: list[FieldError] = []
    drafts = [draft_of(message, _member(position), errors) for position, message in enumerate(messages)]
    if errors:
        raise InvalidRequest(errors)
    keep_context(drafts, exchange.headers)
    key = idempotency_key(exchange.headers)
    outcomes = await publish(store, exchange.caller.project_id, exchange.name, drafts, _member, key=key)
    repeated = key is not None and all(outcome.sent.duplicate for outcome in outcomes)
    return json_answer(200 if repeated else 201, b'{"messages":[%b]}' % b",".join(map(_published, outcomes)))


async def match_message(store: Store, exchange: Exchange) -> Answer:
    """Tell which subscriptions a message would reach, and why not the others. Nothing is published."""
    found = await subscriptions.match(store, (exchange.caller.project_id, exchange.name), _draft(exchange))
    matches = [Match(one.name, one.queue, failed is None, failed) for one, failed in found]
    reached = sum(match.matches for match in matches)
    return json_answer(200, msgspec.json.encode(Matches(reached, matches)))


def _draft(exchange: Exchange) -> Draft:
    message = decode(_message_decoder, exchange.body)
    errors: list[FieldError] = []
    draft = draft_of(message, "", errors)
    if errors:
        raise InvalidRequest(errors)
    return draft


def _whole(_position: int) -> str:
    return ""


def _member(position: int) -> str:
    return f"/messages/{position}"


def _published(outcome: Outcome) -> bytes:
    sent = outcome.sent
    return b'{"id":"%b","delivered_to":%d,"duplicate":%b}' % (
        str(sent.id).encode(),
        outcome.delivered_to,
        b"true" if sent.duplicate else b"false",
    )
