"""Single messages, as managed by the owner of their queue."""

from service.store.database.ready import Ready
from service.store.database.transaction import Connection
from service.store.resources import queues
from service.store.store import Store
from service.store.views import stored_messages


async def delete_message(store: Store, project_id: int, queue_name: str, message_id: str) -> None:
    """Delete a message that is not leased. Raises NotFound, MessageLeased."""

    async def work(connection: Connection) -> Ready:
        ready = Ready()
        queue = await queues.existing(connection, project_id, queue_name)
        await stored_messages.remove(connection, queue, stored_messages.identity(message_id), ready)
        return ready

    store.announce_all(await store.transaction(work))
