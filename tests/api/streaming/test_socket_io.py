"""Over Socket.IO an event is a leased message: what a client missed, or did not acknowledge, is delivered again."""

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import socketio
import structlog
from socketio.exceptions import ConnectionError as Refused
from websockets.asyncio.client import connect

from service.log import AtMostOnceAMinute
from service.model import NOTHING
from service.store.messaging.receipts import Settle
from tests.api.streaming.test_websocket import Q, send, settled, stats
from tests.in_process import ROOT_KEY, Service, in_process

pytestmark = pytest.mark.anyio


NEVER = object()


class Client:
    """A client that keeps what came. `answer`: what it acknowledges a message with, NEVER: its handler never ends."""

    def __init__(self, answer: Any = None) -> None:
        self.answer = answer
        self.came: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.errors: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.io = socketio.AsyncClient(reconnection_delay=0.1, reconnection_delay_max=0.2, randomization_factor=0)
        self.io.on("message", self._message)
        self.io.on("error", self._error)

    async def _message(self, message: dict[str, Any]) -> Any:
        self.came.put_nowait(message)
        while self.answer is NEVER:  # noqa: ASYNC110 - nobody tells it
            await asyncio.sleep(3600)
        return self.answer

    async def _error(self, problem: dict[str, Any]) -> None:
        self.errors.put_nowait(problem)

    async def next(self) -> dict[str, Any]:
        async with asyncio.timeout(10):
            return await self.came.get()

    async def error(self) -> dict[str, Any]:
        async with asyncio.timeout(10):
            return await self.errors.get()

    async def ask(self, event: str, **data: Any) -> dict[str, Any]:
        answer: dict[str, Any] = await self.io.call(event, data, timeout=10)
        return answer


@contextlib.asynccontextmanager
async def connected(service: Service, auth: Any = None, answer: Any = None) -> AsyncIterator[Client]:
    client = Client(answer)
    auth = {"key": ROOT_KEY} if auth is None else auth
    await client.io.connect(service.url, auth=auth, transports=["websocket"], wait_timeout=5)
    try:
        yield client
    finally:
        await client.io.disconnect()
        await client.io.shutdown()


async def total(service: Service, expected: int) -> None:
    async with asyncio.timeout(10):
        while (await service.root.get(Q)).json()["stats"]["total"] != expected:  # noqa: ASYNC110 - it has to be asked
            await asyncio.sleep(0.02)


async def test_what_is_acknowledged_is_deleted_and_makes_room(service: Service) -> None:
    await service.queue()
    async with connected(service) as client:
        assert await client.ask("subscribe", queue="q", credit=2) == {"status": "ok"}
        sent = await client.ask("send", queue="q", message={"body": {"n": 1}, "headers": {"a": "b"}})
        assert sent["status"] == "ok"
        first = await client.next()
        assert (first["id"], first["body"], first["headers"], first["queue"]) == (sent["id"], {"n": 1}, {"a": "b"}, "q")
        await send(service, *range(5))
        assert [(await client.next())["body"] for _ in range(5)] == [0, 1, 2, 3, 4]
        await total(service, 0)


async def handled_again(service: Service, answer: Any) -> dict[str, Any]:
    """Send a message that is first acknowledged so, and return what comes again; it is gone after that."""
    async with connected(service, answer=answer) as client:
        await client.ask("subscribe", queue="q", credit=1)
        await send(service, 1)
        assert (await client.next())["receive_count"] == 1
        client.answer = None
        again = await client.next()
        await total(service, 0)
    return again


