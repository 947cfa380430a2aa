"""A key that is revoked or expires gets nothing more, whatever its holder has open."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest

from service.errors import Problem, Unavailable
from tests.api.streaming.test_events import events
from tests.api.streaming.test_socket_io import connected
from tests.api.streaming.test_websocket import ended, hear, say, streaming
from tests.in_process import Service

pytestmark = pytest.mark.anyio

RECEIVE = "/v1/queues/q/messages/receive"
# A way to wait for messages of the queue q; what it returns waits until the service ends it, and says with what.
End = Callable[[], Awaitable[Any]]
Way = Callable[[Service, str], contextlib.AbstractAsyncContextManager[End]]


@contextlib.asynccontextmanager
async def receive(service: Service, key: str) -> AsyncIterator[End]:
    async with service.client(key) as client:
        waiting = asyncio.create_task(client.post(RECEIVE, json={"wait": 60}))

        async def end() -> int:
            return (await waiting).status_code

        yield end


@contextlib.asynccontextmanager
async def websocket(service: Service, key: str) -> AsyncIterator[End]:
    async with streaming(service, key=key) as connection:
        await hear(connection, "ready")
        await say(connection, type="credit", n=10)

        async def end() -> int:
            return {4401: 401}[await ended(connection)]

        yield end


@contextlib.asynccontextmanager
async def server_sent(service: Service, key: str) -> AsyncIterator[End]:
    async with service.client(key) as client, events(client) as stream:

        async def end() -> int:
            with pytest.raises((EOFError, httpx.RemoteProtocolError)):
                await stream.next()
            return 401

        yield end


@contextlib.asynccontextmanager
async def socket_io(service: Service, key: str) -> AsyncIterator[End]:
    async with connected(service, {"key": key}) as client:
        assert (await client.ask("subscribe", queue="q"))["status"] == "ok"
        gone = asyncio.Event()
        client.io.on("disconnect", lambda _reason: gone.set())

        async def end() -> int:
            told = await client.error()
            await gone.wait()
            return int(told["status"])

        yield end


WAYS = [receive, websocket, server_sent, socket_io]


async def waits(service: Service, count: int = 1) -> None:
    async with asyncio.timeout(10):
        while service.app._store.claims.waiting < count:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("by", ["revoked here", "revoked elsewhere", "expired"])
async def test_what_a_key_has_open_ends_within_five_seconds_and_gets_nothing_more(
    service: Service, way: Way, by: str
) -> None:
    await service.queue()
    expires = await service.sql.fetchval("select (now() + '1.5 s')::timestamptz")
    fields = {"expires_at": expires.isoformat()} if by == "expired" else {}
    made = (await service.root.post("/v1/keys", json={"name": "k", "scopes": ["receive"], **fields})).json()
    async with way(service, made["secret"]) as end:
        await waits(service)
        began = time.monotonic()
        if by == "revoked here":
            await service.root.delete(f"/v1/keys/{made['id']}")
        elif by == "revoked elsewhere":
            await service.sql.execute("delete from api_key where id = $1", made["id"])
        async with asyncio.timeout(10):
            assert await end() == 401
        assert time.monotonic() - began < 5 + (1.5 if by == "expired" else 0)
        await service.root.post("/v1/queues/q/messages", json={"body": 1})
        [message] = (await service.root.post(RECEIVE, json={"wait": 5})).json()["messages"]
        assert message["receive_count"] == 1
    assert service.app._keyring._admissions == {}


@pytest.mark.parametrize("way", WAYS)
async def test_a_key_is_asked_again_before_anything_is_handed_over(
    service: Service, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However late the look of every second is: at the moment in which a message comes the key is asked."""
    await service.queue()
    monkeypatch.setattr("service.auth.keyring.RENEW_SECONDS", 1000.0)
    made = (await service.root.post("/v1/keys", json={"name": "k", "scopes": ["receive"]})).json()
    async with way(service, made["secret"]) as end:
        await waits(service)
        await service.sql.execute("delete from api_key where id = $1", made["id"])
        moment = time.monotonic
        # What is remembered of the key is too old now to be trusted.
        monkeypatch.setattr("service.auth.keyring.time.monotonic", lambda: moment() + 6)
        await service.root.post("/v1/queues/q/messages", json={"body": 1})
        async with asyncio.timeout(10):
            assert await end() == 401
        [message] = (await service.root.post(RECEIVE, json={"wait": 5})).json()["messages"]
        assert message["receive_count"] == 1


async def test_what_cannot_be_confirmed_is_given_back(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    await service.queue()

    async def away(*_: object) -> None:
        raise Unavailable

    monkeypatch.setattr("service.auth.admission.Admission.confirm", away)
    async with service.client(await service.key("receive")) as client:
        waiting = asyncio.create_task(client.post(RECEIVE, json={"wait": 60}))
        await waits(service)
        await service.root.post("/v1/queues/q/messages", json={"body": 1})
        assert (await waiting).status_code == 503
    monkeypatch.undo()
    [message] = (await service.root.post(RECEIVE, json={"wait": 5})).json()["messages"]
    assert message["receive_count"] == 1


async def test_what_waits_in_a_project_that_is_deleted_is_told_so(service: Service) -> None:
    await service.root.put("/v1/projects/shop")
    async with service.client("root-key-of-the-tests", **{"Restante-Project": "shop"}) as client:
        await client.put("/v1/queues/q")
        waiting = asyncio.create_task(client.post(RECEIVE, json={"wait": 60}))
        await waits(service)
        assert (await service.root.delete("/v1/projects/shop?force=true")).status_code == 204
        async with asyncio.timeout(10):
            answer = await waiting
        assert (answer.status_code, answer.json()["code"]) in {(404, "queue_not_found"), (404, "project_not_found")}


async def test_a_key_that_is_good_waits_through_looks_and_other_keys_revocations(service: Service) -> None:
    await service.queue()
    async with service.client(await service.key("receive")) as client:
        waiting = asyncio.create_task(client.post(RECEIVE, json={"wait": 60}))
        await waits(service)
        for _ in range(3):
            other = (await service.root.post("/v1/keys", json={"name": "o", "scopes": ["send"]})).json()
            await service.root.delete(f"/v1/keys/{other['id']}")
            asked = service.app._keyring
            with contextlib.suppress(Problem):
                await asked._renew()
        assert not waiting.done()
        await service.root.post("/v1/queues/q/messages", json={"body": 1})
        [message] = (await waiting).json()["messages"]
        assert message["receive_count"] == 1
