"""Publishing over HTTP: requests in, answers out; and what a message would come to."""

import msgspec
from msgspec import Struct

from service.api.drafts import batch_drafts, idempotency_key, keep_context, keep_key, one_draft
from service.api.exchange import Answer, Exchange, json_answer
from service.domain import subscriptions
from service.domain.publish import publish
from service.store.publishes import Published as Outcome
from service.store.store import Store


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


async def publish_message(store: Store, exchange: Exchange) -> Answer:
    """Store a copy in every subscribed queue whose filter the message matches, all or none, durable when answered."""
    draft = one_draft(exchange.body)
    keep_context([draft], exchange.headers)
    keep_key(draft, exchange.headers, "/deduplication_id")
    [outcome] = await publish(store, exchange.caller.project_id, exchange.name, [draft])
    return json_answer(200 if outcome.sent.duplicate else 201, _published(outcome))


async def publish_batch(store: Store, exchange: Exchange) -> Answer:
    """Publish up to 1000 messages, in order, all or none."""
    drafts = batch_drafts(exchange.body)
    keep_context(drafts, exchange.headers)
    key = idempotency_key(exchange.headers)
    outcomes = await publish(store, exchange.caller.project_id, exchange.name, drafts, batch=True, key=key)
    repeated = key is not None and all(outcome.sent.duplicate for outcome in outcomes)
    return json_answer(200 if repeated else 201, b'{"messages":[%b]}' % b",".join(map(_published, outcomes)))


async def match_message(store: Store, exchange: Exchange) -> Answer:
    """Tell which subscriptions a message would reach, and why not the others. Nothing is published.

    Of queues that the key does not cover it counts those reached, and names none.
    """
    found = await subscriptions.match(store, (exchange.caller.project_id, exchange.name), one_draft(exchange.body))
    shown = [(one, failed) for one, failed in found if exchange.caller.covers(one.queue)]
    matches = [Match(one.name, one.queue, failed is None, failed) for one, failed in shown]
    reached = sum(failed is None for _, failed in found)
    return json_answer(200, msgspec.json.encode(Matches(reached, matches)))


def _published(outcome: Outcome) -> bytes:
    sent = outcome.sent
    return b'{"id":"%b","delivered_to":%d,"duplicate":%b}' % (
        str(sent.id).encode(),
        outcome.delivered_to,
        b"true" if sent.duplicate else b"false",
    )
