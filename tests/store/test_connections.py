"""Behind a pooler such as PgBouncer, which gives each transaction whatever connection is free."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import text

from service.model import QueueConfig
from service.store import projects, queues
from service.store.connections import create_engine, settle_down
from service.store.queues import QueueFilter
from tests.serving import serving

pytestmark = pytest.mark.anyio


async def test_nothing_is_prepared_under_a_name_behind_a_pooler(database: str) -> None:
    engine = create_engine(database, pooled=True)
    try:
        async with engine.begin() as connection:
            project = await projects.create(connection, "p")
            assert project is not None
            await queues.create(connection, project.id, "q", QueueConfig())
            assert await queues.listed(connection, project.id, QueueFilter(), "", 10)
            prepared = text("select count(*) from pg_prepared_statements where name <> ''")
            assert (await connection.execute(prepared)).scalar_one() == 0
            # By this a claim knows that a transaction of ours may still make messages visible.
            assert (await connection.execute(text("show application_name"))).scalar_one() == "restante"
    finally:
        await engine.dispose()


async def test_a_service_with_a_way_past_its_pooler_serves(database: str, data_folder: Path) -> None:
    pooler = f"{database}&sslmode=prefer&application_name=pooler"
    settings = {"database_url": pooler, "database_direct_url": database, "secret_key": "s" * 32}
    with serving(data_folder, **settings) as service, service.client() as client:
        client.put("/v1/queues/q").raise_for_status()
        client.post("/v1/queues/q/messages", json={"body": 1}).raise_for_status()
        assert client.get("/v1/queues/q").json()["stats"]["ready"] == 1


async def test_a_task_that_takes_its_cancellation_for_a_failure_is_ended_all_the_same() -> None:
    async def deaf() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(60)

    task = asyncio.create_task(deaf())
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await settle_down(task)
    assert task.cancelled()
