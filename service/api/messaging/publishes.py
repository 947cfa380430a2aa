"""Publishing to topics over HTTP, and checking which subscriptions a message matches."""

import msgspec
from msgspec import Struct

from service.api.http.exchange import Answer, Exchange, json_answer
from service.api.messaging.drafts import batch_drafts, idempotency_key, keep_context, keep_key, one_draft
from service.domain import subscriptions
from service.domain.publishes import publish
from service.store.messaging.publishes import Published as Outcome
from service.store.store import Store


class Published(Struct):
    """A published message. `delivered_to` is the number of queues that got a copy, 0 for a duplicate."""

    id: str
    delivered_to: int
    duplicate: bool


class PublishedBatch(Struct):
    """The published messages, in the order of the request."""

    messages: list[Published]


class Match(Struct):
    """A subscription, and whether the message matches its filter.

    If not, `failed` is a JSON Pointer to the condition of the filter that is not met.
    """

    subscription: str
    queue: str
    matches: bool
    failed: str | None


class Matches(Struct):
    """The subscriptions of a topic, and the number of queues that would get a copy of the message."""

    delivered_to: int
    subscriptions: list[Match]


async def publish_message(store: Store, exchange: Exchange) -> Answer:
    """Store a copy in every subscribed queue whose filter the message matches.

    All copies are stored or none. They are durable when the response is sent.
    """
    draft = one_draft(exchange.body)
    keep_context([draft], exchange.headers)
    keep_key(draft, exchange.headers, "/deduplication_id")
    [outcome] = await publish(store, exchange.caller.project_id, exchange.name, [draft])
    return json_answer(200 if outcome.sent.duplicate else 201, published_json(outcome))


async def publish_batch(store: Store, exchange: Exchange) -> Answer:
    """Publish up to 1000 messages in the given order, all or none."""
    drafts = batch_drafts(exchange.body)
    keep_context(drafts, exchange.headers)
    key = idempotency_key(exchange.headers)
    outcomes = await publish(store, exchange.caller.project_id, exchange.name, drafts, batch=True, key=key)
    repeated = key is not None and all(outcome.sent.duplicate for outcome in outcomes)
    return json_answer(200 if repeated else 201, b'{"messages":[%b]}' % b",".join(map(published_json, outcomes)))


async def match_message(store: Store, exchange: Exchange) -> Answer:
    """List which subscriptions the message matches, and why it does not match the others. Nothing is published.

    Queues that the key does not cover are counted but not listed.
    """
    found = await subscriptions.match(store, (exchange.caller.project_id, exchange.name), one_draft(exchange.body))
    shown = [(one, failed) for one, failed in found if exchange.caller.covers(one.queue)]
    matches = [Match(one.name, one.queue, failed is None, failed) for one, failed in shown]
    reached = sum(failed is None for _, failed in found)
    return json_answer(200, msgspec.json.encode(Matches(reached, matches)))


def published_json(outcome: Outcome) -> bytes:
    """Return the response to a publish as JSON."""
    sent = outcome.sent
    return b'{"id":"%b","delivered_to":%d,"duplicate":%b}' % (
        str(sent.id).encode(),
        outcome.delivered_to,
        b"true" if sent.duplicate else b"false",
    )
