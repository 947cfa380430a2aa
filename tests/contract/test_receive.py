"""Leases: one holder at a time, for as long as was agreed, and never a message lost to somebody who has gone."""

import asyncio
import contextlib
import json
import socket
import struct
import time
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.contract.conftest import Queue

pytestmark = pytest.mark.anyio


async def test_a_received_message_is_what_was_sent(queue: Queue) -> None:
    sent = await queue.send({"order": 17}, headers={"Source": "shop"})
    message = await queue.receive_one()
    assert message["id"] == sent["id"]
    assert message["body"] == {"order": 17}
    assert message["headers"] == {"source": "shop"}
    assert message["content_type"] == "application/json"
    assert message["receive_count"] == 1
    assert message["sent_at"] == sent["sent_at"]
    assert message["group"] is None
    assert message["priority"] == 0
    assert "last_error" not in message


async def test_messages_come_in_the_order_in_which_they_were_sent(queue: Queue) -> None:
    for number in range(5):
        await queue.send(number)
    batch = {"messages": [{"body": number} for number in range(5, 20)]}
    await queue.http.post(f"{queue.path}/messages/batch", json=batch)
    assert [message["body"] for message in await queue.receive(max_messages=20)] == list(range(20))


async def test_a_leased_message_tells_who_holds_it(queue: Queue) -> None:
    await queue.send()
    message = await queue.receive_one()
    seen = (await queue.http.get(f"{queue.path}/messages/{message['id']}")).json()["waiting_for"]
    since = seen["holder"].pop("since")
    assert since < seen["until"] == message["lease_expires_at"]
    assert seen["holder"] == {"via": "receive", "key_id": None, "key_name": None, "webhook": None}


async def test_a_leased_message_is_given_to_nobody_else_until_its_lease_ends(queue: Queue) -> None:
    await queue.send()
    first = await queue.receive_one(visibility_timeout=600)
    assert await queue.receive() == []
    # With time to spare for a machine that stands still.
    await queue.pass_time(550)
    assert await queue.receive() == []
    await queue.pass_time(51)
    again = await queue.receive_one()
    assert again["id"] == first["id"]
    assert again["receive_count"] == 2
    assert again["first_received_at"] == first["first_received_at"]
    assert again["receipt"] != first["receipt"]


async def test_the_visibility_timeout_of_the_call_comes_before_the_queues_and_zero_is_a_value(queue: Queue) -> None:
    await queue.configure(visibility_timeout=5)
    await queue.send()
    assert _lease_seconds(await queue.receive_one()) == pytest.approx(5, abs=0.01)
    await queue.pass_time(6)
    assert _lease_seconds(await queue.receive_one(visibility_timeout=0)) <= 0.01
    assert (await queue.receive_one())["receive_count"] == 3


def _lease_seconds(message: dict[str, Any]) -> float:
    """Return how long the lease of a first delivery lasts; of a later one, how long since the first."""
    if message["receive_count"] > 1:
        return 0.0
    ends, began = (datetime.fromisoformat(message[name]) for name in ("lease_expires_at", "first_received_at"))
    return (ends - began).total_seconds()


async def test_no_delivery_before_the_delay_is_over_and_deliver_at_in_the_past_is_now(queue: Queue) -> None:
    await queue.send("later", delay=10)
    await queue.send("now", deliver_at="2020-01-01T01:00:00+01:00")
    # In UTC there is no such day.
    await queue.send("too", deliver_at="0001-01-01T00:00:00+14:00")
    assert [message["body"] for message in await queue.receive(max_messages=10)] == ["now", "too"]
    await queue.pass_time(9)
    assert await queue.receive() == []
    await queue.pass_time(1.1)
    assert (await queue.receive_one())["body"] == "later"


async def test_a_queues_delay_is_that_of_messages_sent_after_it_was_set(queue: Queue) -> None:
    await queue.send("before")
    await queue.configure(delay=30)
    await queue.send("delayed")
    await queue.configure(delay=0)
    await queue.send("after")
    assert [message["body"] for message in await queue.receive(max_messages=10)] == ["before", "after"]


