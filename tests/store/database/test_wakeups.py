"""A process hears of the others for as long as it runs, whatever becomes of the connection it listens on."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import asyncpg
import pytest
import structlog

from service.log import Seldom
from service.store.database import wakeups
from service.store.database.wakeups import CHANNEL
from service.store.messaging import receives
from tests.in_process import Service, in_process

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


async def test_a_process_that_stood_still_does_not_take_its_listener_for_deaf(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wakeups, "HEARTBEAT_SECONDS", 0.1)
    monkeypatch.setattr(wakeups, "DEAF_BEATS", 10)
    before = await listener(service)
    with structlog.testing.capture_logs() as logged:
        for _ in range(2):
            time.sleep(1.5)  # noqa: ASYNC251 - the whole process
            await asyncio.sleep(0.3)
    assert [event["event"] for event in logged if event["event"] == "listener_lost"] == []
    assert await listener(service) == before


async def test_a_hint_that_the_server_refuses_is_not_the_last_one(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = service.app._store.wakeups._link
    fetch = link.fetch
    refused = asyncio.Event()

    async def full(sql: str, *arguments: object) -> object:
        if not refused.is_set():
            refused.set()
            raise asyncpg.ProgramLimitExceededError("too many notifications in the NOTIFY queue")
        return await fetch(sql, *arguments)

    monkeypatch.setattr(link, "fetch", full)
    heartbeats: asyncio.Queue[object] = asyncio.Queue()
    await refused.wait()
    await service.sql.add_listener(CHANNEL, lambda *told: heartbeats.put_nowait(told))
    async with asyncio.timeout(10):
        await heartbeats.get()


async def test_notifications_that_the_server_refuses_are_logged_once_a_minute_and_the_listener_stays(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wakeups, "HEARTBEAT_SECONDS", 0.05)
    monkeypatch.setattr(wakeups, "DEAF_BEATS", 30)
    monkeypatch.setattr(wakeups, "_refused", Seldom("notifications_refused"))
    before, enough, tries = await listener(service), asyncio.Event(), iter(range(40))

    async def full(_sql: str, *_arguments: object) -> object:
        if next(tries, None) is None:
            enough.set()
        raise asyncpg.ProgramLimitExceededError("too many notifications in the NOTIFY queue")

    with structlog.testing.capture_logs() as logged:
        monkeypatch.setattr(service.app._store.wakeups._link, "fetch", full)
        await enough.wait()
    assert [event["event"] for event in logged if "refused" in event["event"]] == ["notifications_refused"]
    assert not [event for event in logged if "exc_info" in event or event["event"] == "listener_lost"]
    assert await listener(service) == before
    assert (await service.root.get("/readyz")).status_code == 200


async def test_the_first_messages_after_a_start_wake_receives_at_other_processes(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receives, "POLL_SECONDS", 60.0)
    async with in_process(database) as first:
        await first.queue()
        receive = {"wait": 10}
        async with in_process(database) as second:
            assert (await second.root.get("/readyz")).status_code == 200
            for sender, receiver in ((second, first), (first, second)):
                parked = asyncio.create_task(receiver.root.post("/v1/queues/q/messages/receive", json=receive))
                while not receiver.app._store.claims.waiting:  # noqa: ASYNC110 - it tells nobody
                    await asyncio.sleep(0.01)
                # The heartbeats of the others may still be on their way.
                second.app._store.wakeups._peers.clear()
                await sender.root.post("/v1/queues/q/messages", json={"body": 1})
                assert len((await parked).json()["messages"]) == 1
