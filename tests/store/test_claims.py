"""Lines look when something is going to be ready, however soon that is and however often they are told."""

import asyncio
from datetime import timedelta

import pytest

from service.store.store import Store
from tests.in_process import Service

pytestmark = pytest.mark.anyio


async def test_a_line_that_is_told_of_several_times_that_have_come_already_looks_and_goes_on(service: Service) -> None:
    await service.queue("q")
    store: Store = service.app._store
    project = await service.sql.fetchval("select id from project where name = 'default'")
    queue = await store.directory.find(int(project), "q")
    ask = store.claims.ask(queue, 1, timedelta(seconds=30), patient=True)
    # Sooner than now, now, and later, within one turn of the loop.
    for seconds in (-5, 0, 0.001, -1, 5, 0):
        store.claims.expect(queue.id, store.clock.now() + timedelta(seconds=seconds))
    await asyncio.sleep(0.05)
    assert not ask.answer.done()
    await service.root.post("/v1/queues/q/messages", json={"body": 1})
    async with asyncio.timeout(5):
        assert await ask.answer is not None