async def test_a_message_past_its_ttl_or_its_queues_retention_is_never_given_out(queue: Queue) -> None:
    await queue.configure(retention=60)
    await queue.send("short", ttl=5)
    await queue.send("long")
    await queue.pass_time(6)
    assert [message["body"] for message in await queue.receive(max_messages=10, visibility_timeout=0)] == ["long"]
    await queue.pass_time(60)
    assert await queue.receive(max_messages=10) == []


async def test_a_waiting_receive_returns_as_soon_as_something_is_sent(queue: Queue) -> None:
    waiting = asyncio.create_task(queue.receive_one(wait=20))
    await queue.parked(1)
    started = time.monotonic()
    await queue.send("hello")
    assert (await waiting)["body"] == "hello"
    assert time.monotonic() - started < 5


async def test_a_waiting_receive_returns_when_a_delay_or_a_lease_ends(queue: Queue) -> None:
    started = time.monotonic()
    await queue.send("delayed", delay=0.4)
    assert (await queue.receive_one(wait=20, visibility_timeout=0.4))["body"] == "delayed"
    assert (await queue.receive_one(wait=20))["receive_count"] == 2
    assert 0.75 < time.monotonic() - started < 5


async def test_a_waiting_receive_returns_when_a_message_is_released_or_its_lease_is_cut_short(queue: Queue) -> None:
    await queue.send()
    for verb, fields in (("release", {}), ("extend", {"visibility_timeout": 0}), ("release", {"delay": 0.2})):
        held = await queue.receive_one(visibility_timeout=60)
        waiting = asyncio.create_task(queue.receive_one(wait=20, visibility_timeout=0))
        await queue.parked(1)
        started = time.monotonic()
        assert (await queue.settle(held["receipt"], verb, **fields)).is_success
        assert (await waiting)["id"] == held["id"]
        assert time.monotonic() - started < 5


async def test_a_waiting_receive_returns_when_the_queue_is_unpaused_and_sends_go_on_meanwhile(queue: Queue) -> None:
    await queue.configure(paused=True)
    await queue.send("kept")
    assert await queue.receive() == []
    waiting = asyncio.create_task(queue.receive_one(wait=20))
    await queue.parked(1)
    started = time.monotonic()
    await queue.configure(paused=False)
    assert (await waiting)["body"] == "kept"
    assert time.monotonic() - started < 5


async def test_a_receive_waits_no_longer_than_it_was_asked_to(queue: Queue) -> None:
    started = time.monotonic()
    assert await queue.receive(wait=0.3) == []
    assert 0.28 < time.monotonic() - started < 5


async def test_a_receive_whose_queue_is_deleted_ends_at_once_and_does_not_join_the_new_one(queue: Queue) -> None:
    waiting = asyncio.create_task(
        queue.http.post(f"{queue.path}/messages/receive", json={"wait": 20, "max_messages": 10})
    )
    await queue.parked(1)
    assert (await queue.http.delete(queue.path)).status_code == 204
    started = time.monotonic()
    answer = await waiting
    assert (answer.status_code, answer.json()["code"]) == (404, "queue_not_found")
    assert time.monotonic() - started < 5


async def test_waiting_receivers_are_served_first_come_first_served(queue: Queue) -> None:
    async def receive(number: int) -> tuple[int, Any]:
        return number, (await queue.receive_one(wait=20))["body"]

    waiting = []
    for number in range(5):
        waiting.append(asyncio.create_task(receive(number)))
        await queue.parked(number + 1)
    for number in range(5):
        await queue.send(number)
    assert await asyncio.gather(*waiting) == [(number, number) for number in range(5)]


async def test_prefer_wait_equals_wait_and_says_that_it_was_applied(queue: Queue) -> None:
    path = f"{queue.path}/messages/receive"
    waiting = asyncio.create_task(queue.http.post(path, headers={"Prefer": "respond-async, wait=20"}))
    await queue.parked(1)
    await queue.send()
    answer = await waiting
    assert answer.headers["preference-applied"] == "wait=20"
    assert len(answer.json()["messages"]) == 1
    ignored = await queue.http.post(path, headers={"Prefer": "wait=20"}, json={"wait": 0})
    assert "preference-applied" not in ignored.headers