@pytest.mark.parametrize(
    "answer",
    [
        None,
        True,
        "ok",
        {"status": "ok"},
        {"error": None},
        {"status": "ok", "error": None},
        {"status": "ok", "took": 3},
        (None, "result"),
        (),
    ],
)
async def test_an_acknowledgement_that_names_no_error_deletes(service: Service, answer: Any) -> None:
    await service.queue()
    async with connected(service, answer=answer) as client:
        await client.ask("subscribe", queue="q", credit=1)
        await send(service, 1)
        await client.next()
        await total(service, 0)
        assert client.came.empty()


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"error": "busy"}, '{"error": "busy"}'),
        ("busy", "busy"),
        ("", ""),
        (False, "false"),
        ({}, "{}"),
        ({"status": "failed"}, '{"status": "failed"}'),
        ({"status": "ok", "error": "busy"}, '{"status": "ok", "error": "busy"}'),
        ([], "[]"),
        (0, "0"),
        (["ok"], '["ok"]'),
    ],
)
async def test_any_other_acknowledgement_releases_it_for_a_second_that_grows(
    service: Service, monkeypatch: pytest.MonkeyPatch, answer: Any, error: str
) -> None:
    """At once, a message that its consumer cannot process would come hundreds of times in a second."""
    await service.queue()
    pauses = []
    settle = service.app._store.settle_one

    async def noted(item: Settle) -> Any:
        pauses.append(item.until.total_seconds() if item.until else 0)
        item.until = NOTHING
        return await settle(item)

    monkeypatch.setattr(service.app._store, "settle_one", noted)
    async with connected(service, answer=answer) as client:
        await client.ask("subscribe", queue="q", credit=1)
        await send(service, 1)
        told = [await client.next() for _ in range(9)]
    assert pauses[:8] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert [message["receive_count"] for message in told] == list(range(1, 10))
    assert told[1].get("last_error", "") == error


async def test_of_subscriptions_that_are_made_at_once_one_stands_and_can_be_ended(service: Service) -> None:
    await service.queue(visibility_timeout=600)
    await send(service, *range(12))
    async with connected(service, answer=NEVER) as client:
        await client.ask("subscribe", queue="q", credit=3)
        await settled(service, 9, 3)
        await asyncio.gather(*(client.ask("subscribe", queue="q", credit=3) for _ in range(4)))
        await settled(service, 9, 3)
        await client.ask("unsubscribe", queue="q")
        await settled(service, 12, 0)
        assert len(service.app._store.watched) == 0


async def test_a_client_that_leaves_while_it_subscribes_gets_nothing(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    await service.queue(visibility_timeout=600)
    directory = service.app._store.directory
    find, asked, gone = directory.find, asyncio.Event(), asyncio.Event()

    async def slow(project_id: int, name: str) -> Any:
        asked.set()
        await gone.wait()
        return await find(project_id, name)

    async with connected(service) as client:
        monkeypatch.setattr(directory, "find", slow)
        await client.io.emit("subscribe", {"queue": "q", "credit": 1})
        await asked.wait()
    async with asyncio.timeout(10):
        while service.app._socket_io._clients:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.01)
    gone.set()
    monkeypatch.undo()
    await send(service, 1)
    [message] = (await service.root.post(f"{Q}/messages/receive", json={"wait": 5})).json()["messages"]
    assert message["receive_count"] == 1


@pytest.mark.parametrize("error", ["", 0, False, {}])
async def test_an_error_that_says_nothing_is_one(service: Service, error: Any) -> None:
    await service.queue()
    assert (await handled_again(service, error))["receive_count"] == 2


async def test_a_message_that_its_handler_failed_on_comes_again(service: Service) -> None:
    await service.queue(visibility_timeout=1)
    assert (await handled_again(service, NEVER))["receive_count"] == 2


async def test_what_was_sent_while_a_client_was_away_is_delivered_when_it_is_back(service: Service) -> None:
    await service.queue()
    async with connected(service) as client:
        await client.ask("subscribe", queue="q")
    await send(service, 1, 2, 3)
    async with connected(service) as client:
        await client.ask("subscribe", queue="q")
        # What the first one was given as it left comes last.
        assert sorted([(await client.next())["body"] for _ in range(3)]) == [1, 2, 3]
        await total(service, 0)


