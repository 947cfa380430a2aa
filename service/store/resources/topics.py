"""Topics and their subscriptions in the database."""

from typing import Any

from sqlalchemy import ColumnElement, Row, and_, delete, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from service.errors import NotFound
from service.model import Queue, Subscription, Topic, TopicConfig
from service.store.database.clock import NOW
from service.store.database.identifiers import random_number
from service.store.database.tables import queue, subscription, topic
from service.store.resources.queues import containing, project_gone


async def find(connection: AsyncConnection, project_id: int, name: str, *, lock: bool = False) -> Topic | None:
    """Return the topic of this name, or None; `lock` keeps others from changing it until this transaction ends."""
    statement = select(topic).where(topic.c.project_id == project_id, topic.c.name == name)
    row = (await connection.execute(statement.with_for_update() if lock else statement)).first()
    return loaded(row) if row else None


async def existing(connection: AsyncConnection, project_id: int, name: str, *, lock: bool = False) -> Topic:
    """Return the topic of this name, as `find` does. Raises NotFound."""
    found = await find(connection, project_id, name, lock=lock)
    if found is None:
        raise topic_not_found(name)
    return found


def topic_not_found(name: str) -> NotFound:
    """Return the problem of a topic that this project does not have."""
    return NotFound("topic", f"There is no topic {name!r} in this project. Create it with PUT /v1/topics/{name}.")


async def create(connection: AsyncConnection, project_id: int, name: str, config: TopicConfig) -> Topic | None:
    """Create a topic; return None if there is one of this name by now. Raises NotFound if the project was deleted."""
    statement = upsert(topic).values(
        project_id=project_id,
        name=name,
        id=random_number(),
        number=random_number(),
        version=1,
        created_at=NOW,
        updated_at=NOW,
        **_columns(config),
    )
    statement = statement.on_conflict_do_nothing(index_elements=[topic.c.project_id, topic.c.name])
    try:
        row = (await connection.execute(statement.returning(topic))).first()
    except IntegrityError as error:
        raise project_gone() from error
    return loaded(row) if row else None


async def configure(connection: AsyncConnection, old: Topic, config: TopicConfig) -> Topic:
    """Replace the configuration of a locked topic."""
    values = {"version": topic.c.version + 1, "updated_at": NOW, **_columns(config)}
    statement = update(topic).where(topic.c.id == old.id).values(values).returning(topic)
    return loaded((await connection.execute(statement)).one())


async def remove(connection: AsyncConnection, old: Topic) -> None:
    """Delete a topic with its subscriptions; the queues and their messages stay."""
    await connection.execute(delete(topic).where(topic.c.id == old.id))


async def listed(connection: AsyncConnection, project_id: int, search: str, *, after: str, limit: int) -> list[Topic]:
    """Return the topics of a project whose name contains `search`, by name."""
    mine = (topic.c.project_id == project_id, topic.c.name > after, *containing(topic.c.name, search))
    rows = await connection.execute(select(topic).where(*mine).order_by(topic.c.name).limit(limit))
    return [loaded(row) for row in rows]


async def find_subscription(connection: AsyncConnection, of: Topic, name: str) -> Subscription | None:
    """Return a topic's subscription of this name, or None."""
    found = await connection.execute(_subscriptions().where(_this(of, name)))
    return _subscription(row) if (row := found.first()) else None


async def subscribed_as(connection: AsyncConnection, of: Topic, to: Queue) -> str | None:
    """Return the name under which a queue is subscribed to a topic, or None."""
    mine = and_(subscription.c.topic_id == of.id, subscription.c.queue_id == to.id)
    return (await connection.execute(select(subscription.c.name).where(mine))).scalar_one_or_none()


async def subscribe(
    connection: AsyncConnection, to: Topic, name: str, subscriber: Queue, wanted: dict[str, Any]
) -> Subscription:
    """Create or change a subscription of a locked topic."""
    values = {"queue_id": subscriber.id, "filter": wanted, "updated_at": NOW}
    statement = upsert(subscription).values(topic_id=to.id, name=name, created_at=NOW, **values)
    columns = [subscription.c.topic_id, subscription.c.name]
    await connection.execute(statement.on_conflict_do_update(index_elements=columns, set_=values))
    await _changed(connection, to)
    found = await find_subscription(connection, to, name)
    assert found is not None  # noqa: S101 - it was just stored
    return found


async def unsubscribe(connection: AsyncConnection, of: Topic, name: str) -> bool:
    """Remove a subscription of a locked topic; return whether there was one."""
    gone = (await connection.execute(delete(subscription).where(_this(of, name)))).rowcount == 1
    await _changed(connection, of)
    return gone


async def subscriptions(
    connection: AsyncConnection, of: Topic, expression: str, after: str, limit: int
) -> list[Subscription]:
    """Return the subscriptions of a topic, by name, of queues whose name matches the regular expression."""
    mine = (subscription.c.topic_id == of.id, subscription.c.name > after, queue.c.name.regexp_match(expression))
    rows = await connection.execute(_subscriptions().where(*mine).order_by(subscription.c.name).limit(limit))
    return [_subscription(row) for row in rows]


async def feeding(
    connection: AsyncConnection, to: Queue, expression: str, after: str, limit: int
) -> list[tuple[str, Subscription]]:
    """Return the subscriptions of a queue with the topics' names, by topic; a topic has one of them at most.

    Only topics whose name matches the regular expression.
    """
    mine = (subscription.c.queue_id == to.id, topic.c.name > after, topic.c.name.regexp_match(expression))
    fed = _subscriptions().add_columns(topic.c.name.label("topic")).join(topic, topic.c.id == subscription.c.topic_id)
    rows = await connection.execute(fed.where(*mine).order_by(topic.c.name).limit(limit))
    return [(row.topic, _subscription(row)) for row in rows]


async def _changed(connection: AsyncConnection, of: Topic) -> None:
    """Make publishers look the topic up again."""
    await connection.execute(update(topic).where(topic.c.id == of.id).values(version=topic.c.version + 1))


def _this(of: Topic, name: str) -> ColumnElement[bool]:
    return and_(subscription.c.topic_id == of.id, subscription.c.name == name)


def _subscriptions() -> Any:
    return select(subscription, queue.c.name.label("queue")).join(queue, queue.c.id == subscription.c.queue_id)


def _subscription(row: Row[Any]) -> Subscription:
    plain = row.name, row.queue_id, row.queue, row.filter
    return Subscription(*plain, created_at=row.created_at, updated_at=row.updated_at)


def loaded(row: Any) -> Topic:
    """Return the topic of a row."""
    return Topic(
        id=row.id,
        project_id=row.project_id,
        name=row.name,
        number=row.number,
        version=row.version,
        config=TopicConfig(row.type, row.deduplication_window, row.deduplicate_by_content),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _columns(config: TopicConfig) -> dict[str, Any]:
    return {
        "type": config.type,
        "deduplication_window": config.deduplication_window,
        "deduplicate_by_content": config.deduplicate_by_content,
    }
