"""Long reads of one project leave connections to others."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from service.errors import Unavailable
from service.store.database import reads as module
from service.store.database.reads import Reads
from tests.in_process import Service

pytestmark = pytest.mark.anyio


async def test_a_project_reads_twice_at_once_and_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PATIENCE_SECONDS", 0.01)
    reads, may_end = Reads(), asyncio.Event()

    async def read(project_id: int, begun: asyncio.Event) -> None:
        async with reads.turn(project_id):
            begun.set()
            await may_end.wait()

    async with asyncio.TaskGroup() as group:
        for project_id in (1, 1, 2):
            begun = asyncio.Event()
            group.create_task(read(project_id, begun))
            await begun.wait()
        with pytest.raises(Unavailable):
            await read(1, asyncio.Event())
        may_end.set()
    async with reads.turn(1):
        pass
    assert len(reads._turns) == 0


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/v1/queues/q/messages", None),
        ("GET", "/v1/queues/q/groups", None),
        ("POST", "/v1/queues/q/messages/actions", {"action": "delete", "dry_run": True}),
        ("POST", "/v1/queues/q/redrive", {}),
        ("POST", "/v1/queues/q/purge", None),
        ("GET", "/v1/queues?order=age", None),
        ("GET", "/v1/overview", None),
    ],
)
async def test_what_may_take_long_waits_for_its_turn(
    service: Service, monkeypatch: pytest.MonkeyPatch, method: str, path: str, body: object
) -> None:
    await service.queue(type="fifo")
    turns: list[int] = []

    @contextlib.asynccontextmanager
    async def counted(project_id: int) -> AsyncIterator[None]:
        turns.append(project_id)
        yield

    monkeypatch.setattr(service.app._store.reads, "turn", counted)
    assert (await service.root.request(method, path, json=body)).is_success
    assert turns == [await service.sql.fetchval("select id from project")]