@pytest.mark.parametrize(("good_bye", "count"), [("41", 1), (None, 2)])
async def test_what_was_not_acknowledged_is_back_when_the_client_goes(
    service: Service, good_bye: str | None, count: int
) -> None:
    await service.queue(visibility_timeout=3000)
    await send(service, 1)
    # Packet by packet, as clients differ in how they say good-bye.
    async with connect(service.url.replace("http", "ws") + "/socket.io/?EIO=4&transport=websocket", proxy=None) as wire:
        assert str(await wire.recv()).startswith("0{")
        await wire.send(f'40{{"key":"{ROOT_KEY}"}}')
        assert str(await wire.recv()).startswith("40{")
        await wire.send('42["subscribe",{"queue":"q"}]')
        assert '["message",{' in str(await wire.recv())
        if good_bye is not None:
            await wire.send(good_bye)
        else:
            wire.transport.abort()
        await settled(service, 1, 0)
    [again] = (await service.root.post(f"{Q}/messages/receive")).json()["messages"]
    assert again["receive_count"] == count


async def test_a_client_resumes_by_itself_when_the_service_comes_back(database: str) -> None:
    client = Client()
    port = 0

    async def subscribe() -> None:
        await client.io.emit("subscribe", {"queue": "q", "credit": 5})

    client.io.on("connect", subscribe)
    async with in_process(database) as service:
        await service.queue()
        port = int(service.url.rsplit(":", 1)[1])
        await client.io.connect(service.url, auth={"key": ROOT_KEY}, transports=["websocket"])
        await send(service, "before")
        assert (await client.next())["body"] == "before"
        await total(service, 0)
    async with in_process(database, port=port) as service:
        await send(service, "after")
        assert (await client.next())["body"] == "after"
        await total(service, 0)
        await client.io.disconnect()
    await client.io.shutdown()


async def test_release_and_extend_take_a_receipt(service: Service) -> None:
    await service.queue(visibility_timeout=300)
    async with connected(service, answer=NEVER) as client:
        await client.ask("subscribe", queue="q", credit=1)
        await send(service, 1)
        message = await client.next()
        extended = await client.ask("extend", receipt=message["receipt"], visibility_timeout=600)
        assert extended["status"] == "ok"
        assert extended["lease_expires_at"] > message["lease_expires_at"]
        assert (await client.ask("release", receipt=message["receipt"], delay=300)) == {"status": "ok"}
        assert await stats(service) == (0, 0)
        await send(service, 2)
        assert (await client.next())["body"] == 2


@pytest.mark.parametrize("auth", [{"key": "wrong"}, {"key": 1}, {}, "key", {"key": ROOT_KEY, "more": 1}])
async def test_without_a_key_nobody_is_let_in(service: Service, auth: Any) -> None:
    with pytest.raises(Refused):
        async with connected(service, auth=auth):
            pass


async def test_what_goes_wrong_is_told_in_the_acknowledgement_and_as_an_event(service: Service) -> None:
    await service.queue()
    async with connected(service) as client:
        for event, data, code in (
            ("subscribe", {"queue": "none"}, "queue_not_found"),
            ("subscribe", {"queue": "q", "credit": 0}, "invalid_request"),
            ("subscribe", {}, "invalid_request"),
            ("subscribe", {"queue": 1}, "invalid_request"),
            ("subscribe", {"queue": "a\x00b"}, "invalid_request"),
            ("send", {"queue": "q", "message": {}}, "invalid_request"),
            ("send", {"queue": "none", "message": {"body": 1}}, "queue_not_found"),
            ("send", {"message": {"body": 1}}, "invalid_request"),
            ("release", {"receipt": "x"}, "receipt_not_found"),
            ("extend", {"receipt": "x"}, "invalid_request"),
        ):
            assert (await client.ask(event, **data))["status"] == code, event
            assert (await client.error())["code"] == code


