"""How many messages queues hold."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from service.errors import Unavailable
from service.model import Queue, QueueStats
from service.store.statements import STATEMENTS
from service.store.transactions import by_index, transaction

EXACT = 10_000

_COUNT = STATEMENTS["stats.count"]
_MESSAGES = STATEMENTS["stats.messages"]
_PATIENCE = "select set_config('statement_timeout', '2000', true)"


async def of(engine: AsyncEngine, queues: Sequence[Queue]) -> list[QueueStats]:
    """Return the stats of these queues, in their order."""

    async def work(connection: AsyncConnection) -> list[QueueStats]:
        await by_index(connection)
        asked = ([queue.number for queue in queues], [queue.config.retention for queue in queues], EXACT)
        return [
            QueueStats(row.ready, row.delayed, row.leased, row.oldest_ready_age, approximate=row.seen > EXACT)
            for row in await connection.exec_driver_sql(_COUNT, asked)
        ]

    return await transaction(engine, work) if queues else []


async def messages_under(engine: AsyncEngine, number: int) -> int:
    """Return how many messages a queue number has; what takes over two seconds to count is estimated."""

    async def count(connection: AsyncConnection) -> int:
        await by_index(connection)
        await connection.exec_driver_sql(_PATIENCE)
        return int((await connection.exec_driver_sql(_MESSAGES, (number,))).scalar_one())

    try:
        return await transaction(engine, count)
    except Unavailable:
        return await transaction(engine, lambda connection: _estimate(connection, number))


async def _estimate(connection: AsyncConnection, number: int) -> int:
    """Return what the planner believes: right but for what has changed since the table was analysed."""
    plan = await connection.exec_driver_sql(
        f"explain (format json) select from message where queue_number = {number:d}"
    )
    return int(plan.scalar_one()[0]["Plan"]["Plan Rows"])
