"""A process hears of the others for as long as it runs, whatever becomes of the connection it listens on."""

import asyncio
from collections.abc import Awaitable, Callable

import asyncpg
import pytest

from service.store.wakeups import CHANNEL
from tests.in_process import Service

pytestmark = pytest.mark.anyio

_LISTENER = "select max(pid) from pg_stat_activity where datname = current_database() and application_name = $1"


async def listener(service: Service, other_than: int | None = None) -> int:
    """Return the number of the session that the service listens in, as soon as there is one."""
    # The database tells nobody; it has to be asked.
    while (pid := await service.sql.fetchval(_LISTENER, "restante-listener")) in {None, other_than}:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    return int(pid)


async def killed(service: Service) -> None:
    """End the session, as a server does that is restarted."""
    await service.sql.execute("select pg_terminate_backend($1)", await listener(service))


async def deaf(service: Service) -> None:
    """Let the session stand and hear nothing more."""
    connection = service.app._store.wakeups._listener
    assert connection is not None
    await connection.execute(f"unlisten {CHANNEL}")


@pytest.mark.parametrize("lose", [killed, deaf])
async def test_a_listener_that_is_lost_is_replaced_and_the_new_one_stays(
    service: Service, lose: Callable[[Service], Awaitable[None]]
) -> None:
    heartbeats: asyncio.Queue[object] = asyncio.Queue()
    old = await listener(service)
    await lose(service)
    new = await listener(service, other_than=old)
    await service.sql.add_listener(CHANNEL, lambda *told: heartbeats.put_nowait(told))
    for _ in range(2):
        await heartbeats.get()
    assert await listener(service) == new


async def test_a_hint_that_the_server_refuses_is_not_the_last_one(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    wakeups = service.app._store.wakeups
    fetch = wakeups._link.fetch
    refused = asyncio.Event()

    async def full(sql: str, *arguments: object) -> object:
        if not refused.is_set():
            refused.set()
            raise asyncpg.ProgramLimitExceededError
        return await fetch(sql, *arguments)

    monkeypatch.setattr(wakeups._link, "fetch", full)
    heartbeats: asyncio.Queue[object] = asyncio.Queue()
    await refused.wait()
    await service.sql.add_listener(CHANNEL, lambda *told: heartbeats.put_nowait(told))
    async with asyncio.timeout(10):
        await heartbeats.get()
