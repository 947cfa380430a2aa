"""How much processor time do idle streams take?"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack
from typing import Any

from websockets.asyncio.client import connect

from bench import servers
from bench.figures import Figure, at_most
from bench.plan import Plan
from bench.servers import Service, cpu_seconds

SETTLE_SECONDS = 3

Open = Callable[[Service, AsyncExitStack], Coroutine[Any, Any, None]]


def measure(plan: Plan) -> Iterator[Figure]:
    """Open many streams of a queue to which nothing is sent, and measure how much busier the process is with them."""
    servers.raise_open_files()
    kinds: dict[str, Open] = {"server-sent events": _events, "Socket.IO": _socket_io, "WebSocket": _websocket}
    for name, opened in kinds.items():
        with servers.restante() as service, service.queue("bench"):
            without, busy = asyncio.run(_busy(service, plan, opened))
        yield Figure(
            name=f"{plan.idle} idle streams, {name}",
            formula="processor seconds of the process in a second, more than without them",
            value=(busy - without) * 100,
            unit="% of a core",
            bound=at_most(3),
            raw={"% of a core without them": without * 100},
        )


async def _busy(service: Service, plan: Plan, opened: Open) -> tuple[float, float]:
    without = await _load(service, plan)
    async with AsyncExitStack() as stack:
        for _ in range(plan.idle):
            await opened(service, stack)
        return without, await _load(service, plan)


async def _load(service: Service, plan: Plan) -> float:
    await asyncio.sleep(SETTLE_SECONDS)
    began, before = time.monotonic(), cpu_seconds(service.pid)
    await asyncio.sleep(plan.watched)
    return (cpu_seconds(service.pid) - before) / (time.monotonic() - began)


async def _events(service: Service, stack: AsyncExitStack) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    stack.callback(writer.close)
    lines = ["GET /v1/queues/bench/events?credit=10 HTTP/1.1", "Host: 127.0.0.1", *service.headers, "", ""]
    writer.write("\r\n".join(lines).encode())
    await reader.readuntil(b"\r\n\r\n")


async def _socket_io(service: Service, stack: AsyncExitStack) -> None:
    url = f"ws://127.0.0.1:{service.port}/socket.io/?EIO=4&transport=websocket"
    connection = await stack.enter_async_context(connect(url, proxy=None, compression=None))
    key = service.headers[0].partition("Bearer ")[2]
    await connection.send(f'40{{"key":"{key}"}}')
    await connection.send('420["subscribe",{"queue":"bench"}]')

    async def answer_pings() -> None:
        async for text in connection:
            if text == "2":
                await connection.send("3")

    stack.callback(asyncio.ensure_future(answer_pings()).cancel)


async def _websocket(service: Service, stack: AsyncExitStack) -> None:
    url = f"ws://127.0.0.1:{service.port}/v1/queues/bench/stream"
    headers = dict(header.split(": ", 1) for header in service.headers)
    connection = await stack.enter_async_context(connect(url, additional_headers=headers, proxy=None, compression=None))
    await connection.recv()
    await connection.send('{"type":"credit","n":10}')
