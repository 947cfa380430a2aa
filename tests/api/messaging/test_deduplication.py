"""Sending once through several processes, and through faults: one message and its memory, or neither."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest

from service.store.messaging import deduplication
from service.store.store import Store
from service.upkeep.rounds import round_of_deduplication, round_of_retired
from tests.in_process import Service, in_process

pytestmark = pytest.mark.anyio


@pytest.fixture
async def other(database: str) -> AsyncIterator[httpx.AsyncClient]:
    """Give the operator's client of another process on the same database."""
    async with in_process(database) as other:
        yield other.root


async def send(client: httpx.AsyncClient, name: str, queue: str = "q", **headers: str) -> httpx.Response:
    document = {"body": 1, "deduplication_id": name}
    return await client.post(f"/v1/queues/{queue}/messages", json=document, headers=headers)


async def insist(client: httpx.AsyncClient, name: str) -> httpx.Response:
    """Send until it is known what came of it."""
    while (answer := await send(client, name)).status_code == 503:  # noqa: ASYNC110 - there is nothing to wait for
        await asyncio.sleep(0.01)
    assert answer.status_code in {200, 201}, answer.text
    return answer


async def test_two_processes_store_it_once_and_answer_the_same_id(service: Service, other: httpx.AsyncClient) -> None:
    await service.queue()
    names = [f"x{number % 40}" for number in range(400)]
    answers = await asyncio.gather(
        *(send(client, name) for name in names for client in (service.root, other)),
    )
    assert sorted(answer.status_code for answer in answers) == [200] * 760 + [201] * 40
    ids = {(name, answer.json()["id"]) for name, answer in zip([n for n in names for _ in "12"], answers, strict=True)}
    assert len(ids) == 40
    assert await service.sql.fetchval("select count(*) from message") == 40


async def test_crossing_batches_through_two_processes_are_stored_once(
    service: Service, other: httpx.AsyncClient
) -> None:
    await service.queue()
    await service.queue("full", max_length=1000)

    async def batch(client: httpx.AsyncClient, queue: str, start: int, step: int) -> httpx.Response:
        members = [{"body": 1, "deduplication_id": str((start + step * n) % 200)} for n in range(100)]
        return await client.post(f"/v1/queues/{queue}/messages/batch", json={"messages": members})

    answers = await asyncio.gather(
        *(
            batch(client, queue, start, step)
            for start in range(0, 200, 20)
            for step in (1, -1)
            for queue in ("q", "full")
            for client in (service.root, other)
        )
    )
    assert {answer.status_code for answer in answers} == {201}
    assert await service.sql.fetchval("select count(*) from message") == 400
    assert await service.sql.fetchval("select count(*) from deduplication") == 400
    known = await service.sql.fetchval(
        "select count(*) from deduplication d join message m on m.queue_number = d.queue_number and m.id = d.message_id"
    )
    assert known == 400


async def test_a_purge_through_another_process_forgets_at_once(service: Service, other: httpx.AsyncClient) -> None:
    await service.queue()
    for _ in range(3):
        assert (await send(service.root, "x")).status_code == 201
        assert (await send(other, "x")).status_code == 200
        await other.post("/v1/queues/q/purge")
    assert (await send(service.root, "x")).status_code == 201


async def test_a_change_of_the_queue_while_it_is_sent_to_loses_and_doubles_nothing(
    service: Service, other: httpx.AsyncClient
) -> None:
    await service.queue()

    async def change() -> None:
        for number in range(30):
            await other.patch("/v1/queues/q", json={"delay": number % 2, "max_length": [None, 10_000][number % 3 == 0]})

    changes = asyncio.create_task(change())
    answers = await asyncio.gather(*(insist(service.root, str(number % 150)) for number in range(300)))
    await changes
    assert sorted(answer.status_code for answer in answers) == [200] * 150 + [201] * 150
    assert await service.sql.fetchval("select count(*) from message") == 150


async def test_ids_of_different_projects_have_nothing_to_do_with_each_other(service: Service) -> None:
    await service.root.put("/v1/projects/other")
    for project in ("default", "other"):
        headers = {"Restante-Project": project}
        await service.root.put("/v1/queues/q", json={}, headers=headers)
        assert (await send(service.root, "x", **headers)).status_code == 201


async def test_where_the_connection_ends_there_is_the_message_with_its_memory_or_neither(service: Service) -> None:
    await service.queue()
    ending = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'restante-send-once'"

    async def end() -> None:
        for _ in range(15):
            await service.sql.fetch(ending)
            await asyncio.sleep(0.005)

    ends = asyncio.create_task(end())
    answers = await asyncio.gather(*(insist(service.root, f"x{number % 100}") for number in range(200)))
    await ends
    ids = [answer.json()["id"] for answer in answers]
    stored = {str(row["id"]) for row in await service.sql.fetch("select id from message")}
    assert stored == set(ids)
    assert len(stored) == 100


async def test_rows_go_when_their_window_is_over_and_not_before(
    service: Service, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deduplication, "BATCH", 3)
    for queue, window in (("a", 0.001), ("b", 300), ("c", 0.001)):
        await service.queue(queue, deduplication_window=window)
        for name in "xyz":
            await send(service.root, name, queue)
    await service.sql.execute("select pg_sleep(0.002)")
    assert await round_of_deduplication(store) == timedelta(0)
    assert await round_of_deduplication(store) == timedelta(0)
    assert await round_of_deduplication(store) > timedelta(0)
    assert await service.sql.fetchval("select count(*) from deduplication") == 3
    assert (await send(service.root, "x", "b")).status_code == 200


async def test_the_memory_of_a_deleted_queue_goes_with_its_messages(service: Service, store: Store) -> None:
    await service.queue()
    for name in "xyz":
        await send(service.root, name)
    await service.root.delete("/v1/queues/q")
    await round_of_retired(store)
    assert await service.sql.fetchval("select count(*) from deduplication") == 0
