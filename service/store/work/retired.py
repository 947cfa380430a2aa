"""Removing the messages of queues that were purged or deleted."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from service.store.database.statements import STATEMENTS
from service.store.database.transaction import by_index, transaction

BATCH = 1000
BEGINNING = UUID(int=0)

_NUMBERS = STATEMENTS["retired.numbers"]
_REMOVE = STATEMENTS["retired.remove"]
_FORGET = STATEMENTS["retired.forget"]


async def numbers(engine: AsyncEngine) -> list[int]:
    """Return the numbers whose messages are to be removed, oldest first."""

    async def work(connection: AsyncConnection) -> list[int]:
        return list((await connection.exec_driver_sql(_NUMBERS)).scalars())

    return await transaction(engine, work)


async def remove(engine: AsyncEngine, number: int, after: UUID) -> tuple[int, UUID | None]:
    """Delete a batch of messages after an id; return how many, and the last one's id, or None at the end."""

    async def work(connection: AsyncConnection) -> tuple[int, UUID | None]:
        await by_index(connection)
        row = (await connection.exec_driver_sql(_REMOVE, (number, after, BATCH))).one()
        return row.removed, row.last_id

    return await transaction(engine, work)


async def forget(engine: AsyncEngine, number: int) -> None:
    """Forget a number once it has no messages left and no more can be stored under it."""

    async def work(connection: AsyncConnection) -> None:
        await by_index(connection)
        await connection.exec_driver_sql(_FORGET, (number,))

    await transaction(engine, work)
