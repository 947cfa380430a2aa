"""No request waits for the database longer than six seconds, however many steps it takes and whoever else asks."""

import asyncio
import contextlib
import time

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from service.errors import Unavailable
from service.store.database import patience
from service.store.database.transaction import transaction
from service.store.store import Store
from tests.api.resources.test_queues import problem
from tests.in_process import ROOT_KEY, Service

pytestmark = pytest.mark.anyio


async def _slow(connection: AsyncConnection) -> None:
    await connection.execute(text("select pg_sleep(0.5)"))


async def test_the_steps_of_one_request_share_its_time(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "REQUEST_SECONDS", 0.8)
    patience.begin()
    began = time.monotonic()
    await transaction(store.engine, _slow)
    with pytest.raises(Unavailable):
        await transaction(store.engine, _slow)
    assert time.monotonic() - began < 1.0
    with pytest.raises(Unavailable):
        async with store.reads.turn(1):
            await transaction(store.engine, _slow)
    patience.end()
    await transaction(store.engine, _slow)


@pytest.mark.alone
@pytest.mark.usefixtures("deadlines")
async def test_while_the_pool_is_taken_every_request_is_answered_within_six_seconds(service: Service) -> None:
    await service.queue("dead")
    await service.queue(dead_letter={"queue": "dead", "max_receives": 3})
    await service.root.put("/v1/topics/t")
    asked = [
        ("POST", "/v1/queues/dead/redrive", {}),
        ("POST", "/v1/queues/q/messages/actions", {"action": "delete"}),
        ("PUT", "/v1/queues/new", {}),
        ("PATCH", "/v1/queues/q", {"delay": 1}),
        ("GET", "/v1/queues", None),
        ("GET", "/v1/queues?order=age", None),
        ("POST", "/v1/queues/q/purge", None),
        ("GET", "/v1/overview", None),
        ("PUT", "/v1/topics/t/subscriptions/s", {"queue": "q"}),
    ]
    async with contextlib.AsyncExitStack() as taken:
        for _ in range(6):
            connection = await taken.enter_async_context(service.app._store.engine.connect())
            await connection.execute(text("select 1"))

        async def ask(method: str, path: str, document: object) -> float:
            began = time.monotonic()
            answer = await service.root.request(method, path, json=document)
            assert problem(answer)[:2] == (503, "unavailable"), path
            return time.monotonic() - began

        assert max(await asyncio.gather(*(ask(*one) for one in asked))) < 6
    assert (await service.root.get("/v1/queues/q")).json()["delay"] == 0


@pytest.mark.alone
@pytest.mark.usefixtures("deadlines")
async def test_projects_that_count_and_list_leave_connections_to_others(service: Service) -> None:
    """Four projects together took all of them."""
    for number in range(6):
        await service.root.put(f"/v1/projects/p{number}")
        async with service.client(ROOT_KEY, **{"Restante-Project": f"p{number}"}) as client:
            await client.put("/v1/queues/q")
    async with service.sql.transaction():
        await service.sql.execute("lock table message in access exclusive mode")

        async def count(number: int) -> int:
            async with service.client(ROOT_KEY, **{"Restante-Project": f"p{number}"}) as client:
                body = {"action": "delete", "dry_run": True}
                return (await client.post("/v1/queues/q/messages/actions", json=body)).status_code

        counting = [asyncio.create_task(count(number)) for number in range(6) for _ in range(3)]
        await asyncio.sleep(0.5)
        for _ in range(5):
            began = time.monotonic()
            assert (await service.root.get("/v1/keys")).status_code == 200
            assert (await service.root.get("/v1/topics")).status_code == 200
            assert time.monotonic() - began < 1
        assert not all(task.done() for task in counting)
    assert set(await asyncio.gather(*counting)) <= {200, 503}