async def test_an_answer_carries_no_more_than_eight_mebibytes_of_bodies_and_always_one(queue: Queue) -> None:
    await queue.configure(max_message_bytes=1024 * 1024)
    for _ in range(10):
        await queue.send("x" * 1_000_000)
    assert len(await queue.receive(max_messages=100)) == 8
    assert len(await queue.receive(max_messages=100)) == 2


@pytest.mark.parametrize("goes", ["resets", "closes", "half-closes"])
async def test_a_message_sent_after_a_waiting_client_has_gone_is_not_leased_to_it(queue: Queue, goes: str) -> None:
    async with _connected(queue, {"wait": 20}) as connection:
        await queue.parked(1)
        _go(connection, goes)
        await queue.parked(0)
    await queue.send("kept")
    message = await queue.receive_one()
    assert (message["body"], message["receive_count"]) == ("kept", 1)


async def test_fifty_abandoned_receives_leave_nothing_behind_and_take_nothing_with_them(queue: Queue) -> None:
    async with contextlib.AsyncExitStack() as stack:
        connections = [await stack.enter_async_context(_connected(queue, {"wait": 20})) for _ in range(50)]
        await queue.parked(50)
        for connection in connections:
            _go(connection, "resets")
        await queue.parked(0)
    await queue.http.post(f"{queue.path}/messages/batch", json={"messages": [{"body": n} for n in range(50)]})
    assert [message["receive_count"] for message in await queue.receive(max_messages=100)] == [1] * 50


async def test_what_was_leased_for_a_client_that_has_gone_is_released_as_if_it_had_never_been_taken(
    queue: Queue,
) -> None:
    for body in range(20):
        async with _connected(queue, {"wait": 20}) as connection:
            await queue.parked(1)
            # The send and the reset race: whichever wins, the message is not lost and not counted.
            sending = asyncio.create_task(queue.send(body))
            _go(connection, "resets")
            await sending
        async with asyncio.timeout(15):
            while not (messages := await queue.receive(wait=0.05)):
                pass
        assert (messages[0]["body"], messages[0]["receive_count"]) == (body, 1)
        await queue.settle(messages[0]["receipt"], "delete")


