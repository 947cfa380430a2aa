"""A schema change under a running service is not noticed by its clients."""

import asyncio
from collections import Counter
from pathlib import Path

import asyncpg
import httpx
import pytest

from tests.serving import Serving, serving

pytestmark = pytest.mark.anyio

# What an upgrade does: columns that `select *` would see, an index made anew, statements' plans thrown away.
_UPGRADE = (
    "alter table message add column later integer not null default 0",
    "alter table queue add column later text",
    "alter table api_key add column later text",
    "create index message_ready_anew on message (queue_number, urgency, visible_at, id)",
    "drop index message_ready",
    "alter index message_ready_anew rename to message_ready",
    "alter table queue alter column later type varchar(7)",
)


async def cycle(client: httpx.AsyncClient, queue: str, statuses: Counter[int]) -> None:
    """Use the queue in every way that has a statement of its own."""
    sent = await client.post(f"/v1/queues/{queue}/messages", json={"body": 1})
    got = await client.post(f"/v1/queues/{queue}/messages/receive", json={})
    answers = [sent, got, await client.get(f"/v1/queues/{queue}"), await client.get("/v1/queues?limit=10")]
    for message in got.json().get("messages", []):
        receipt = message["receipt"]
        answers.append(await client.patch(f"/v1/receipts/{receipt}", json={"visibility_timeout": 30}))
        answers.append(await client.delete(f"/v1/receipts/{receipt}"))
    statuses.update(answer.status_code for answer in answers)


async def test_no_request_fails_while_the_schema_changes(database: str, data_folder: Path) -> None:
    with serving(data_folder, database_url=database, secret_key="s" * 32) as service:
        await drive(service, database)


async def drive(service: Serving, database: str) -> None:
    upgraded = asyncio.Event()
    statuses: Counter[int] = Counter()
    headers = {"Authorization": f"Bearer {service.key}"}

    progress = asyncio.Condition()

    async def consume(client: httpx.AsyncClient, queue: str) -> None:
        await client.put(f"/v1/queues/{queue}")
        while not upgraded.is_set():
            await cycle(client, queue, statuses)
            async with progress:
                progress.notify_all()
        for _ in range(10):
            await cycle(client, queue, statuses)

    async def some_more() -> None:
        enough = statuses.total() + 40
        async with asyncio.timeout(20), progress:
            await progress.wait_for(lambda: statuses.total() >= enough)

    async def upgrade() -> None:
        connection = await asyncpg.connect(database)
        for statement in _UPGRADE:
            await connection.execute(f"set lock_timeout = '5s'; {statement}")
            await some_more()
        await connection.close()
        upgraded.set()

    async with (
        httpx.AsyncClient(base_url=service.url, headers=headers, trust_env=False, timeout=30) as client,
        asyncio.TaskGroup() as group,
    ):
        for number in range(4):
            group.create_task(consume(client, f"q{number}"))
        group.create_task(upgrade())
    assert {status for status in statuses if status >= 400} == set(), statuses
