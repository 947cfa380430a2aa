"""Who takes a queue's messages."""

import asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store import consumers, queues
from service.store.store import Store
from service.store.transactions import transaction


async def of_queue(store: Store, project_id: int, name: str) -> list[asyncpg.Record]:
    """Return who asked a queue for messages in the last hour. Raises NotFound."""

    async def work(connection: AsyncConnection) -> list[asyncpg.Record]:
        queue = await queues.existing(connection, project_id, name)
        return await consumers.of_queue(connection, queue.id)

    return await transaction(store.engine, work)
