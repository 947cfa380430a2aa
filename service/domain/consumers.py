"""Consumers of queues."""

from service.store.database.transaction import Connection
from service.store.resources import queues
from service.store.store import Store
from service.store.views import consumers
from service.store.views.consumers import SeenConsumer


async def of_queue(store: Store, project_id: int, name: str) -> list[SeenConsumer]:
    """Return the consumers that asked a queue for messages in the last hour. Raises NotFound."""

    async def work(connection: Connection) -> list[SeenConsumer]:
        queue = await queues.existing(connection, project_id, name)
        return await consumers.of_queue(connection, queue.id)

    return await store.transaction(work)