async def test_a_revoked_key_ends_its_connections(service: Service) -> None:
    await service.queue()
    made = (await service.root.post("/v1/keys", json={"name": "k", "scopes": ["receive"]})).json()
    async with connected(service, auth={"key": made["secret"]}) as client:
        await client.ask("subscribe", queue="q")
        await service.root.delete(f"/v1/keys/{made['id']}")
        assert (await client.error())["code"] == "unauthenticated"
        async with asyncio.timeout(5):
            while client.io.connected:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.02)


async def test_a_queue_that_is_deleted_is_told(service: Service) -> None:
    await service.queue()
    async with connected(service) as client:
        await client.ask("subscribe", queue="q")
        await service.root.delete(Q)
        assert (await client.error())["code"] == "queue_not_found"


async def test_where_one_process_serves_a_client_may_poll(service: Service) -> None:
    await service.queue()
    await send(service, 1)
    path = "/socket.io/?EIO=4&transport=polling"
    opened = (await service.root.get(path)).text
    wire = f"{path}&sid={json.loads(opened[1:])['sid']}"
    await service.root.post(wire, content=f'40{{"key":"{ROOT_KEY}"}}')
    assert (await service.root.get(wire)).text.startswith("40{")
    await service.root.post(wire, content='42["subscribe",{"queue":"q"}]')
    packet = (await service.root.get(wire)).text
    assert packet.startswith('421["message",{')
    await service.root.post(wire, content="431[]")
    await total(service, 0)
    await service.root.post(wire, content="41\x1e1")


@pytest.mark.parametrize("event", ["zap", "message", "Subscribe", "x" * 1000, 7])
async def test_an_event_that_does_not_exist_is_acknowledged_as_a_problem(service: Service, event: Any) -> None:
    async with connected(service) as client:
        for data in ({"a": 1}, None, [1, 2]):
            answer = await client.io.call(event, data, timeout=10)
            assert answer["status"] == (await client.error())["code"] == "invalid_request"
            assert len(answer["detail"]) < 200


async def test_a_subscription_that_is_made_anew_or_ended_leaves_nothing_running(service: Service) -> None:
    await service.queue(visibility_timeout=3000)
    async with connected(service, answer=NEVER) as client:
        for _ in range(3):
            await client.ask("subscribe", queue="q", credit=1)
        await send(service, 1, 2)
        first = await client.next()
        assert await stats(service) == (1, 1)
        [served] = service.app._socket_io._clients.values()
        async with asyncio.timeout(15):
            # Two for the one subscription, and one for the connection.
            while len(served.tasks) > 3:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.02)
        assert await client.ask("unsubscribe", queue="q") == {"status": "ok"}
        await settled(service, 2, 0)
        await client.ask("subscribe", queue="q", credit=1)
        assert (await client.next())["receive_count"] == 1
        assert first["receive_count"] == 1


DEEP = "[" * 1000 + "]" * 1000


@pytest.mark.parametrize(
    ("packet", "status"),
    [
        ('["send",{"queue":"q","message":{"body":"\\ud800"}}]', "ok"),
        ('["send",{"queue":"q","message":{"body":{"n":1e400,"a":1.0,"a":2}}}]', "ok"),
        ('["send",{"queue":"q","message":{"body":1,"priority":3.0}}]', "ok"),
        (f'["send",{{"queue":"q","message":{{"body":{DEEP}}}}}]', "invalid_request"),
        ('["send",{"queue":"q","message":{"body":1,"headers":{"a":"\\ud800"}}}]', "invalid_request"),
        ('["send",{"queue":"q","message":{"body":1},"type":"ack"}]', "invalid_request"),
        ('["send"]', "invalid_request"),
        ('["send",5]', "invalid_request"),
        ('["send","\\ud800"]', "invalid_request"),
        (f'["{"e" * 50}\\ud800",{{}}]', "invalid_request"),
        (f'["nothing",{DEEP}]', "invalid_request"),
        ('["subscribe",{"queue":"other","credit":2.0}]', "ok"),
    ],
    ids=lambda packet: packet[:60],
)
async def test_an_odd_event_is_answered_and_the_connection_goes_on(service: Service, packet: str, status: str) -> None:
    await service.queue()
    await service.queue("other")
    async with engine(service) as (say, hear):
        await say(f"427{packet}")
        told = await hear("437")
        assert json.loads(told)[0]["status"] == status
        await say('428["send",{"queue":"q","message":{"body":"after"}}]')
        assert json.loads(await hear("438"))[0]["status"] == "ok"
    stored = [bytes(row["body"]) for row in await service.sql.fetch("select body from message order by id")]
    body = packet.partition('"body":')[2].partition("}}]")[0].partition(',"priority"')[0]
    assert stored == ([body.encode()] if '"send"' in packet and status == "ok" else []) + [b'"after"']


