"""Subscriptions: which queues get copies of what is published to a topic."""

import asyncio

from service.domain.conditions import ConfigCheck
from service.errors import Conflict, NotFound, Unavailable, invalid
from service.filters import Subject, parse
from service.message import Draft
from service.model import Queue, Subscription, SubscriptionConfig, Topic
from service.store.database import patience
from service.store.database.tables import queue as queue_table
from service.store.database.transaction import Connection
from service.store.messaging.routes import TopicKey
from service.store.resources import queues, topics
from service.store.store import Store


async def put_subscription(
    store: Store, topic: TopicKey, name: str, wanted: SubscriptionConfig, condition: ConfigCheck[SubscriptionConfig]
) -> tuple[Subscription, bool]:
    """Subscribe a queue to a topic, or change a subscription; return whether it is new.

    `filters.parse` must accept its filter. Raises NotFound, InvalidRequest, Conflict, PreconditionFailed.
    """

    async def work(connection: Connection) -> tuple[Subscription, bool]:
        to = await topics.existing(connection, *topic, lock=True)
        old = await topics.find_subscription(connection, to, name)
        condition(old.config if old else None)
        subscriber = await _subscriber(connection, to, wanted.queue)
        other = await topics.subscribed_as(connection, to, subscriber)
        if other not in {None, name}:
            raise Conflict(f"The queue {wanted.queue!r} is already subscribed as {other!r}. Change that subscription.")
        if old is not None and (old.queue_id, old.filter) == (subscriber.id, wanted.filter):
            return old, False
        await queues.use(connection, subscriber.id)
        return await topics.subscribe(connection, to, name, subscriber, wanted.filter), old is None

    return await store.transaction(work)


async def _subscriber(connection: Connection, to: Topic, name: str) -> Queue:
    """Return the queue to subscribe, locked so that it cannot be deleted meanwhile. Raises InvalidRequest."""
    mine = (queue_table.c.project_id == to.project_id) & (queue_table.c.name == name)
    found = await queues.shared(connection, mine)
    if found is None:
        raise invalid("/queue", "queue_not_found", f"There is no queue {name!r} in this project. Create it first.")
    if found.config.type != to.config.type:
        detail = f"{name!r} is a {found.config.type} queue. Only {to.config.type} queues can subscribe to this topic."
        raise invalid("/queue", "not_allowed", detail)
    return found


async def get_subscription(store: Store, topic: TopicKey, name: str) -> Subscription:
    """Return a subscription. Raises NotFound."""

    async def work(connection: Connection) -> Subscription:
        found = await topics.find_subscription(connection, await topics.existing(connection, *topic), name)
        if found is None:
            raise _not_found(name)
        return found

    return await store.transaction(work)


async def delete_subscription(
    store: Store, topic: TopicKey, name: str, condition: ConfigCheck[SubscriptionConfig]
) -> None:
    """End a subscription; messages that the queue has received stay. Raises NotFound, PreconditionFailed."""

    async def work(connection: Connection) -> None:
        of = await topics.existing(connection, *topic, lock=True)
        old = await topics.find_subscription(connection, of, name)
        if old is None:
            raise _not_found(name)
        condition(old.config)
        await topics.unsubscribe(connection, of, name)

    await store.transaction(work)


async def list_subscriptions(
    store: Store, topic: TopicKey, names: tuple[str, ...], after: str, limit: int
) -> tuple[list[Subscription], str | None]:
    """Return a page of subscriptions by name, and the name after which the next page begins. Raises NotFound.

    Only subscriptions of queues that a pattern in `names` covers.
    """

    async def work(connection: Connection) -> list[Subscription]:
        of = await topics.existing(connection, *topic)
        return await topics.subscriptions(connection, of, queues.covering(names), after, limit + 1)

    found = await store.transaction(work)
    return found[:limit], found[limit - 1].name if len(found) > limit else None


async def list_feeding(
    store: Store, queue: tuple[int, str], names: tuple[str, ...], after: str, limit: int
) -> tuple[list[tuple[str, Subscription]], str | None]:
    """Return a page of a queue's subscriptions by topic, and the topic after which the next begins. Raises NotFound.

    Only subscriptions to topics that a pattern in `names` covers.
    """

    async def work(connection: Connection) -> list[tuple[str, Subscription]]:
        to = await queues.existing(connection, *queue)
        return await topics.feeding(connection, to, queues.covering(names), after, limit + 1)

    found = await store.transaction(work)
    return found[:limit], found[limit - 1][0] if len(found) > limit else None


async def match(store: Store, topic: TopicKey, draft: Draft) -> list[tuple[Subscription, str | None]]:
    """Return all subscriptions, each with the part of its filter that a message fails; None: the message matches.

    Waits for the project's turn to read, and lets other requests run in between. Raises NotFound, Unavailable.
    """

    async def work(connection: Connection) -> list[Subscription]:
        of = await topics.existing(connection, *topic)
        return await topics.subscriptions(connection, of, queues.covering(("*",)), "", _ALL)

    async with store.reads.turn(topic[0]):
        found = await store.transaction(work)
        return await _judged(Subject(draft), found)


async def _judged(subject: Subject, found: list[Subscription]) -> list[tuple[Subscription, str | None]]:
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + patience.seconds(_JUDGE_SECONDS)
    judged: list[tuple[Subscription, str | None]] = []
    for place, one in enumerate(found, 1):
        judged.append((one, parse(one.filter).fails(subject)))
        if place % _AT_A_TIME == 0:
            await asyncio.sleep(0)
            if loop.time() > ends_at:
                raise Unavailable("The topic has more subscriptions than can be tested in time. Try again later.")
    return judged


_ALL = 2**31
# Filters that are tested before other requests may run, and the time for all of them.
_AT_A_TIME = 20
_JUDGE_SECONDS = 4.0


def _not_found(name: str) -> NotFound:
    return NotFound(
        "subscription", f"The topic has no subscription {name!r}. GET its subscriptions to see their names."
    )
