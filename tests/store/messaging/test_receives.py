"""Lines look when something is going to be ready, however soon that is and however often they are told."""

import asyncio
from datetime import timedelta

import pytest

from service.message import Via
from service.model import Queue
from service.store.messaging.takers import Taker
from service.store.store import Store
from tests.in_process import Service

pytestmark = pytest.mark.anyio


async def test_a_line_that_is_told_of_several_times_that_have_come_already_looks_and_goes_on(service: Service) -> None:
    await service.queue("q")
    store: Store = service.app._store
    project = await service.sql.fetchval("select id from project where name = 'default'")
    queue = await store.directory.find(int(project), "q")
    ask = store.claims.ask(queue, 1, timedelta(seconds=30), Taker(None, Via.RECEIVE), may_wait=True)
    # Sooner than now, now, and later, within one turn of the loop.
    for seconds in (-5, 0, 0.001, -1, 5, 0):
        store.claims.expect(queue.id, store.clock.now() + timedelta(seconds=seconds))
    await asyncio.sleep(0.05)
    assert not ask.answer.done()
    await service.root.post("/v1/queues/q/messages", json={"body": 1})
    async with asyncio.timeout(15):
        assert await ask.answer is not None


async def test_a_receive_that_waits_does_not_go_over_to_a_queue_made_anew_under_the_same_name(service: Service) -> None:
    await service.queue("q")
    waiting = asyncio.create_task(service.root.post("/v1/queues/q/messages/receive", json={"wait": 20}))
    async with asyncio.timeout(15):
        while service.app._store.claims.waiting == 0:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    # Deleted and made anew within one moment: between two looks there is never no queue of this name.
    await service.sql.execute("update queue set id = id / 2 + 1, number = number / 2 + 1 where name = 'q'")
    await service.root.post("/v1/queues/q/messages", json={"body": "for others"})
    async with asyncio.timeout(15):
        answer = await waiting
    assert (answer.status_code, answer.json().get("code")) == (404, "queue_not_found")
    received = await service.root.post("/v1/queues/q/messages/receive")
    assert [message["body"] for message in received.json()["messages"]] == ["for others"]


async def test_a_receive_that_begins_after_a_queue_was_made_anew_gets_what_the_new_one_holds(service: Service) -> None:
    await service.queue("q")
    await service.root.post("/v1/queues/q/messages/receive")
    await service.sql.execute("update queue set id = id / 2 + 1, number = number / 2 + 1 where name = 'q'")
    waiting = asyncio.create_task(service.root.post("/v1/queues/q/messages/receive", json={"wait": 20}))
    async with asyncio.timeout(15):
        while service.app._store.claims.waiting == 0:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await service.root.post("/v1/queues/q/messages", json={"body": 1})
    async with asyncio.timeout(15):
        assert len((await waiting).json()["messages"]) == 1


async def test_a_receive_whose_time_is_over_before_its_queue_was_found_ends(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    await service.queue("q")
    directory = service.app._store.directory
    find = directory.find

    async def late(project: int, name: str) -> Queue:
        await asyncio.sleep(0.02)
        return await find(project, name)

    monkeypatch.setattr(directory, "find", late)
    async with asyncio.timeout(15):
        answer = await service.root.post("/v1/queues/q/messages/receive", json={"wait": 0.01})
    assert answer.json() == {"messages": []}