@contextlib.asynccontextmanager
async def engine(
    service: Service,
) -> AsyncIterator[tuple[Callable[[str], Awaitable[None]], Callable[[str], Awaitable[str]]]]:
    """Give a connection on which packets are written by hand: say one, and hear the next that begins so."""
    url = service.url.replace("http", "ws") + "/socket.io/?EIO=4&transport=websocket"
    async with connect(url, proxy=None) as connection:

        async def hear(beginning: str) -> str:
            async with asyncio.timeout(10):
                async for text in connection:
                    if str(text).startswith(beginning):
                        return str(text).removeprefix(beginning)
            raise EOFError

        await connection.send(f'40{{"key":"{ROOT_KEY}"}}')
        await hear("40")
        yield connection.send, hear


async def test_what_a_client_does_wrong_without_a_key_fills_no_log(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("socketio", "engineio"):
        monkeypatch.setattr(logging.getLogger(name), "filters", [AtMostOnceAMinute("socket_io_failed")])
    url = service.url.replace("http", "ws") + "/socket.io/?EIO=4&transport=websocket"
    with structlog.testing.capture_logs() as logged:
        for packet in ("4", "49", "42[]", '42["x"]', "45-1", "4{", "42[", "43[]", "zzz", '40{"key":"\\ud800"}'):
            for _ in range(5):
                async with connect(url, proxy=None) as connection:
                    await connection.recv()
                    await connection.send(packet)
                    await connection.send("2")
    assert len(logged) <= 2
    assert {event["event"] for event in logged} == {"socket_io_failed"}


async def test_a_message_is_published_and_rejected_over_the_connection(service: Service) -> None:
    await service.queue("dead")
    await service.queue(dead_letter={"queue": "dead", "max_receives": 5})
    await service.root.put("/v1/topics/t")
    await service.root.put("/v1/topics/t/subscriptions/s", json={"queue": "q", "filter": {"headers": {"a": ["b"]}}})
    async with connected(service, answer=NEVER) as client:
        assert (await client.ask("publish", topic="t", message={"body": 1}))["delivered_to"] == 0
        answer = await client.ask("publish", topic="t", message={"body": 2, "headers": {"a": "b"}})
        assert (answer["status"], answer["delivered_to"], answer["duplicate"]) == ("ok", 1, False)
        for topic, code in (("none", "topic_not_found"), ("a/b", "invalid_request")):
            assert (await client.ask("publish", topic=topic, message={"body": 1}))["status"] == code
        await client.ask("subscribe", queue="q", credit=1)
        message = await client.next()
        assert message["published"] == {"topic": "t", "id": answer["id"]}
        assert (await client.ask("reject", receipt=message["receipt"], error="no"))["status"] == "ok"
        assert (await service.root.get("/v1/queues/dead")).json()["stats"]["total"] == 1
        await client.ask("subscribe", queue="dead", credit=1)
        letter = await client.next()
        for fields, status in (({}, "no_dead_letter_queue"), ({"drop": True}, "ok")):
            assert (await client.ask("reject", receipt=letter["receipt"], **fields))["status"] == status
    assert (await service.root.get("/v1/queues/dead")).json()["stats"]["total"] == 0
