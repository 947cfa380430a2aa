"""Who takes a queue's messages, as every process has written it down."""

import asyncio
from typing import Any

import httpx
import pytest

from service.errors import Unavailable
from service.message import Via
from service.store.views import consumers
from tests.api.resources.test_queues import problem
from tests.api.streaming.test_events import events
from tests.api.streaming.test_socket_io import connected
from tests.api.streaming.test_websocket import say, streaming
from tests.in_process import Service, in_process

pytestmark = pytest.mark.anyio


async def seen(*services: Service, queue: str = "q") -> list[tuple[str | None, str, int]]:
    """Let the services write down what they see; return whose key asks in which way, and how many of them wait."""
    for service in services:
        await service.app._store.consumers.write()
    answer = await services[0].root.get(f"/v1/queues/{queue}/consumers")
    assert answer.status_code == 200, answer.text
    return [(item["key_name"], item["via"], item["waiting"]) for item in answer.json()["items"]]


async def become(wanted: list[Any], *services: Service) -> None:
    """Return when this is seen."""
    async with asyncio.timeout(10):
        # The service tells nobody; it has to be asked.
        while await seen(*services) != wanted:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def receive(client: httpx.AsyncClient, **fields: Any) -> None:
    assert (await client.post("/v1/queues/q/messages/receive", json=fields)).status_code == 200


async def test_nobody_is_seen_at_a_queue_that_nobody_asks(service: Service) -> None:
    await service.queue()
    await service.queue("other")
    await receive(service.root)
    assert await seen(service, queue="other") == []
    assert problem(await service.root.get("/v1/queues/none/consumers"))[:2] == (404, "queue_not_found")


async def test_who_waits_is_seen_by_key_over_all_processes_until_the_answer(service: Service, database: str) -> None:
    await service.queue()
    secret = await service.key("receive", name="worker")
    async with in_process(database) as other, service.client(secret) as here, other.client(secret) as there:
        waits = [asyncio.create_task(receive(client, wait=30)) for client in (here, here, there, other.root)]
        await become([("worker", "receive", 3), (None, "receive", 1)], service, other)
        for _ in waits:
            await service.root.post("/v1/queues/q/messages", json={"body": 1})
        await asyncio.gather(*waits)
        assert {waiting for _, _, waiting in await seen(service, other)} == {0}


async def test_who_does_not_wait_is_seen_as_well_and_when_it_was_last(service: Service) -> None:
    await service.queue()
    await receive(service.root)
    assert await seen(service) == [(None, "receive", 0)]
    [item] = (await service.root.get("/v1/queues/q/consumers")).json()["items"]
    assert item["key_id"] is None
    now = await service.sql.fetchval("select clock_timestamp()")
    assert (
        0
        <= (now - await service.sql.fetchval("select $1::text::timestamptz", item["last_asked_at"])).total_seconds()
        < 5
    )


async def test_who_wants_an_answer_at_once_does_not_wait_however_long_it_takes(service: Service) -> None:
    await service.queue()
    async with service.sql.transaction():
        await service.sql.execute("lock table message")
        receiving = asyncio.create_task(receive(service.root))
        await become([(None, "receive", 0)], service)
        assert not receiving.done()
    await receiving


async def test_streams_of_every_kind_are_seen_while_they_have_credit(service: Service) -> None:
    await service.queue()
    async with streaming(service) as websocket, connected(service) as socket_io:
        await say(websocket, type="credit", n=1)
        await socket_io.ask("subscribe", queue="q", credit=1)
        async with events(service.root):
            await become([(None, via, 1) for via in ("events", "socket_io", "websocket")], service)
    await become([(None, via, 0) for via in ("events", "socket_io", "websocket")], service)


async def test_a_key_that_is_gone_has_no_name(service: Service) -> None:
    await service.queue()
    made = (await service.root.post("/v1/keys", json={"name": "worker", "scopes": ["receive"]})).json()
    async with service.client(made["secret"]) as worker:
        await receive(worker)
    assert await seen(service) == [("worker", "receive", 0)]
    await service.root.delete(f"/v1/keys/{made['id']}")
    [item] = (await service.root.get("/v1/queues/q/consumers")).json()["items"]
    assert (item["key_id"], item["key_name"]) == (made["id"], None)


async def test_what_a_process_that_died_has_left_waits_no_longer(service: Service) -> None:
    await service.queue()
    [number] = [await service.sql.fetchval("select id from queue")]
    await service.sql.execute(
        "insert into consumer values ($1, 1, 'receive', null, 7, clock_timestamp() - interval '16 seconds')", number
    )
    assert await seen(service) == [(None, "receive", 0)]


async def test_who_has_not_asked_for_an_hour_is_forgotten(service: Service) -> None:
    await service.queue()
    await receive(service.root)
    assert len(await seen(service)) == 1
    await service.sql.execute("update consumer set asked_at = asked_at - interval '1 hour'")
    assert await seen(service) == []
    assert not await consumers.remove_old(service.app._store.engine)
    assert await service.sql.fetchval("select count(*) from consumer") == 0


async def test_a_queue_made_anew_has_nobody_of_the_one_before(service: Service) -> None:
    await service.queue()
    await receive(service.root)
    assert len(await seen(service)) == 1
    await service.root.delete("/v1/queues/q")
    await service.queue()
    assert await seen(service) == []


async def test_a_write_that_fails_forgets_nobody(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    await service.queue()
    await receive(service.root)

    async def fail(*_: object) -> None:
        raise Unavailable

    with monkeypatch.context() as patched:
        patched.setattr(consumers, "transaction", fail)
        with pytest.raises(Unavailable):
            await service.app._store.consumers.write()
    assert await seen(service) == [(None, "receive", 0)]


async def test_a_process_keeps_nothing_of_those_who_have_left(service: Service) -> None:
    await service.queue()
    known = service.app._store.consumers
    await receive(service.root)
    await known.write()
    with known.asks(1, Via.RECEIVE, None, waits=True):
        await known.write()
        assert len(known._present) == 1
    await known.write()
    assert known._present == {}


async def test_who_asked_last_is_known_after_the_service_has_ended(service: Service, database: str) -> None:
    await service.queue()
    async with in_process(database) as other:
        await receive(other.root)
    assert await seen(service) == [(None, "receive", 0)]


async def test_no_more_than_a_hundred_are_shown(service: Service) -> None:
    await service.queue()
    await service.sql.execute(
        """
        insert into consumer
        select id, n, 'receive', gen_random_uuid(), n % 2, clock_timestamp() from queue, generate_series(1, 120) as n
        """
    )
    found = await seen(service)
    assert len(found) == 100
    assert [waiting for _, _, waiting in found] == [1] * 60 + [0] * 40
