"""Who holds a leased message: by which key, in which way and since when, as those see it who look at it."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import pytest

from service.store.messaging import receives
from tests.api.resources.test_browse import Q, listed, look, send, take
from tests.api.streaming.test_events import events
from tests.api.streaming.test_socket_io import NEVER, connected
from tests.api.streaming.test_websocket import hear, say, streaming
from tests.api.streaming.test_websocket import message as next_message
from tests.in_process import Service, in_process, messages
from tests.push.sink import answers, sink
from tests.push.test_deliveries import webhook

pytestmark = pytest.mark.anyio

Holder = dict[str, Any]
ROOT = {"key_id": None, "key_name": None, "webhook": None}


async def worker(service: Service, name: str = "worker") -> tuple[dict[str, Any], Holder]:
    """Make a key; return it, and what is said of it when it holds a message."""
    made = (await service.root.post("/v1/keys", json={"name": name, "scopes": ["receive"]})).json()
    return made, {"key_id": made["id"], "key_name": name, "webhook": None}


async def held(service: Service) -> list[Holder]:
    """Return who holds the messages of the queue that are leased, in the order in which they were sent."""
    seen = [await look(service, message["id"]) for message in await listed(service, "state=leased")]
    holders = [message["waiting_for"]["holder"] for message in seen]
    for holder in holders:
        del holder["since"]
    return holders


async def received(service: Service, secret: str, **fields: Any) -> list[dict[str, Any]]:
    async with service.client(secret) as client:
        answer = await client.post(f"{Q}/messages/receive", json=fields)
        taken: list[dict[str, Any]] = answer.json()["messages"]
        return taken


@pytest.mark.parametrize("kind", ["standard", "fifo"])
async def test_what_was_received_over_http_is_held_by_the_key(service: Service, kind: str) -> None:
    await service.queue(type=kind)
    made, key = await worker(service)
    await send(service, 1, group="a")
    await received(service, made["secret"])
    assert await held(service) == [key | {"via": "receive"}]
    await send(service, 2, group="b")
    await take(service)
    assert await held(service) == [key | {"via": "receive"}, ROOT | {"via": "receive"}]


@pytest.mark.parametrize("kind", ["standard", "fifo"])
async def test_what_a_websocket_was_given_is_held_by_its_key(service: Service, kind: str) -> None:
    await service.queue(type=kind)
    made, key = await worker(service)
    await send(service, 1)
    async with streaming(service, key=made["secret"]) as connection:
        await hear(connection, "ready")
        await say(connection, type="credit", n=1)
        await next_message(connection)
        assert await held(service) == [key | {"via": "websocket"}]


async def test_what_server_sent_events_brought_is_held_by_their_key(service: Service) -> None:
    await service.queue()
    made, key = await worker(service)
    await send(service, 1)
    async with service.client(made["secret"]) as client, events(client) as coming:
        await coming.next()
        assert await held(service) == [key | {"via": "events"}]


async def test_what_socket_io_was_given_is_held_by_its_key(service: Service) -> None:
    await service.queue()
    made, key = await worker(service)
    await send(service, 1)
    async with connected(service, {"key": made["secret"]}, NEVER) as client:
        await client.ask("subscribe", queue="q", credit=1)
        await client.next()
        assert await held(service) == [key | {"via": "socket_io"}]


@pytest.mark.parametrize("kind", ["standard", "fifo"])
async def test_what_is_being_pushed_is_held_by_the_webhook(service: Service, kind: str) -> None:
    await service.queue(type=kind)
    go_on = asyncio.Event()

    async def hang(_posted: Any) -> Any:
        await go_on.wait()
        return await answers(200)(_posted)

    async with sink(hang) as target:
        # Before it was pushed a key had it.
        await send(service, 1)
        [taken] = await take(service)
        await webhook(service, target)
        await service.root.post(f"/v1/receipts/{taken['receipt']}/release")
        await target.wait_for(1)
        assert await held(service) == [ROOT | {"via": "webhook", "webhook": "w"}]
        await service.root.delete(f"{Q}/webhooks/w")
        assert await held(service) == [ROOT | {"via": "webhook"}]
        go_on.set()


async def test_since_is_when_the_lease_was_taken_however_often_it_is_extended(service: Service) -> None:
    await service.queue()
    [message_id] = await send(service, 1)
    before = await service.sql.fetchval("select clock_timestamp()")
    [taken] = await take(service)
    after = await service.sql.fetchval("select clock_timestamp()")
    since = (await look(service, message_id))["waiting_for"]["holder"]["since"]
    # A lease is named by its millisecond, by an estimate of the database's clock that may be behind.
    assert -5 < (datetime.fromisoformat(since) - before).total_seconds() <= (after - before).total_seconds()
    await service.root.patch(f"/v1/receipts/{taken['receipt']}", json={"visibility_timeout": 600})
    assert (await look(service, message_id))["waiting_for"]["holder"]["since"] == since
    await service.root.post(f"/v1/receipts/{taken['receipt']}/release")
    await take(service)
    assert (await look(service, message_id))["waiting_for"]["holder"]["since"] > since


async def test_a_key_that_is_gone_is_known_by_its_id(service: Service) -> None:
    await service.queue()
    made, key = await worker(service)
    await send(service, 1)
    await received(service, made["secret"])
    await service.root.delete(f"/v1/keys/{made['id']}")
    assert await held(service) == [key | {"key_name": None, "via": "receive"}]


async def test_what_was_taken_by_an_older_version_is_held_by_a_key_that_is_not_known(service: Service) -> None:
    number = await service.queue()
    made, _ = await worker(service)
    await messages(service.sql, number, 1)
    [taken] = await received(service, made["secret"])
    # It leaves what it does not know as it is.
    await service.sql.execute("update message set lease = lease + 1048576")
    assert await held(service) == [ROOT | {"via": None}]
    since = (await look(service, taken["id"]))["waiting_for"]["holder"]["since"]
    assert since < taken["lease_expires_at"]


async def _back_in_line(service: Service, receipt: str) -> None:
    await service.root.post(f"/v1/receipts/{receipt}/release")


async def _delayed(service: Service, receipt: str) -> None:
    await service.root.post(f"/v1/receipts/{receipt}/release", json={"delay": 60})


async def _dead(service: Service, receipt: str) -> None:
    await service.root.post(f"/v1/receipts/{receipt}/reject")


@pytest.mark.parametrize("leave", [_back_in_line, _delayed, _dead])
@pytest.mark.parametrize("kind", ["standard", "fifo"])
async def test_what_is_leased_no_more_is_held_by_no_one(
    service: Service, leave: Callable[[Service, str], Awaitable[None]], kind: str
) -> None:
    await service.queue("dead", type=kind)
    await service.queue(type=kind, dead_letter={"queue": "dead", "max_receives": 5})
    [message_id] = await send(service, 1, group="g")
    [taken] = await take(service)
    await leave(service, taken["receipt"])
    seen = (await service.root.get(f"/v1/messages/{message_id}")).json()
    assert "holder" not in (seen["waiting_for"] or {})
    for name in ("q", "dead") if kind == "fifo" else ():
        for group in (await service.root.get(f"/v1/queues/{name}/groups")).json()["items"]:
            assert not group["held_by"] or group["held_by"]["holder"] is None


@pytest.mark.parametrize("kind", ["standard", "fifo"])
async def test_each_of_many_that_ask_at_once_holds_what_it_was_given(service: Service, kind: str) -> None:
    await service.queue(type=kind, paused=True)
    keys = [await worker(service, f"worker-{number}") for number in range(3)]
    asking = [
        asyncio.create_task(received(service, made["secret"], wait=10, max_messages=wanted))
        for (made, _), wanted in zip(keys * 3, (1, 5, 2, 3, 1, 4, 2, 2, 1), strict=True)
    ]
    await _wait(service, len(asking))
    for number in range(21):
        await send(service, number, group=str(number))
    await service.root.patch(Q, json={"paused": False})
    given = await asyncio.gather(*asking)
    assert sum(map(len, given)) == 21
    for (_, key), taken in zip(keys * 3, given, strict=True):
        for message in taken:
            holder = (await look(service, message["id"]))["waiting_for"]["holder"]
            assert holder == key | {"via": "receive", "since": holder["since"]}


async def test_what_was_taken_for_a_key_and_given_to_another_is_held_by_that_one(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    # An answer carries two of these, not the three that the first one asks for.
    monkeypatch.setattr(receives, "MAX_ANSWER_BYTES", 2500)
    await service.queue(paused=True)
    keys = [await worker(service, f"worker-{number}") for number in range(2)]
    asking = []
    for place, (made, _) in enumerate(keys, 1):
        asking.append(asyncio.create_task(received(service, made["secret"], wait=10, max_messages=3)))
        await _wait(service, place)
    await send(service, *("x" * 1000 for _ in range(4)))
    await service.root.patch(Q, json={"paused": False})
    assert [len(taken) for taken in await asyncio.gather(*asking)] == [2, 2]
    assert await held(service) == [key | {"via": "receive"} for _, key in keys for _ in range(2)]


async def _wait(service: Service, receives: int) -> None:
    """Return when so many receives wait."""
    async with asyncio.timeout(10):
        while service.app._store.claims.waiting < receives:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_group_tells_who_holds_the_message_that_holds_it(service: Service, database: str) -> None:
    await service.queue(type="fifo")
    made, key = await worker(service)
    await send(service, 1, group="leased")
    async with in_process(database) as other:
        await received(other, made["secret"])
    await send(service, 2, group="delayed", delay=60)
    delayed, leased = (await service.root.get(f"{Q}/groups?blocked=true")).json()["items"]
    assert delayed["held_by"]["holder"] is None
    since = leased["held_by"]["since"]
    assert leased["held_by"]["holder"] == key | {"via": "receive", "since": since}
