"""A queue that has `expires_after` is deleted when nobody has used it for so long, and not while somebody does."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from service.store.views import activity
from service.upkeep.rounds import round_of_unused
from tests.api.streaming.test_events import events
from tests.api.streaming.test_websocket import Q, hear, streaming
from tests.clock import shiftable
from tests.in_process import Service, in_process

pytestmark = pytest.mark.anyio

MESSAGES = f"{Q}/messages"


@pytest.fixture
async def service(database: str) -> AsyncIterator[Service]:
    await shiftable(database)
    async with in_process(database) as service:
        yield service


async def pass_by(service: Service, seconds: float) -> None:
    """Let time pass in the database, and what has been done before be written down."""
    store = service.app._store
    await activity.write(store.engine)
    await store.consumers.write()
    await service.sql.execute("update shifted.clock set ahead = ahead + make_interval(secs => $1)", seconds)
    await store.consumers.write()


async def is_there(service: Service) -> bool:
    await round_of_unused(service.app._store)
    return (await service.root.get(Q)).status_code == 200


async def make(service: Service, **fields: Any) -> None:
    await service.queue(expires_after=60, **fields)


async def test_it_goes_with_its_messages_and_subscriptions_when_nobody_uses_it(service: Service) -> None:
    await make(service)
    await service.root.put("/v1/topics/t")
    await service.root.put("/v1/topics/t/subscriptions/s", json={"queue": "q"})
    await service.root.put(f"{Q}/webhooks/w", json={"url": "http://127.0.0.1:9/", "enabled": False})
    await service.root.post(MESSAGES, json={"body": 1})
    await pass_by(service, 59)
    assert await is_there(service)
    await pass_by(service, 60)
    assert not await is_there(service)
    assert (await service.root.get("/v1/topics/t/subscriptions")).json()["items"] == []
    answer = await service.root.post(MESSAGES, json={"body": 1})
    assert (answer.status_code, answer.json()["code"]) == (404, "queue_not_found")


async def test_one_without_the_setting_stays(service: Service) -> None:
    await service.queue()
    await pass_by(service, 400 * 86_400)
    assert await is_there(service)


@pytest.mark.parametrize("use", ["send", "receive", "delete", "subscribe", "configure", "publish"])
async def test_each_use_begins_its_time_anew(service: Service, use: str) -> None:
    await make(service)
    await service.root.put("/v1/topics/t")
    if use == "publish":
        await service.root.put("/v1/topics/t/subscriptions/s", json={"queue": "q"})
    await service.root.post(MESSAGES, json={"body": 1})
    [message] = (await service.root.post(f"{MESSAGES}/receive", json={"visibility_timeout": 1})).json()["messages"]
    await pass_by(service, 80)
    if use == "send":
        await service.root.post(MESSAGES, json={"body": 1})
    elif use == "receive":
        await service.root.post(f"{MESSAGES}/receive", json={"visibility_timeout": 1})
    elif use == "delete":
        await service.root.delete(f"/v1/receipts/{message['receipt']}")
    elif use == "subscribe":
        await service.root.put("/v1/topics/t/subscriptions/s", json={"queue": "q"})
    elif use == "publish":
        await service.root.post("/v1/topics/t/messages", json={"body": 1})
    else:
        await service.root.patch(Q, json={"delay": 1})
    await pass_by(service, 65)
    assert await is_there(service)
    await pass_by(service, 100)
    assert not await is_there(service)


async def test_looking_at_it_is_no_use(service: Service) -> None:
    await make(service)
    await pass_by(service, 80)
    for path in (Q, MESSAGES, f"{Q}/webhooks", f"{Q}/consumers"):
        assert (await service.root.get(path)).status_code == 200
    await service.root.put(Q, json={"expires_after": 60})
    await pass_by(service, 20)
    assert not await is_there(service)


async def test_it_stays_while_a_consumer_waits_or_holds_a_message(service: Service) -> None:
    await make(service, visibility_timeout=600)
    waiting = asyncio.create_task(service.root.post(f"{MESSAGES}/receive", json={"wait": 20}))
    async with asyncio.timeout(10):
        while service.app._store.claims.waiting < 1:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)
    for _ in range(3):
        await pass_by(service, 200)
        assert await is_there(service)
    await service.root.post(MESSAGES, json={"body": 1})
    [message] = (await waiting).json()["messages"]
    await pass_by(service, 300)
    assert await is_there(service)
    assert (await service.root.delete(f"/v1/receipts/{message['receipt']}")).status_code == 204
    await pass_by(service, 100)
    assert not await is_there(service)


async def test_it_stays_while_a_stream_is_open(service: Service) -> None:
    await make(service)
    async with streaming(service) as connection, events(service.root):
        await hear(connection, "ready")
        for _ in range(3):
            await pass_by(service, 200)
            assert await is_there(service)


async def test_a_message_that_was_not_counted_yet_keeps_it(service: Service) -> None:
    """A process that cannot write down what it counts loses no queue that is sent to."""
    await make(service)
    await pass_by(service, 80)
    # The process learns from a claim that the clock is ahead; ids have the time that it knows.
    await service.root.post(f"{MESSAGES}/receive")
    await service.sql.execute("delete from consumer")
    await service.root.post(MESSAGES, json={"body": 1})
    await service.sql.execute("update shifted.clock set ahead = ahead + '60 s'")
    assert await is_there(service)


async def test_a_queue_that_others_name_as_their_dead_letter_queue_stays(service: Service) -> None:
    await make(service)
    await service.queue("source", dead_letter={"queue": "q", "max_receives": 3})
    await pass_by(service, 500)
    assert await is_there(service)
    await service.root.patch("/v1/queues/source", json={"dead_letter": None})
    await pass_by(service, 500)
    assert not await is_there(service)


async def test_a_long_time_is_kept_over_hours_of_which_nothing_else_is_known(service: Service) -> None:
    await service.queue(expires_after=7200)
    for _ in range(6):
        await pass_by(service, 1740)
        await service.root.post(MESSAGES, json={"body": 1})
        await service.root.post(f"{Q}/purge")
        assert await is_there(service)
    for _ in range(4):
        await pass_by(service, 1740)
        assert await is_there(service)
        await activity.remove_old(service.app._store.engine)
    await pass_by(service, 1740)
    assert not await is_there(service)


async def test_many_that_are_unused_go_in_batches(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.store.work.unused.BATCH", 4)
    for number in range(10):
        await service.queue(f"q{number}", expires_after=60)
    await pass_by(service, 500)
    rests = [(await round_of_unused(service.app._store)).total_seconds() for _ in range(3)]
    assert rests == [0, 0, 10]
    assert (await service.root.get("/v1/queues")).json()["items"] == []


async def test_the_setting_is_60_seconds_to_a_year_or_null(service: Service) -> None:
    for value, status in ((59, 422), (60, 201), (31_536_000, 200), (31_536_001, 422), ("60", 422), (None, 200)):
        assert (await service.root.put(Q, json={"expires_after": value})).status_code == status
    assert (await service.root.get(Q)).json()["expires_after"] is None
