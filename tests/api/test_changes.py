"""A change that was answered holds for every request made after the answer, through any process."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.api.resources.test_queues import problem
from tests.in_process import Service, in_process

pytestmark = pytest.mark.anyio


@pytest.fixture
async def other(database: str) -> AsyncIterator[httpx.AsyncClient]:
    """Give the operator's client of another process on the same database."""
    async with in_process(database) as other:
        yield other.root


async def send(client: httpx.AsyncClient, body: object = 1) -> httpx.Response:
    return await client.post("/v1/queues/q/messages", json={"body": body})


async def receive(client: httpx.AsyncClient, **fields: Any) -> list[dict[str, Any]]:
    answer = await client.post("/v1/queues/q/messages/receive", json={"max_messages": 100, **fields})
    assert answer.status_code == 200, answer.text
    messages: list[dict[str, Any]] = answer.json()["messages"]
    return messages


async def parked(client: httpx.AsyncClient) -> "asyncio.Task[httpx.Response]":
    """Start a receive that waits, and return once it does."""
    before = await waiting(client)
    task = asyncio.create_task(client.post("/v1/queues/q/messages/receive", json={"wait": 20}))
    while await waiting(client) <= before:
        pass
    return task


async def waiting(client: httpx.AsyncClient) -> float:
    lines = (await client.get("/metrics")).text.splitlines()
    return sum(float(line.split(" ")[1]) for line in lines if line.startswith("restante_parked_receives"))


async def test_a_changed_configuration_holds_everywhere_at_once(service: Service, other: httpx.AsyncClient) -> None:
    await service.queue()
    for limit in (100, 10, 100, 10):
        assert (await send(other, "x" * 50)).status_code in {201, 413}
        await service.root.patch("/v1/queues/q", json={"max_message_bytes": limit})
        assert (await send(other, "x" * 50)).status_code == (201 if limit == 100 else 413)


async def test_a_paused_queue_gives_out_nothing_anywhere(service: Service, other: httpx.AsyncClient) -> None:
    await service.queue()
    for _ in range(3):
        await send(other)
        await service.root.patch("/v1/queues/q", json={"paused": True})
        assert await receive(other) == []
        await service.root.patch("/v1/queues/q", json={"paused": False})
        assert len(await receive(other)) == 1


async def test_a_queue_made_anew_has_nothing_of_the_old_one(service: Service, other: httpx.AsyncClient) -> None:
    await service.queue()
    for _ in range(3):
        await send(other)
    [first, *_] = await receive(other, max_messages=1)
    assert (await service.root.delete("/v1/queues/q")).status_code == 204
    assert problem(await send(other))[:2] == (404, "queue_not_found")
    assert problem(await other.delete(f"/v1/receipts/{first['receipt']}"))[:2] == (404, "receipt_not_found")
    await service.queue()
    assert problem(await other.delete(f"/v1/receipts/{first['receipt']}"))[:2] == (404, "receipt_not_found")
    assert await receive(other) == []
    assert (await send(other)).status_code == 201
    assert (await service.root.get("/v1/queues/q")).json()["stats"]["total"] == 1


async def test_a_purge_takes_all_that_was_there_and_nothing_after(service: Service, other: httpx.AsyncClient) -> None:
    await service.queue()
    for _ in range(6):
        await send(other)
    leased = await receive(other, max_messages=2)
    assert (await service.root.post("/v1/queues/q/purge")).json() == {"purged": 6}
    assert (await send(other, "after")).status_code == 201
    for message in leased:
        for method, path, body in (
            ("DELETE", "", None),
            ("PATCH", "", {"visibility_timeout": 9}),
            ("POST", "/release", None),
        ):
            answer = await other.request(method, f"/v1/receipts/{message['receipt']}{path}", json=body)
            assert problem(answer)[:2] == (409, "lease_lost")
    assert [message["body"] for message in await receive(other)] == ["after"]


