"""Dead letters: what they have in common."""

import asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store import dead_letters, queues
from service.store.store import Store
from service.store.transactions import transaction


async def groups(store: Store, project_id: int, queue_name: str) -> tuple[list[asyncpg.Record], bool]:
    """Return groups of a queue's dead letters, the largest first, and whether these are all. Raises NotFound."""

    async def work(connection: AsyncConnection) -> tuple[list[asyncpg.Record], bool]:
        return await dead_letters.groups(connection, await queues.existing(connection, project_id, queue_name))

    return await transaction(store.engine, work)
