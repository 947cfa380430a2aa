"""Transactions through several processes, and through faults: wholly or not at all, and once."""

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.api.resources.test_queues import problem
from tests.in_process import Service, in_process

pytestmark = pytest.mark.anyio


@pytest.fixture
async def other(database: str) -> AsyncIterator[httpx.AsyncClient]:
    """Give the operator's client of another process on the same database."""
    async with in_process(database) as other:
        yield other.root


async def receipts(client: httpx.AsyncClient, queue: str, count: int) -> list[str]:
    """Send some messages and lease them."""
    members = [{"body": number, "group": str(number)} for number in range(count)]
    await client.post(f"/v1/queues/{queue}/messages/batch", json={"messages": members})
    got = await client.post(f"/v1/queues/{queue}/messages/receive", json={"max_messages": count})
    return [message["receipt"] for message in got.json()["messages"]]


def deletes(receipts: list[str]) -> list[dict[str, str]]:
    return [{"receipt": receipt, "action": "delete"} for receipt in receipts]


async def commit(client: httpx.AsyncClient, settle: list[dict[str, str]], send: list[dict[str, Any]]) -> httpx.Response:
    return await client.post("/v1/transactions", json={"settle": settle, "send": send})


async def test_two_processes_do_the_same_transaction_once(service: Service, other: httpx.AsyncClient) -> None:
    await service.queue()
    await service.queue("out")
    for receipt in await receipts(service.root, "q", 20):
        asked = deletes([receipt]), [{"queue": "out", "body": 1}]
        answers = await asyncio.gather(*(commit(client, *asked) for client in (service.root, other) * 3))
        assert {(answer.status_code, answer.content) for answer in answers} == {(200, answers[0].content)}
    assert await service.sql.fetchval("select count(*) from message") == 20


@pytest.mark.parametrize("kind", ["standard", "fifo"])
async def test_transactions_that_cross_are_all_done(service: Service, other: httpx.AsyncClient, kind: str) -> None:
    chance = random.Random(5)
    names = ["a", "b", "c"]
    for name in names:
        await service.queue(name, type=kind, max_length=10_000 if name == "b" else None)
    held = {name: await receipts(service.root, name, 60) for name in names}

    def asked(number: int) -> tuple[list[dict[str, str]], list[dict[str, Any]]]:
        settle = deletes([receipt for name in names for receipt in held[name][3 * number : 3 * number + 3]])
        send = [
            {"queue": name, "body": number, "group": str(group), "deduplication_id": f"{number} {group}"}
            for name in names
            for group in range(5)
        ]
        return chance.sample(settle, k=len(settle)), chance.sample(send, k=len(send))

    answers = await asyncio.gather(*(commit((service.root, other)[n % 2], *asked(n)) for n in range(20)))
    assert {answer.status_code for answer in answers} == {200}, [a.text for a in answers if a.status_code != 200]
    assert await service.sql.fetchval("select count(*) from message") == 3 * 20 * 5
    assert await service.sql.fetchval("select count(*) from message where lease is not null") == 0


async def test_where_the_connection_ends_all_of_it_was_done_or_nothing(service: Service) -> None:
    await service.queue()
    await service.queue("out")
    held = await receipts(service.root, "q", 60)
    ending = "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'restante-transact%'"

    async def end() -> None:
        for _ in range(20):
            await service.sql.fetch(ending)
            await asyncio.sleep(0.01)

    async def insist(number: int) -> list[str]:
        asked = deletes([held[number]]), [{"queue": "out", "body": number}] * 3
        while (answer := await commit(service.root, *asked)).status_code == 503:  # noqa: ASYNC110 - nothing to wait for
            await asyncio.sleep(0.01)
        assert answer.status_code == 200, answer.text
        return [message["id"] for message in answer.json()["messages"]]

    ends = asyncio.create_task(end())
    told = await asyncio.gather(*(insist(number) for number in range(60)))
    await ends
    stored = [str(row["id"]) for row in await service.sql.fetch("select id from message")]
    assert sorted(stored) == sorted(name for names in told for name in names)


async def test_it_takes_both_scopes_and_patterns_that_cover_every_queue(service: Service) -> None:
    for name in ("mine-a", "mine-b", "other"):
        await service.queue(name)
    [mine] = await receipts(service.root, "mine-a", 1)
    [foreign] = await receipts(service.root, "other", 1)
    for scopes in (["send"], ["receive"]):
        async with service.client(await service.key(*scopes)) as client:
            answer = await commit(client, [], [{"queue": "mine-b", "body": 1}])
            assert problem(answer)[:2] == (403, "forbidden")
    async with service.client(await service.key("send", "receive", queues=["mine-*"])) as client:
        send = [{"queue": "mine-b", "body": 1}]
        answer = await commit(client, deletes([mine, foreign]), send)
        assert problem(answer) == (403, "forbidden", [("/settle/1/receipt", "forbidden")])
        answer = await commit(client, deletes([mine]), [*send, {"queue": "other", "body": 1}])
        assert problem(answer) == (403, "forbidden", [("/send/1/queue", "forbidden")])
        assert (await commit(client, deletes([mine]), send)).status_code == 200
    assert await service.sql.fetchval("select count(*) from message") == 2


async def test_what_another_project_did_under_the_same_key_has_nothing_to_do_with_it(service: Service) -> None:
    await service.root.put("/v1/projects/other")
    ids = set()
    for project in ("default", "other"):
        headers = {"Restante-Project": project, "Idempotency-Key": "k"}
        await service.root.put("/v1/queues/q", json={}, headers={"Restante-Project": project})
        document = {"send": [{"queue": "q", "body": 1}]}
        answer = await service.root.post("/v1/transactions", json=document, headers=headers)
        ids.add(answer.json()["messages"][0]["id"])
    assert len(ids) == 2


async def test_a_changed_queue_is_seen_as_it_is(service: Service, other: httpx.AsyncClient) -> None:
    await service.queue()
    await service.queue("out")
    for limit in (10, 1000, 10, 1000):
        [receipt] = await receipts(service.root, "q", 1)
        await other.patch("/v1/queues/out", json={"max_message_bytes": limit})
        answer = await commit(service.root, deletes([receipt]), [{"queue": "out", "body": "x" * 100}])
        assert answer.status_code == (200 if limit == 1000 else 413)
    await other.delete("/v1/queues/out")
    answer = await commit(service.root, [], [{"queue": "out", "body": 1}])
    assert problem(answer) == (404, "queue_not_found", [("/send/0/queue", "queue_not_found")])