async def test_messages_sent_during_purges_are_all_purged_or_all_there(
    service: Service, other: httpx.AsyncClient
) -> None:
    await service.queue()
    answered: list[tuple[float, str]] = []
    stop = asyncio.Event()

    async def sender(client: httpx.AsyncClient) -> None:
        while not stop.is_set():
            begun = time.monotonic()
            answer = await send(client)
            assert answer.status_code == 201
            answered.append((begun, answer.json()["id"]))

    senders = [asyncio.create_task(sender(client)) for client in (service.root, other)]
    purged_at = 0.0
    for _ in range(5):
        await asyncio.sleep(0.1)
        assert (await service.root.post("/v1/queues/q/purge")).status_code == 200
        purged_at = time.monotonic()
    await asyncio.sleep(0.1)
    stop.set()
    await asyncio.gather(*senders)
    received = {message["id"] for _ in range(20) for message in await receive(other)}
    assert {message_id for begun, message_id in answered if begun > purged_at} <= received


@pytest.mark.alone
@pytest.mark.parametrize("made_anew", [False, True])
async def test_a_waiting_receive_ends_at_once_when_its_queue_is_deleted(
    service: Service, other: httpx.AsyncClient, *, made_anew: bool
) -> None:
    await service.queue()
    waits = [await parked(client) for client in (service.root, other)]
    started = time.monotonic()
    await service.root.delete("/v1/queues/q")
    if made_anew:
        await service.queue()
        await send(service.root)
    for answer in await asyncio.gather(*waits):
        assert problem(answer)[:2] == (404, "queue_not_found")
    assert time.monotonic() - started < 1.5
    if made_anew:
        assert len(await receive(service.root)) == 1


async def test_a_waiting_receive_outlives_a_purge_and_a_pause(service: Service, other: httpx.AsyncClient) -> None:
    await service.queue()
    waits = [await parked(client) for client in (service.root, other)]
    await service.root.post("/v1/queues/q/purge")
    await service.root.patch("/v1/queues/q", json={"paused": True})
    for body in (1, 2):
        await send(service.root, body)
    await service.root.patch("/v1/queues/q", json={"paused": False})
    answers = await asyncio.gather(*waits)
    assert sorted(answer.json()["messages"][0]["body"] for answer in answers) == [1, 2]


async def test_a_revoked_key_stops_everywhere_within_five_seconds(service: Service, other: httpx.AsyncClient) -> None:
    await service.queue()
    secret = await service.key("admin")
    key_id = (await service.root.get("/v1/keys")).json()["items"][0]["id"]
    key = {"Authorization": f"Bearer {secret}"}
    body = {"body": 1}
    assert (await other.post("/v1/queues/q/messages", json=body, headers=key)).status_code == 201
    assert (await service.root.delete(f"/v1/keys/{key_id}")).status_code == 204
    revoked = time.monotonic()
    while (await other.post("/v1/queues/q/messages", json=body, headers=key)).status_code != 401:
        assert time.monotonic() - revoked < 5
        await asyncio.sleep(0.05)
    for _ in range(20):
        assert (await other.post("/v1/queues/q/messages", json=body, headers=key)).status_code == 401


async def test_a_project_made_anew_is_not_the_old_one_to_any_process(
    service: Service, other: httpx.AsyncClient
) -> None:
    inside = {"Restante-Project": "shop"}
    for _ in range(3):
        assert (await service.root.put("/v1/projects/shop")).status_code == 201
        assert (await service.root.put("/v1/queues/q", headers=inside)).status_code == 201
        for client in (service.root, other):
            answer = await client.post("/v1/queues/q/messages", json={"body": 1}, headers=inside)
            assert answer.status_code == 201, answer.text
        assert (await service.root.delete("/v1/projects/shop?force=true")).status_code == 204
        for client in (service.root, other):
            answer = await client.post("/v1/queues/q/messages", json={"body": 1}, headers=inside)
            assert problem(answer)[0] == 404
