"""Requests that collide with the making or deleting of what they name are tried again, and never answered 503."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from service.model import Queue
from tests.in_process import Service, in_process

pytestmark = pytest.mark.anyio

_QUEUE = "/v1/queues/q"
_ON_A_QUEUE: list[tuple[str, str, Any]] = [
    ("PUT", _QUEUE, {}),
    ("PUT", _QUEUE, {"type": "fifo"}),
    ("DELETE", _QUEUE, None),
    ("PATCH", _QUEUE, {"delay": 1}),
    ("POST", f"{_QUEUE}/messages", {"body": 1, "group": "g"}),
    ("POST", f"{_QUEUE}/messages", {"body": 1, "group": "g", "deduplication_id": "d"}),
    ("POST", f"{_QUEUE}/messages/receive", {}),
    ("POST", f"{_QUEUE}/purge", None),
    ("PUT", f"{_QUEUE}/webhooks/w", {"url": "http://127.0.0.1:1/", "enabled": False}),
    ("PUT", "/v1/topics/t/subscriptions/s", {"queue": "q"}),
    ("POST", "/v1/topics/t/messages", {"body": 1, "group": "g"}),
    ("POST", "/v1/transactions", {"send": [{"queue": "q", "body": 1, "group": "g"}]}),
]
_ON_A_TOPIC: list[tuple[str, str, Any]] = [
    ("PUT", "/v1/topics/t", {}),
    ("DELETE", "/v1/topics/t", None),
    ("POST", "/v1/topics/t/messages", {"body": 1}),
]
_ON_A_PROJECT: list[tuple[str, str, Any]] = [("PUT", "/v1/projects/p", {}), ("DELETE", "/v1/projects/p", None)]


@pytest.mark.parametrize("requests", [_ON_A_QUEUE, _ON_A_TOPIC, _ON_A_PROJECT], ids=["queue", "topic", "project"])
async def test_what_is_made_and_deleted_all_the_time_is_answered_with_success_or_absence_or_conflict(
    database: str, requests: list[tuple[str, str, Any]]
) -> None:
    answers: Counter[int] = Counter()

    async def client(root: httpx.AsyncClient, order: random.Random) -> None:
        # Most make or delete, so that the others meet that.
        for method, path, content in order.choices(requests, [4, *[2] * (len(requests) - 1)], k=6):
            answer = await root.request(method, path, json=content)
            answers[answer.status_code] += 1
            assert answer.status_code in {200, 201, 202, 204, 404, 409, 422}, (method, path, answer.text)

    async with in_process(database) as first, in_process(database) as second:
        await first.root.put("/v1/topics/t")
        clients = [client((first, second)[n % 2].root, random.Random(n)) for n in range(20)]
        await asyncio.gather(*clients)
    assert answers[201] > 1


@pytest.mark.parametrize(
    "path_and_body",
    [
        (f"{_QUEUE}/messages", {"body": 1}),
        ("/v1/topics/t/messages", {"body": 1}),
        ("/v1/transactions", {"send": [{"queue": "q", "body": 1}]}),
    ],
    ids=["send", "publish", "transaction"],
)
async def test_messages_are_stored_however_often_their_queue_changes_meanwhile(
    service: Service, monkeypatch: pytest.MonkeyPatch, path_and_body: tuple[str, Any]
) -> None:
    await service.queue()
    await service.root.put("/v1/topics/t")
    await service.root.put("/v1/topics/t/subscriptions/s", json={"queue": "q"})
    directory = service.app._store.directory
    find: Callable[[int, str], asyncio.Future[Queue]] = directory.find
    changes = iter(range(12))

    async def changed_at_once(project_id: int, name: str) -> Queue:
        found = await find(project_id, name)
        if next(changes, None) is not None:
            await service.sql.execute("update queue set version = version + 1")
        return found

    monkeypatch.setattr(directory, "find", changed_at_once)
    await service.sql.execute("update queue set version = version + 1")
    path, body = path_and_body
    answer = await service.root.post(path, json=body)
    assert answer.is_success, answer.text
    assert next(changes, None) is None
