"""Topics, as managed by their owners. A change applies to every publish that begins after its response."""

from service.domain.conditions import ConfigChange, ConfigCheck
from service.errors import Conflict
from service.model import Topic, TopicConfig
from service.store.database.transaction import Collided, Connection
from service.store.resources import topics
from service.store.store import Store


async def put_topic(
    store: Store, project_id: int, name: str, change: ConfigChange[TopicConfig], condition: ConfigCheck[TopicConfig]
) -> tuple[Topic, bool]:
    """Create a topic or replace the configuration of the existing one; return whether it was created.

    `change` makes the configuration out of the existing one, or of the defaults. Raises Conflict, PreconditionFailed.
    """

    async def work(connection: Connection) -> tuple[Topic, bool]:
        old = await topics.find(connection, project_id, name, lock=True)
        condition(old.config if old else None)
        if old is None:
            made = await topics.create(connection, project_id, name, change(TopicConfig()))
            if made is None:
                raise Collided
            return made, True
        return await _configured(connection, old, change(old.config)), False

    return await store.transaction(work)


async def patch_topic(
    store: Store, project_id: int, name: str, change: ConfigChange[TopicConfig], condition: ConfigCheck[TopicConfig]
) -> Topic:
    """Change a topic's configuration. Raises NotFound, Conflict, PreconditionFailed."""

    async def work(connection: Connection) -> Topic:
        old = await topics.existing(connection, project_id, name, lock=True)
        condition(old.config)
        return await _configured(connection, old, change(old.config))

    return await store.transaction(work)


async def _configured(connection: Connection, old: Topic, config: TopicConfig) -> Topic:
    """Change the configuration of a locked topic unless it is the same. Raises Conflict."""
    if config.type != old.config.type:
        raise Conflict(f"{old.name!r} is a {old.config.type} topic, and types cannot be changed. Create another topic.")
    return old if config == old.config else await topics.configure(connection, old, config)


async def get_topic(store: Store, project_id: int, name: str) -> Topic:
    """Return a topic. Raises NotFound."""
    return await store.transaction(lambda connection: topics.existing(connection, project_id, name))


async def delete_topic(store: Store, project_id: int, name: str, condition: ConfigCheck[TopicConfig]) -> None:
    """Delete a topic with its subscriptions. Raises NotFound, PreconditionFailed."""

    async def work(connection: Connection) -> None:
        old = await topics.existing(connection, project_id, name, lock=True)
        condition(old.config)
        await topics.remove(connection, old)

    await store.transaction(work)


async def list_topics(
    store: Store, project_id: int, search: str, *, after: str, limit: int
) -> tuple[list[Topic], str | None]:
    """Return a page of the topics whose name contains `search`, and the name after which the next page begins."""
    found = await store.transaction(
        lambda connection: topics.listed(connection, project_id, search, after=after, limit=limit + 1)
    )
    return found[:limit], found[limit - 1].name if len(found) > limit else None
