"""What those who look after a queue do with single messages."""

from sqlalchemy.ext.asyncio import AsyncConnection

from service.store import messages, queues
from service.store.ready import Ready
from service.store.store import Store
from service.store.transactions import transaction


async def delete_message(store: Store, project_id: int, queue_name: str, message_id: str) -> None:
    """Remove a message that is not leased. Raises NotFound, MessageLeased."""

    async def work(connection: AsyncConnection) -> Ready:
        ready = Ready()
        queue = await queues.existing(connection, project_id, queue_name)
        await messages.remove(connection, queue, messages.identity(message_id), ready)
        return ready

    store.announce_all(await transaction(store.engine, work))
