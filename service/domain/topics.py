"""What owners do with topics. What changes holds for every publish that begins after the answer."""

from collections.abc import Callable

from sqlalchemy.ext.asyncio import AsyncConnection

from service.errors import Conflict, Unavailable
from service.model import Topic, TopicConfig
from service.store import topics
from service.store.store import Store
from service.store.transactions import transaction

Change = Callable[[TopicConfig], TopicConfig]
# Looks at what is there (None: no such topic) while it is locked, and raises PreconditionFailed if it is not wanted.
Condition = Callable[[TopicConfig | None], None]


async def put_topic(
    store: Store, project_id: int, name: str, change: Change, condition: Condition
) -> tuple[Topic, bool]:
    """Make a topic, or give the existing one the whole configuration; tell whether it was made.

    `change` makes it from what is there, or from the defaults. Raises Conflict, PreconditionFailed.
    """

    async def work(connection: AsyncConnection) -> tuple[Topic, bool]:
        old = await topics.find(connection, project_id, name, lock=True)
        condition(old.config if old else None)
        if old is None:
            made = await topics.create(connection, project_id, name, change(TopicConfig()))
            if made is None:
                raise Unavailable("The topic was made at the same moment. Send the request again.")
            return made, True
        return await _configured(connection, old, change(old.config)), False

    return await transaction(store.engine, work)


async def patch_topic(store: Store, project_id: int, name: str, change: Change, condition: Condition) -> Topic:
    """Change some of a topic's configuration. Raises NotFound, Conflict, PreconditionFailed."""

    async def work(connection: AsyncConnection) -> Topic:
        old = await topics.existing(connection, project_id, name, lock=True)
        condition(old.config)
        return await _configured(connection, old, change(old.config))

    return await transaction(store.engine, work)


async def _configured(connection: AsyncConnection, old: Topic, config: TopicConfig) -> Topic:
    """Change a locked topic, unless that changes nothing. Raises Conflict."""
    if config.type != old.config.type:
        raise Conflict(f"{old.name!r} is a {old.config.type} topic, and a type cannot be changed. Make another topic.")
    return old if config == old.config else await topics.configure(connection, old, config)


async def get_topic(store: Store, project_id: int, name: str) -> Topic:
    """Return a topic. Raises NotFound."""
    return await transaction(store.engine, lambda connection: topics.existing(connection, project_id, name))


async def delete_topic(store: Store, project_id: int, name: str, condition: Condition) -> None:
    """Delete a topic with its subscriptions. Raises NotFound, PreconditionFailed."""

    async def work(connection: AsyncConnection) -> None:
        old = await topics.existing(connection, project_id, name, lock=True)
        condition(old.config)
        await topics.remove(connection, old)

    await transaction(store.engine, work)


async def list_topics(store: Store, project_id: int, after: str, limit: int) -> tuple[list[Topic], str | None]:
    """Return a page of topics by name, and the name after which the next page begins."""
    found = await transaction(store.engine, lambda connection: topics.listed(connection, project_id, after, limit + 1))
    return found[:limit], found[limit - 1].name if len(found) > limit else None
