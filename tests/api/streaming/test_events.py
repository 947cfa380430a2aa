"""Server-sent events hand out leased messages; what is settled by HTTP makes room for the next."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.api.resources.test_queues import problem
from tests.api.streaming.test_websocket import Q, send, settled, stats
from tests.in_process import Service, in_process

pytestmark = pytest.mark.anyio

E = f"{Q}/events"


class Events:
    """What comes."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self._lines = answer.aiter_lines()

    async def next(self) -> dict[str, Any]:
        """Return the next message."""
        event: dict[str, str] = {}
        async with asyncio.timeout(10):
            async for line in self._lines:
                if not line and event:
                    assert event["event"] == "message"
                    found: dict[str, Any] = json.loads(event["data"])
                    return found
                name, colon, value = line.partition(":")
                if colon and name:
                    event[name] = event[name] + "\n" + value.strip() if name in event else value.strip()
        message = "the stream has ended"
        raise EOFError(message)


@contextlib.asynccontextmanager
async def events(client: httpx.AsyncClient, credit: int = 10) -> AsyncIterator[Events]:
    async with client.stream("GET", E, params={"credit": credit}) as answer:
        assert answer.status_code == 200, await answer.aread()
        yield Events(answer)


async def delete(client: httpx.AsyncClient, message: dict[str, Any]) -> None:
    assert (await client.delete(f"/v1/receipts/{message['receipt']}")).status_code == 204


async def test_messages_come_as_they_are_sent(service: Service) -> None:
    await service.queue()
    await send(service, {"a": [1, "\n"]})
    async with events(service.root) as coming:
        assert coming.answer.headers["content-type"].startswith("text/event-stream")
        assert coming.answer.headers["cache-control"] == "no-store"
        first = await coming.next()
        assert (first["body"], first["receive_count"]) == ({"a": [1, "\n"]}, 1)
        await delete(service.root, first)
        await send(service, "later")
        assert (await coming.next())["body"] == "later"


async def test_a_body_of_several_lines_is_the_same_json(service: Service) -> None:
    await service.queue()
    await service.root.post(f"{Q}/messages", content=b'{"body": {\r\n "a" :\n 1.10}}')
    async with events(service.root) as coming:
        assert (await coming.next())["body"] == {"a": 1.1}


@pytest.mark.parametrize("through", ["same", "other"])
async def test_what_is_settled_by_http_makes_room_through_whichever_process(
    service: Service, database: str, through: str
) -> None:
    await service.queue(visibility_timeout=300)
    await send(service, *range(4))
    async with in_process(database) as other, events(service.root, credit=2) as coming:
        held = [await coming.next(), await coming.next()]
        assert await stats(service) == (2, 2)
        await delete((service if through == "same" else other).root, held[0])
        assert (await coming.next())["body"] == 2
        assert await stats(service) == (1, 2)


async def test_what_was_not_settled_is_back_when_the_client_leaves(service: Service) -> None:
    await service.queue(visibility_timeout=3000)
    await send(service, 1, 2)
    async with events(service.root, credit=1) as coming:
        await coming.next()
    await settled(service, 2, 0)
    received = (await service.root.post(f"{Q}/messages/receive", json={"max_messages": 2})).json()["messages"]
    assert sorted(message["receive_count"] for message in received) == [1, 2]


async def test_it_ends_with_the_service_the_queue_and_the_key(service: Service, database: str) -> None:
    await service.queue()
    made = (await service.root.post("/v1/keys", json={"name": "k", "scopes": ["receive"]})).json()
    async with service.client(made["secret"]) as client, events(client) as coming:
        await service.root.delete(f"/v1/keys/{made['id']}")
        with pytest.raises(EOFError):
            await coming.next()
    async with events(service.root) as coming:
        await service.root.delete(Q)
        with pytest.raises(EOFError):
            await coming.next()
    await service.queue()
    async with in_process(database) as other, events(other.root) as coming:
        other.app.drain()
        with pytest.raises(EOFError):
            await coming.next()


async def test_what_cannot_be_streamed_is_refused_before_anything_is_answered(service: Service) -> None:
    await service.queue()
    assert problem(await service.root.get("/v1/queues/none/events?credit=1"))[:2] == (404, "queue_not_found")
    for query in ("", "?credit=0", "?credit=1001", "?credit=x"):
        assert problem(await service.root.get(f"{E}{query}"))[:2] == (422, "invalid_request"), query
    async with service.client(await service.key("send")) as client:
        assert problem(await client.get(f"{E}?credit=1"))[:2] == (403, "forbidden")
