"""The database's clock is set back by an hour: what has a time of the future in it goes on."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tests.clock import shiftable
from tests.in_process import Service, in_process
from tests.push.sink import sink
from tests.push.test_deliveries import send, webhook

pytestmark = pytest.mark.anyio


@pytest.fixture
async def ahead(database: str) -> AsyncIterator[Service]:
    """Serve from a database whose clock is an hour ahead, for now."""
    await shiftable(database)
    async with in_process(database) as service:
        await service.sql.execute("update shifted.clock set ahead = '1 hour'")
        yield service


async def set_back(service: Service) -> None:
    await service.sql.execute("update shifted.clock set ahead = '0'")


async def becomes(look: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await look():  # noqa: ASYNC110 - it has to be asked
            await asyncio.sleep(0.1)


async def test_a_project_that_was_emptied_may_send_again(ahead: Service) -> None:
    await ahead.root.put("/v1/projects/small", json={"limits": {"messages": 3}})
    theirs = {"Restante-Project": "small"}
    await ahead.root.put("/v1/queues/q", headers=theirs)

    async def sent() -> bool:
        answer = await ahead.root.post("/v1/queues/q/messages", json={"body": 1}, headers=theirs)
        assert answer.status_code in {201, 429}
        return answer.status_code == 201

    async def is_full() -> bool:
        return not await sent()

    await becomes(is_full)
    await set_back(ahead)
    await ahead.root.post("/v1/queues/q/purge", headers=theirs)
    await becomes(sent)


async def test_a_webhook_with_a_rate_goes_on(ahead: Service) -> None:
    await ahead.queue()
    async with sink() as target:
        await webhook(ahead, target, rate_limit=100)
        await send(ahead)
        await target.wait_for(1)
        await set_back(ahead)
        for _ in range(3):
            await send(ahead)
        await target.wait_for(4)


async def test_what_expires_in_a_queue_that_is_made_afterwards_is_found(ahead: Service) -> None:
    async def expired(name: str) -> None:
        """Make a queue whose messages expire, and return when one of them has."""
        rule = {"queue": f"dead-{name}", "max_receives": 3, "expired": True}
        await ahead.root.put(f"/v1/queues/dead-{name}")
        await ahead.root.put(f"/v1/queues/{name}", json={"retention": 1, "dead_letter": rule})
        await ahead.root.post(f"/v1/queues/{name}/messages", json={"body": 1})

        async def is_dead() -> bool:
            found = await ahead.root.get(f"/v1/queues/dead-{name}")
            return bool(found.json()["stats"]["total"] == 1)

        await becomes(is_dead)

    await expired("before")
    await set_back(ahead)
    await expired("after")
