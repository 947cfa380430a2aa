"""Subscriptions: which queues get copies of what is published to a topic."""

from collections.abc import Callable

from sqlalchemy.ext.asyncio import AsyncConnection

from service.errors import Conflict, NotFound, invalid
from service.filters import Subject, parse
from service.model import Draft, Queue, Subscription, SubscriptionConfig, Topic
from service.store import queues, topics
from service.store.store import Store
from service.store.tables import queue as queue_table
from service.store.transactions import transaction

TopicName = tuple[int, str]

# Looks at what is there (None: no such subscription) while it is locked; raises PreconditionFailed if it is not wanted.
Condition = Callable[[SubscriptionConfig | None], None]


async def put_subscription(
    store: Store, topic: TopicName, name: str, wanted: SubscriptionConfig, condition: Condition
) -> tuple[Subscription, bool]:
    """Subscribe a queue to a topic, or change a subscription; tell whether it is new.

    Its filter is one that `filters.parse` takes. Raises NotFound, InvalidRequest, Conflict, PreconditionFailed.
    """

    async def work(connection: AsyncConnection) -> tuple[Subscription, bool]:
        to = await topics.existing(connection, *topic, lock=True)
        old = await topics.find_subscription(connection, to, name)
        condition(old.config if old else None)
        subscriber = await _subscriber(connection, to, wanted.queue)
        other = await topics.subscribed_as(connection, to, subscriber)
        if other not in {None, name}:
            raise Conflict(f"The queue {wanted.queue!r} is subscribed as {other!r} already. Change that subscription.")
        if old is not None and (old.queue_id, old.filter) == (subscriber.id, wanted.filter):
            return old, False
        return await topics.subscribe(connection, to, name, subscriber, wanted.filter), old is None

    return await transaction(store.engine, work)


async def _subscriber(connection: AsyncConnection, to: Topic, name: str) -> Queue:
    """Return the queue that is to be subscribed; nobody deletes it meanwhile. Raises InvalidRequest."""
    mine = (queue_table.c.project_id == to.project_id) & (queue_table.c.name == name)
    found = await queues.shared(connection, mine)
    if found is None:
        raise invalid("/queue", "queue_not_found", f"There is no queue {name!r} in this project. Create it first.")
    if found.config.type != to.config.type:
        detail = f"{name!r} is a {found.config.type} queue; a {to.config.type} topic has subscribers of its own type."
        raise invalid("/queue", "not_allowed", detail)
    return found


async def get_subscription(store: Store, topic: TopicName, name: str) -> Subscription:
    """Return a subscription. Raises NotFound."""

    async def work(connection: AsyncConnection) -> Subscription:
        found = await topics.find_subscription(connection, await topics.existing(connection, *topic), name)
        if found is None:
            raise _not_found(name)
        return found

    return await transaction(store.engine, work)


async def delete_subscription(store: Store, topic: TopicName, name: str, condition: Condition) -> None:
    """End a subscription; what the queue has got stays. Raises NotFound, PreconditionFailed."""

    async def work(connection: AsyncConnection) -> None:
        of = await topics.existing(connection, *topic, lock=True)
        old = await topics.find_subscription(connection, of, name)
        if old is None:
            raise _not_found(name)
        condition(old.config)
        await topics.unsubscribe(connection, of, name)

    await transaction(store.engine, work)


async def list_subscriptions(
    store: Store, topic: TopicName, names: tuple[str, ...], after: str, limit: int
) -> tuple[list[Subscription], str | None]:
    """Return a page of subscriptions by name, and the name after which the next page begins. Raises NotFound.

    Only those of queues that one of the patterns covers.
    """

    async def work(connection: AsyncConnection) -> list[Subscription]:
        of = await topics.existing(connection, *topic)
        return await topics.subscriptions(connection, of, queues.covering(names), after, limit + 1)

    found = await transaction(store.engine, work)
    return found[:limit], found[limit - 1].name if len(found) > limit else None


async def list_feeding(
    store: Store, queue: tuple[int, str], names: tuple[str, ...], after: str, limit: int
) -> tuple[list[tuple[str, Subscription]], str | None]:
    """Return a page of what feeds a queue by topic, and the topic after which the next page begins. Raises NotFound.

    Only topics that one of the patterns covers.
    """

    async def work(connection: AsyncConnection) -> list[tuple[str, Subscription]]:
        to = await queues.existing(connection, *queue)
        return await topics.feeding(connection, to, queues.covering(names), after, limit + 1)

    found = await transaction(store.engine, work)
    return found[:limit], found[limit - 1][0] if len(found) > limit else None


async def match(store: Store, topic: TopicName, draft: Draft) -> list[tuple[Subscription, str | None]]:
    """Return all subscriptions, each with what of its filter a message fails, if anything. Raises NotFound."""

    async def work(connection: AsyncConnection) -> list[Subscription]:
        of = await topics.existing(connection, *topic)
        return await topics.subscriptions(connection, of, queues.covering(("*",)), "", _ALL)

    subject = Subject(draft)
    found = await transaction(store.engine, work)
    return [(one, parse(one.filter).fails(subject)) for one in found]


_ALL = 2**31


def _not_found(name: str) -> NotFound:
    return NotFound("subscription", f"The topic has no subscription {name!r}. GET its subscriptions to see which are.")