@contextlib.asynccontextmanager
async def _connected(queue: Queue, request: dict[str, Any]) -> AsyncIterator[socket.socket]:
    """Ask for messages on a socket of our own, and leave the answer unread."""
    url = urlsplit(str(queue.http.base_url))
    body = json.dumps(request)
    head = (
        f"POST {queue.path}/messages/receive HTTP/1.1\r\nHost: {url.netloc}\r\n"
        f"Authorization: {queue.http.headers['Authorization']}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    connection = socket.create_connection((url.hostname, url.port or 80))
    with connection:
        connection.setblocking(False)  # noqa: FBT003 - the socket module's own name
        await asyncio.get_running_loop().sock_sendall(connection, (head + body).encode())
        yield connection


def _go(connection: socket.socket, how: str) -> None:
    if how == "half-closes":
        connection.shutdown(socket.SHUT_WR)
        return
    if how == "resets":
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@pytest.mark.parametrize(
    ("request_body", "pointer"),
    [
        ({"max_messages": 0}, "/max_messages"),
        ({"max_messages": 101}, "/max_messages"),
        ({"max_messages": 1.5}, "/max_messages"),
        ({"max_messages": "1"}, "/max_messages"),
        ({"wait": -1}, "/wait"),
        ({"wait": 61}, "/wait"),
        ({"wait": "abc"}, "/wait"),
        ({"visibility_timeout": -0.001}, "/visibility_timeout"),
        ({"visibility_timeout": 604801}, "/visibility_timeout"),
        ({"visibility_timeout": 2**63}, "/visibility_timeout"),
        ({"max": 1}, "/max"),
    ],
)
async def test_a_field_out_of_bounds_is_named_with_its_bounds(
    queue: Queue, request_body: dict[str, Any], pointer: str
) -> None:
    answer = await queue.http.post(f"{queue.path}/messages/receive", json=request_body)
    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid_request"
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


@pytest.mark.parametrize("wait", [0, 1.5, 60])
async def test_waits_up_to_a_minute_are_taken_decimal_ones_too(queue: Queue, wait: float) -> None:
    await queue.send()
    assert len(await queue.receive(wait=wait)) == 1


@pytest.mark.alone
async def test_several_pollers_get_every_message_soon_and_never_nothing_while_there_is_one(queue: Queue) -> None:
    sent_at: dict[int, float] = {}
    delays: list[float] = []

    async def poll() -> None:
        while len(delays) < 60:
            for message in await queue.receive(wait=2):
                delays.append(time.monotonic() - sent_at[message["body"]])
                await queue.settle(message["receipt"], "delete")

    pollers = [asyncio.create_task(poll()) for _ in range(3)]
    for number in range(60):
        sent_at[number] = time.monotonic()
        await queue.send(number)
        await asyncio.sleep(0.03)
    await asyncio.gather(*pollers)
    assert len(delays) == 60
    assert sorted(delays)[50] < 0.5
    assert max(delays) < 2


async def test_a_message_that_arrives_between_two_polls_is_in_the_very_next_answer(queue: Queue) -> None:
    for number in range(50):
        assert await queue.receive() == []
        await queue.send(number)
        message = await queue.receive_one(wait=10)
        assert message["body"] == number
        await queue.settle(message["receipt"], "delete")


async def test_a_lease_ends_though_the_connection_that_got_it_stays_open(queue: Queue) -> None:
    await queue.send()
    first = await queue.receive_one(wait=5, visibility_timeout=0.5)
    started = time.monotonic()
    again = await queue.receive_one(wait=5)
    assert (again["id"], again["receive_count"]) == (first["id"], 2)
    assert time.monotonic() - started < 4


async def test_a_purge_removes_ready_leased_and_delayed_messages_and_keeps_what_is_sent_after_it(queue: Queue) -> None:
    for number in range(8):
        await queue.send(number)
    leased = await queue.receive(max_messages=3)
    for number in range(2):
        await queue.send(number, delay=30)
    stats = await queue.stats()
    assert (stats["ready"], stats["leased"], stats["delayed"], stats["total"]) == (5, 3, 2, 10)
    assert (await queue.http.post(f"{queue.path}/purge")).json()["purged"] == 10
    await queue.send("after")
    for message in leased:
        assert (await queue.settle(message["receipt"], "delete")).status_code == 409
    await queue.pass_time(60)
    assert [message["body"] for message in await queue.receive(max_messages=100)] == ["after"]


async def test_stats_tell_of_every_answered_call_at_once(queue: Queue) -> None:
    async def states() -> tuple[int, int, int]:
        stats = await queue.stats()
        return stats["ready"], stats["leased"], stats["delayed"]

    assert await states() == (0, 0, 0)
    await queue.send()
    await queue.send(delay=60)
    assert await states() == (1, 0, 1)
    receipt = (await queue.receive_one())["receipt"]
    assert await states() == (0, 1, 1)
    await queue.settle(receipt, "release", delay=60)
    assert await states() == (0, 0, 2)
    await queue.pass_time(61)
    assert await states() == (2, 0, 0)
    # From when it became ready, and not from its send, a minute before.
    assert 1 <= (await queue.stats())["oldest_ready_age"] < 60
    for message in await queue.receive(max_messages=2):
        await queue.settle(message["receipt"], "delete")
    assert await states() == (0, 0, 0)
    assert (await queue.stats())["oldest_ready_age"] is None


@pytest.mark.parametrize("length", [1, 47, 48, 58, 63, 64, 80, 81, 127, 128])
async def test_names_of_every_length_work_and_do_not_collide(queue: Queue, length: int) -> None:
    for last in "ab":
        name = ("x" * length)[:-1] + last
        assert (await queue.http.put(f"/v1/queues/{name}", json={})).status_code in {200, 201}
        assert (await queue.http.post(f"/v1/queues/{name}/messages", json={"body": last})).status_code == 201
    for last in "ab":
        name = ("x" * length)[:-1] + last
        [message] = (await queue.http.post(f"/v1/queues/{name}/messages/receive")).json()["messages"]
        assert message["body"] == last
        assert (await queue.http.delete(f"/v1/queues/{name}")).status_code == 204
