"""The same promises to every kind of consumer: by HTTP, server-sent events, WebSocket and Socket.IO."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from service.domain import stream
from tests.api.streaming import test_events, test_socket_io, test_websocket
from tests.in_process import Service

pytestmark = pytest.mark.anyio

Q = "/v1/queues/q"
Message = dict[str, Any]


@dataclass
class Consumer:
    """A consumer of queue `q` that takes one message at a time. `done`: it is processed."""

    next: Callable[[], Awaitable[Message]]
    done: Callable[[Message], Awaitable[None]]


async def _deleted(service: Service, message: Message) -> None:
    assert (await service.root.delete(f"/v1/receipts/{message['receipt']}")).status_code == 204


@contextlib.asynccontextmanager
async def by_http(service: Service) -> AsyncIterator[Consumer]:
    """Receive and delete; what is left in its hands it gives back."""
    held: list[Message] = []

    async def following() -> Message:
        answer = await service.root.post(f"{Q}/messages/receive", json={"wait": 10})
        held.extend(answer.json()["messages"])
        return held[-1]

    async def done(message: Message) -> None:
        held.remove(message)
        await _deleted(service, message)

    yield Consumer(following, done)
    for message in held:
        await service.root.post(f"/v1/receipts/{message['receipt']}/release")


@contextlib.asynccontextmanager
async def by_events(service: Service) -> AsyncIterator[Consumer]:
    async with test_events.events(service.root, credit=1) as coming:

        async def done(message: Message) -> None:
            await _deleted(service, message)

        yield Consumer(coming.next, done)


@contextlib.asynccontextmanager
async def by_websocket(service: Service) -> AsyncIterator[Consumer]:
    async with test_websocket.streaming(service) as connection:
        await test_websocket.hear(connection, "ready")

        async def following() -> Message:
            await test_websocket.say(connection, type="credit", n=1)
            return await test_websocket.message(connection)

        async def done(message: Message) -> None:
            await test_websocket.say(connection, type="ack", receipt=message["receipt"])
            assert (await test_websocket.hear(connection, "result"))["status"] == "ok"

        yield Consumer(following, done)
        # Not as one that wanted to leave: what it held counts as delivered.
        connection.transport.abort()


@contextlib.asynccontextmanager
async def by_socket_io(service: Service) -> AsyncIterator[Consumer]:
    async with test_socket_io.connected(service, answer=test_socket_io.NEVER) as client:
        await client.ask("subscribe", queue="q", credit=1)

        async def done(message: Message) -> None:
            await _deleted(service, message)

        yield Consumer(client.next, done)


KINDS = {"http": by_http, "events": by_events, "websocket": by_websocket, "socket.io": by_socket_io}
Consume = Callable[[Service], contextlib.AbstractAsyncContextManager[Consumer]]


@pytest.fixture(params=sorted(KINDS))
def consume(request: pytest.FixtureRequest) -> Consume:
    kind: Consume = KINDS[request.param]
    return kind


async def send(service: Service, *bodies: Any, **fields: Any) -> None:
    for body in bodies:
        answer = await service.root.post(f"{Q}/messages", json={"body": body, **fields})
        assert answer.status_code == 201, answer.text


async def test_each_message_comes_once_as_it_was_sent_and_is_gone_when_it_is_done(
    service: Service, consume: Consume
) -> None:
    await service.queue(visibility_timeout=300)
    await send(service, {"n": 1}, ["two"], None, headers={"color": "red"})
    async with consume(service) as consumer:
        for body in ({"n": 1}, ["two"], None):
            message = await consumer.next()
            assert (message["body"], message["headers"], message["receive_count"]) == (body, {"color": "red"}, 1)
            await consumer.done(message)
    await test_socket_io.total(service, 0)


async def test_a_message_comes_when_it_is_sent(service: Service, consume: Consume) -> None:
    await service.queue()
    async with consume(service) as consumer:
        coming = asyncio.ensure_future(consumer.next())
        done, _ = await asyncio.wait({coming}, timeout=0.2)
        assert not done
        await send(service, "now")
        message = await coming
        assert message["body"] == "now"
        await consumer.done(message)


async def test_what_a_consumer_had_when_it_went_comes_again_counted(service: Service, consume: Consume) -> None:
    await service.queue(visibility_timeout=3000)
    await send(service, 1)
    async with consume(service) as consumer:
        assert (await consumer.next())["receive_count"] == 1
    async with consume(service) as consumer:
        message = await consumer.next()
        assert message["receive_count"] == 2
        await consumer.done(message)


@pytest.fixture
def renewed(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Awaitable[None]]:
    """Let streams renew what they hold all the time; wait until they have, from beginning to end."""
    monkeypatch.setattr(stream, "_RENEW_SECONDS", 0.05)
    renew, ends = stream.Session._renew, asyncio.Condition()

    async def counted(session: stream.Session) -> None:
        await renew(session)
        async with ends:
            ends.notify_all()

    async def wait() -> None:
        async with ends, asyncio.timeout(10):
            # The first may have begun before.
            await ends.wait()
            await ends.wait()

    monkeypatch.setattr(stream.Session, "_renew", counted)
    return wait


@pytest.mark.parametrize("kind", ["events", "socket.io", "websocket"])
async def test_what_is_prolonged_or_shortened_by_http_stays_so(
    service: Service, renewed: Callable[[], Awaitable[None]], kind: str
) -> None:
    await service.queue(visibility_timeout=300)
    await send(service, 1)
    async with KINDS[kind](service) as consumer:
        receipt = (await consumer.next())["receipt"]
        for timeout in (3000, 20):
            await renewed()
            answer = await service.root.patch(f"/v1/receipts/{receipt}", json={"visibility_timeout": timeout})
            await renewed()
            [stored] = (await service.root.get(f"{Q}/messages")).json()["items"]
            assert stored["visible_at"] == answer.json()["lease_expires_at"]


async def test_what_is_extended_while_it_is_renewed_is_held_on(
    service: Service, monkeypatch: pytest.MonkeyPatch, renewed: Callable[[], Awaitable[None]]
) -> None:
    store, begun, extended = service.app._store, asyncio.Event(), asyncio.Event()
    settle = store.settle

    async def slow(settles: Any) -> Any:
        outcomes = await settle(settles)
        if settles[0].renewed:
            begun.set()
            await extended.wait()
        return outcomes

    monkeypatch.setattr(store, "settle", slow)
    await service.queue(visibility_timeout=300)
    await send(service, 1)
    ends = []
    async with test_websocket.streaming(service) as connection:
        await test_websocket.hear(connection, "ready")
        await test_websocket.say(connection, type="credit", n=1)
        receipt = (await test_websocket.message(connection))["receipt"]
        await begun.wait()
        await test_websocket.say(connection, type="extend", receipt=receipt, visibility_timeout=3000)
        assert (await test_websocket.hear(connection, "result"))["status"] == "ok"
        extended.set()
        for _ in range(3):
            await renewed()
            ends.append(await service.sql.fetchval("select visible_at from message"))
    assert ends[0] < ends[1] < ends[2]


async def test_what_is_given_back_by_http_is_not_taken_back(
    service: Service, renewed: Callable[[], Awaitable[None]]
) -> None:
    await service.queue(visibility_timeout=300)
    # One more, which is renewed as long as the test lasts.
    await send(service, 1, 2)
    async with by_websocket(service) as consumer:
        message, _ = await consumer.next(), await consumer.next()
        await renewed()
        await service.root.patch(f"/v1/receipts/{message['receipt']}", json={"visibility_timeout": 0})
        await renewed()
        [again] = (await service.root.post(f"{Q}/messages/receive")).json()["messages"]
        assert again["id"] == message["id"]


async def test_a_message_is_in_one_pair_of_hands(service: Service, consume: Consume) -> None:
    await service.queue(visibility_timeout=3000)
    await send(service, 1, 2)
    async with consume(service) as consumer, by_http(service) as other:
        first, second = await consumer.next(), await other.next()
        assert {first["body"], second["body"]} == {1, 2}
        received = await service.root.post(f"{Q}/messages/receive", json={"max_messages": 10})
        assert received.json()["messages"] == []


async def test_a_group_comes_in_order(service: Service, consume: Consume) -> None:
    await service.queue(type="fifo", visibility_timeout=300)
    await send(service, *range(5), group="g")
    async with consume(service) as consumer:
        for number in range(5):
            message = await consumer.next()
            assert (message["body"], message["group"]) == (number, "g")
            await consumer.done(message)


async def test_a_message_that_nobody_survives_is_a_dead_letter(service: Service, consume: Consume) -> None:
    await service.queue("dead")
    await service.queue(visibility_timeout=3000, dead_letter={"queue": "dead", "max_receives": 2})
    await send(service, 1)
    for _ in range(2):
        async with consume(service) as consumer:
            await consumer.next()
    async with asyncio.timeout(10):
        while (await service.root.get("/v1/queues/dead")).json()["stats"]["total"] != 1:  # noqa: ASYNC110 - it has to be asked
            await asyncio.sleep(0.02)
