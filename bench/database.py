"""The bench's own connections to the PostgreSQL that is measured."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

QUIET_SECONDS = 60


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    """Open a connection that may stay idle in a transaction without a limit."""
    connection = await asyncpg.connect(
        url, server_settings={"idle_in_transaction_session_timeout": "0", "application_name": "bench"}
    )
    try:
        yield connection
    finally:
        await connection.close()


def quiet(url: str) -> None:
    """Wait, up to a minute, until the leftovers of earlier measurements are removed, so that the next is not slowed."""
    asyncio.run(_quiet(url))


async def _quiet(url: str) -> None:
    async with connected(url) as connection:
        for _ in range(QUIET_SECONDS * 5):
            busy = await connection.fetchval(
                """
                select exists (select from message where queue_number in (select number from retired_queue))
                    or exists (select from pg_stat_activity where backend_type = 'autovacuum worker')
                """
            )
            if not busy:
                return
            await asyncio.sleep(0.2)


def version(url: str) -> str:
    """Return the version of PostgreSQL."""

    async def ask() -> str:
        async with connected(url) as connection:
            return str(await connection.fetchval("show server_version"))

    return asyncio.run(ask())


def backends(url: str) -> int:
    """Count the client connections, without this one."""

    async def ask() -> int:
        async with connected(url) as connection:
            return int(
                await connection.fetchval(
                    """
                    select count(*) from pg_stat_activity
                    where backend_type = 'client backend' and pid <> pg_backend_pid()
                    """
                )
            )

    return asyncio.run(ask())
