"""No hot request, answered or refused, leaves a ring of objects: the collector would stop everybody to find them."""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from types import FrameType, TracebackType

import httpx
import pytest

from tests.in_process import Service

pytestmark = pytest.mark.anyio

Ask = Callable[[httpx.AsyncClient], Awaitable[object]]


async def _cycle(client: httpx.AsyncClient) -> None:
    await client.post("/v1/queues/q/messages", json={"body": 1})
    [message] = (await client.post("/v1/queues/q/messages/receive", json={})).json()["messages"]
    await client.delete(f"/v1/receipts/{message['receipt']}")


async def _connections(client: httpx.AsyncClient) -> None:
    """Ask once on a connection of its own that the client closes, and once on one that the service closes."""
    head = "POST /v1/queues/empty/messages/receive HTTP/1.1\r\nHost: q\r\nContent-Length: 2\r\n"
    head += f"Authorization: {client.headers['authorization']}\r\n"
    for close in ("", "Connection: close\r\n"):
        reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
        writer.write(f"{head}{close}\r\n{{}}".encode())
        await reader.readuntil(b'"messages":[]}')
        writer.close()
        await writer.wait_closed()
    # The service shares this event loop: before it answers this request, it has learned that both connections ended.
    await client.get("/healthz")


_ASKED: dict[str, Ask] = {
    "closed connections": _connections,
    "cycle": _cycle,
    "empty receive": lambda client: client.post("/v1/queues/empty/messages/receive", json={}),
    "waiting receive": lambda client: client.post("/v1/queues/empty/messages/receive", json={"wait": 0.01}),
    "no queue": lambda client: client.post("/v1/queues/none/messages", json={"body": 1}),
    "bad field": lambda client: client.post("/v1/queues/q/messages", json={"body": 1, "delay": -1}),
    "no key": lambda client: client.post("/v1/queues/q/messages", json={}, headers={"Authorization": "Bearer no"}),
    "lost lease": lambda client: client.delete(f"/v1/receipts/{'A' * 64}"),
    "over the limit": lambda client: client.post(
        "/v1/queues/q/messages", json={"body": 1}, headers={"Restante-Project": "limited"}
    ),
}


def _is_ours(found: object) -> bool:
    kind = type(found)
    return isinstance(found, FrameType | TracebackType) or kind.__module__.partition(".")[0] in {"service", "uvicorn"}


@pytest.mark.parametrize("name", sorted(_ASKED))
async def test_a_request_leaves_nothing_to_the_garbage_collector(service: Service, name: str) -> None:
    await service.queue("q")
    await service.queue("empty")
    await service.root.put("/v1/projects/limited", json={"limits": {"requests_per_second": 1}})
    for _ in range(3):
        await _ASKED[name](service.root)
    gc.collect()
    gc.disable()
    try:
        for _ in range(5):
            await _ASKED[name](service.root)
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        assert [found for found in gc.garbage if _is_ours(found)] == []
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
