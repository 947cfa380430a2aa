"""Many streams cost little, and leave nothing behind when they go."""

import asyncio
import resource
from pathlib import Path

import psutil
import pytest
from websockets.asyncio.client import ClientConnection, connect

from tests.serving import Serving, serving

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

_IDLE = 2000
_CYCLES = 2000
_AT_ONCE = 50


async def opened(service: Serving) -> ClientConnection:
    """Open a stream that waits for a message."""
    url = service.url.replace("http", "ws") + "/v1/queues/q/stream"
    headers = {"Authorization": f"Bearer {service.key}"}
    connection = await connect(url, additional_headers=headers, compression=None, proxy=None, ping_interval=None)
    await connection.recv()
    await connection.send('{"type":"credit","n":1}')
    return connection


async def at_once(service: Serving, count: int) -> list[ClientConnection]:
    return await asyncio.gather(*[opened(service) for _ in range(count)])


async def closed(connections: list[ClientConnection]) -> None:
    """Close every second one, and break the others off."""
    for place, connection in enumerate(connections):
        if place % 2:
            connection.transport.abort()
        else:
            await connection.close()


async def files_open(process: psutil.Process, count: int) -> None:
    """Return when a process has no more files open than this."""
    async with asyncio.timeout(20):
        while process.num_fds() > count:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.1)


async def test_two_thousand_idle_streams_take_little_and_those_that_come_and_go_leave_nothing(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 8192)), hard))
    with serving(tmp_path) as service:
        with service.client() as client:
            client.put("/v1/queues/q").raise_for_status()
        process = psutil.Process(service.process.pid)
        await closed(await at_once(service, _AT_ONCE))
        await asyncio.sleep(0.5)
        files, before = process.num_fds(), process.memory_info().rss
        idle: list[ClientConnection] = []
        while len(idle) < _IDLE:
            idle += await at_once(service, _AT_ONCE)
        assert (process.memory_info().rss - before) / _IDLE < 100 * 1024
        await closed(idle)
        await files_open(process, files)
        before = process.memory_info().rss
        for _ in range(_CYCLES // _AT_ONCE):
            await closed(await at_once(service, _AT_ONCE))
        await files_open(process, files)
        assert process.memory_info().rss - before < 10 * 1024 * 1024
        with service.client() as client:
            client.post("/v1/queues/q/messages", json={"body": 1}).raise_for_status()
            [message] = client.post("/v1/queues/q/messages/receive", json={"wait": 5}).json()["messages"]
        # None of those that have gone was given it.
        assert message["receive_count"] == 1
