"""Checks whether a pooler such as PgBouncer gives the service what it needs, if it is the only way to the database."""

import asyncio
import contextlib

import asyncpg

from service.store.database.connections import CONNECT_SECONDS

_SHARED = (
    "RESTANTE_DATABASE_URL leads to a pooler that gives every transaction another session of the database, which the "
    "service's prepared statements and notifications do not survive. Set RESTANTE_DATABASE_DIRECT_URL to the database "
    "past the pooler, or the pooler's pool_mode to session."
)
_SCARCE = (
    "The pooler that RESTANTE_DATABASE_URL leads to has too few sessions: the service needs {sessions}. Raise its "
    "default_pool_size, or set RESTANTE_DATABASE_DIRECT_URL to the database past the pooler."
)
_SESSION_SECONDS = 3.0


class UnfitPooler(Exception):  # noqa: N818 - it says what is wrong
    """The service cannot work through this pooler alone; the message is for the operator."""


async def check(url: str, sessions: int) -> None:
    """Check that a pooler, if there is one, gives so many connections a session of their own each.

    Raises:
        UnfitPooler: it does not.
    """
    async with contextlib.AsyncExitStack() as opened:
        if not await _are_apart(await _connection(url, opened), await _connection(url, opened)):
            raise UnfitPooler(_SHARED)
    if not await refuses_settings(url):
        return
    async with contextlib.AsyncExitStack() as opened:
        connections = [await _connection(url, opened) for _ in range(sessions)]
        try:
            async with asyncio.timeout(_SESSION_SECONDS):
                await asyncio.gather(*(connection.execute("select") for connection in connections))
        except TimeoutError:
            raise UnfitPooler(_SCARCE.format(sessions=sessions)) from None


async def refuses_settings(url: str) -> bool:
    """Return whether there is a pooler that accepts no settings when a connection is opened."""
    try:
        connection = await asyncpg.connect(
            url, timeout=CONNECT_SECONDS, server_settings={"statement_timeout": "4500"}, statement_cache_size=0
        )
    except asyncpg.ProtocolViolationError:
        return True
    await connection.close()
    return False


async def _are_apart(first: asyncpg.Connection, second: asyncpg.Connection) -> bool:
    """Return whether two open connections have different sessions, as their transactions show."""
    pids = set()
    for connection in (first, second):
        try:
            async with connection.transaction():
                pids.add(await connection.fetchval("select pg_backend_pid()"))
        except asyncpg.PostgresConnectionError as error:
            if "statement pooling mode" not in str(error):
                raise
            # In this mode not even a transaction stays in one session.
            return False
    return len(pids) == 2


async def _connection(url: str, opened: contextlib.AsyncExitStack) -> asyncpg.Connection:
    connection = await asyncpg.connect(url, timeout=CONNECT_SECONDS, statement_cache_size=0)
    # Not closed in order: a connection that still waits for a session has no server that would answer.
    opened.callback(connection.terminate)
    return connection
