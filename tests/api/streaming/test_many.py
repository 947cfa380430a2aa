"""Many streams cost little and leave nothing behind; one that does not read, or whose process dies, keeps nothing."""

import asyncio
from pathlib import Path

import httpx
import psutil
import pytest
from websockets.asyncio.client import ClientConnection, connect

from tests.faults.conftest import SHARED
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


def files_of(process: psutil.Process) -> int:
    """Return how many files a process has open, without its connections to the database, which are Unix sockets."""
    return process.num_fds() - len(process.net_connections("unix"))


async def files_open(process: psutil.Process, count: int) -> None:
    """Return when a process has no more files open than this."""
    async with asyncio.timeout(20):
        while files_of(process) > count:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.1)


async def test_two_thousand_idle_streams_take_little_and_those_that_come_and_go_leave_nothing(
    database: str, tmp_path: Path
) -> None:
    with serving(tmp_path, database_url=database, **SHARED) as service:
        with service.client() as client:
            client.put("/v1/queues/q").raise_for_status()
        process = psutil.Process(service.process.pid)
        await closed(await at_once(service, _AT_ONCE))
        await asyncio.sleep(0.5)
        files, before = files_of(process), process.memory_info().rss
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


async def test_a_client_that_does_not_read_is_not_read_for(database: str, tmp_path: Path) -> None:
    count, body = 3000, "x" * 10_000
    with serving(tmp_path, database_url=database, **SHARED) as service, service.client() as client:
        client.put("/v1/queues/q", json={"visibility_timeout": 3000}).raise_for_status()
        batch = {"messages": [{"body": body}] * 500}
        for _ in range(count // 500):
            client.post("/v1/queues/q/messages/batch", json=batch).raise_for_status()
        reader, writer = await _deaf(service, client)
        process = psutil.Process(service.process.pid)
        before = process.memory_info().rss
        writer.write(_frame(b'{"type":"credit","n":1000}'))
        async with asyncio.timeout(10):
            while client.get("/v1/queues/q").json()["stats"]["leased"] == 0:  # noqa: ASYNC110 - it has to be asked
                await asyncio.sleep(0.05)
        # As long as there is something to read, it would read on.
        for _ in range(10):
            await asyncio.sleep(0.2)
            assert process.memory_info().rss - before < 16 * 1024 * 1024
        stats = client.get("/v1/queues/q").json()["stats"]
        assert (stats["total"], stats["leased"] < 1000) == (count, True)
        writer.transport.abort()
        del reader
        async with asyncio.timeout(10):
            while client.get("/v1/queues/q").json()["stats"]["ready"] != count:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.05)


async def _deaf(service: Serving, client: httpx.Client) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a stream by hand; nobody reads what comes after the upgrade."""
    url = httpx.URL(service.url)
    reader, writer = await asyncio.open_connection(url.host, url.port, limit=1024)
    head = (
        "GET /v1/queues/q/stream HTTP/1.1",
        f"Host: {url.netloc.decode()}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {'A' * 22}==",
        f"Authorization: {client.headers['authorization']}",
    )
    writer.write("\r\n".join((*head, "", "")).encode())
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
    return reader, writer


def _frame(text: bytes) -> bytes:
    """Return a short text frame, with a mask that changes nothing (RFC 6455, section 5.2)."""
    return bytes((0x81, 0x80 | len(text), 0, 0, 0, 0)) + text


async def test_what_a_killed_process_held_is_free_within_thirty_seconds(database: str, tmp_path: Path) -> None:
    with serving(tmp_path, database_url=database, **SHARED, processes="2") as service, service.client() as client:
        client.put("/v1/queues/q", json={"visibility_timeout": 3000}).raise_for_status()
        client.post("/v1/queues/q/messages", json={"body": 1}).raise_for_status()
        connection = await opened(service)
        await connection.recv()
        for worker in service.workers():
            worker.kill()
        killed = asyncio.get_running_loop().time()
        async with asyncio.timeout(35):
            while not await asyncio.to_thread(_received, client):  # noqa: ASYNC110 - it has to be asked
                await asyncio.sleep(0.2)
        assert asyncio.get_running_loop().time() - killed < 32
        connection.transport.abort()


def _received(client: httpx.Client) -> bool:
    """Tell whether the message can be received, once the processes that were killed have successors."""
    try:
        answer = client.post("/v1/queues/q/messages/receive", json={"wait": 1})
    except httpx.TransportError:
        return False
    return answer.status_code == 200 and bool(answer.json()["messages"])
