"""Redrives: dead letters go back, each once, in order, whatever happens meanwhile."""

import asyncio
import time
from typing import Any

import httpx
import pytest

from service.errors import Unavailable
from service.store.messaging import moves
from service.store.work import tasks
from tests.in_process import Service

pytestmark = pytest.mark.anyio

DEAD = "/v1/queues/dead"


@pytest.fixture(params=["standard", "fifo"])
async def kind(service: Service, request: pytest.FixtureRequest) -> str:
    """Give a queue with its dead-letter queue, of either type."""
    await service.queue("dead", type=request.param)
    await service.queue("q", type=request.param, dead_letter={"queue": "dead", "max_receives": 1})
    return str(request.param)


async def rejected(service: Service, *bodies: Any, queue: str = "q") -> list[str]:
    """Send messages and reject them; return their ids."""
    drafts = [{"body": body, "group": "g", "headers": {"n": str(body)}} for body in bodies]
    sent = (await service.root.post(f"/v1/queues/{queue}/messages/batch", json={"messages": drafts})).json()
    taken = await received(service, queue)
    items = [{"receipt": message["receipt"], "action": "reject"} for message in taken]
    results = (await service.root.post("/v1/receipts/batch", json={"items": items})).json()["results"]
    assert [result["status"] for result in results] == ["ok"] * len(bodies)
    return [message["id"] for message in sent["messages"]]


async def received(service: Service, queue: str = "q", **fields: Any) -> list[dict[str, Any]]:
    answer = await service.root.post(f"/v1/queues/{queue}/messages/receive", json={"max_messages": 100, **fields})
    messages: list[dict[str, Any]] = answer.json()["messages"]
    return messages


async def redrive(service: Service, **fields: Any) -> dict[str, Any]:
    answer = await service.root.post(f"{DEAD}/redrive", json=fields)
    assert answer.status_code == 202, answer.text
    task: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"/v1/tasks/{task['id']}"
    assert (task["kind"], task["state"], task["moved"]) == ("redrive", "running", 0)
    return task


async def ended(service: Service, task: dict[str, Any]) -> dict[str, Any]:
    """Return the task once it has ended."""
    async with asyncio.timeout(10):
        while True:
            found: dict[str, Any] = (await service.root.get(f"/v1/tasks/{task['id']}")).json()
            if found["state"] != "running":
                return found
            await asyncio.sleep(0.02)


async def total(service: Service, queue: str) -> int:
    return int((await service.root.get(f"/v1/queues/{queue}")).json()["stats"]["total"])


async def test_dead_letters_go_back_to_their_source_as_if_they_were_new(service: Service, kind: str) -> None:
    ids = await rejected(service, 1, 2, 3)
    task = await redrive(service)
    assert task["remaining"] == 3
    done = await ended(service, task)
    assert (done["state"], done["moved"], done["skipped"], done["remaining"]) == ("done", 3, 0, 0)
    messages = await received(service)
    assert [message["id"] for message in messages] == ids
    for number, message in enumerate(messages, 1):
        assert (message["body"], message["headers"], message["group"]) == (number, {"n": str(number)}, "g")
        assert message["receive_count"] == 1
        assert "dead_letter" not in message
    assert await total(service, "dead") == 0
    assert kind


async def test_whoever_waits_at_the_source_is_woken(service: Service, kind: str) -> None:
    await rejected(service, 1)
    waiting = asyncio.create_task(received(service, wait=20))
    async with asyncio.timeout(15):
        await redrive(service)
        assert len(await waiting) == 1
    assert kind


async def test_a_queue_that_is_named_gets_them_and_a_number_bounds_them(service: Service, kind: str) -> None:
    await service.queue("other", type=kind)
    await rejected(service, 1, 2, 3)
    done = await ended(service, await redrive(service, to="other", max_messages=2))
    assert (done["state"], done["moved"], done["remaining"]) == ("done", 2, 0)
    assert [message["body"] for message in await received(service, "other")] == [1, 2]
    assert await total(service, "dead") == 1


@pytest.mark.parametrize("rate", [None, 1000])
@pytest.mark.usefixtures("kind")
async def test_only_the_dead_letters_that_match_are_redriven(service: Service, rate: int | None) -> None:
    ids = await rejected(service, *range(6))
    chosen: dict[str, Any] = {"message_ids": [ids[0], ids[3], ids[4]], "filter": {"header.n": "3"}}
    task = await ended(service, await redrive(service, **chosen, rate=rate))
    assert (task["state"], task["moved"], task["skipped"], task["remaining"]) == ("done", 1, 0, 0)
    task = await ended(service, await redrive(service, message_ids=[ids[5], ids[0]], rate=rate))
    assert task["moved"] == 2
    assert sorted([message["id"] for message in await received(service)]) == sorted([ids[0], ids[3], ids[5]])
    assert len(await received(service, "dead")) == 3


@pytest.mark.usefixtures("kind")
async def test_a_redrive_finds_what_matches_among_more_than_a_batch(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "BATCH", 2)
    ids = await rejected(service, *range(9))
    task = await ended(service, await redrive(service, message_ids=[ids[1], ids[6], ids[8]], max_messages=2))
    assert (task["state"], task["moved"]) == ("done", 2)
    assert [message["id"] for message in await received(service)] == [ids[1], ids[6]]


async def test_a_message_without_a_source_stays_and_counts_as_skipped(service: Service, kind: str) -> None:
    await rejected(service, 1)
    await service.root.delete("/v1/queues/q")
    await service.queue("q", type="fifo" if kind == "standard" else "standard")
    await service.root.post(f"{DEAD}/messages", json={"body": "never elsewhere", "group": "h"})
    done = await ended(service, await redrive(service))
    assert (done["state"], done["moved"], done["skipped"]) == ("done", 0, 2)
    assert await total(service, "dead") == 2


async def test_a_key_redrives_to_the_queues_that_it_covers(service: Service, kind: str) -> None:
    await service.queue("foreign", type=kind, dead_letter={"queue": "dead", "max_receives": 1})
    await rejected(service, 1)
    await rejected(service, 2, queue="foreign")
    async with service.client(await service.key("manage", queues=["q*", "dead"])) as client:
        answer = await client.post(f"{DEAD}/redrive", json={})
        assert answer.status_code == 202
        done = await ended(service, answer.json())
    assert (done["state"], done["moved"], done["skipped"]) == ("done", 1, 1)
    assert (await total(service, "q"), await total(service, "foreign"), await total(service, "dead")) == (1, 0, 1)


async def test_leased_messages_are_left_alone(service: Service, kind: str) -> None:
    await rejected(service, 1, 2)
    await service.root.post(f"{DEAD}/messages/receive", json={"max_messages": 2 if kind == "fifo" else 1})
    done = await ended(service, await redrive(service))
    assert done["moved"] == (0 if kind == "fifo" else 1)
    assert await total(service, "dead") == (2 if kind == "fifo" else 1)


async def test_what_fails_again_is_not_redriven_twice(
    service: Service, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "BATCH", 1)
    await rejected(service, *range(5))
    task = await redrive(service)
    seen: list[Any] = []
    while len(seen) < 5:
        for message in await received(service, wait=5):
            seen.append(message["body"])
            await service.root.post(f"/v1/receipts/{message['receipt']}/reject")
    done = await ended(service, task)
    assert (sorted(seen), done["moved"]) == ([0, 1, 2, 3, 4], 5)
    assert await total(service, "dead") == 5
    assert kind


async def test_a_redrive_keeps_to_its_rate_and_can_be_cancelled(service: Service, kind: str) -> None:
    await rejected(service, *range(60))
    began = time.monotonic()
    task = await redrive(service, rate=20)
    async with asyncio.timeout(10):
        # The service tells nobody; it has to be asked.
        while (await service.root.get(f"/v1/tasks/{task['id']}")).json()["moved"] < 10:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert (await service.root.delete(f"/v1/tasks/{task['id']}")).status_code == 204
    cancelled = await ended(service, task)
    assert cancelled["state"] == "cancelled"
    assert 10 <= cancelled["moved"] <= 20 * (time.monotonic() - began) + 5
    assert cancelled["remaining"] == 60 - cancelled["moved"]
    await asyncio.sleep(0.3)
    assert await total(service, "q") == cancelled["moved"]
    assert (await service.root.delete(f"/v1/tasks/{task['id']}")).status_code == 204
    assert kind


async def test_a_target_that_goes_away_fails_the_task_and_loses_nothing(service: Service, kind: str) -> None:
    await service.queue("other", type=kind)
    await rejected(service, *range(50))
    task = await redrive(service, to="other", rate=10)
    await service.root.delete("/v1/queues/other")
    failed = await ended(service, task)
    assert failed["state"] == "failed"
    assert "other" in failed["error"]
    assert await total(service, "dead") == 50 - failed["moved"]


@pytest.mark.parametrize("error", [OverflowError, Unavailable])
async def test_a_task_that_cannot_go_on_holds_up_no_other(
    service: Service, monkeypatch: pytest.MonkeyPatch, kind: str, error: type[Exception]
) -> None:
    step = tasks._STEPS["redrive"]

    async def failing(connection: Any, found: Any, ready: Any) -> Any:
        if found.wanted["rate"] is not None:
            raise error
        return await step(connection, found, ready)

    monkeypatch.setitem(tasks._STEPS, "redrive", failing)
    await rejected(service, *range(30))
    stuck = await redrive(service, rate=1)
    other = await redrive(service)
    assert (await ended(service, other))["state"] == "done"
    assert (await service.root.get(f"/v1/tasks/{stuck['id']}")).json()["state"] == "running"
    assert kind


async def test_what_is_moved_keeps_the_order_of_its_group_however_old_it_is(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moves, "BATCH_BYTES", 1)
    for name in ("dead", "other"):
        await service.queue(name, type="fifo")
    await service.queue(type="fifo", dead_letter={"queue": "dead", "max_receives": 9})
    await rejected(service, "first", "second")
    await service.root.post("/v1/queues/q/messages", json={"body": "third", "group": "g"})
    # Behind it now, with the ids of long ago.
    await ended(service, await redrive(service))
    asked = {"action": "move", "to": "other", "filter": {}}
    answer = await service.root.post("/v1/queues/q/messages/actions", json=asked)
    assert (await ended(service, answer.json()))["moved"] == 3
    assert [message["body"] for message in await received(service, "other")] == ["third", "first", "second"]


async def test_batches_are_as_large_as_a_statement_can_move(
    service: Service, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(moves, "BATCH_BYTES", 100)
    bodies = [str(number) * 40 for number in range(10)]
    await rejected(service, *bodies)
    task = await redrive(service)
    assert ((await ended(service, task))["state"], await total(service, "q")) == ("done", 10)
    for action, fields in (("move", {"to": "dead"}), ("delete", {})):
        queue = "q" if action == "move" else "dead"
        asked = {"action": action, "filter": {}} | fields
        answer = await service.root.post(f"/v1/queues/{queue}/messages/actions", json=asked)
        assert (await ended(service, answer.json()))["moved"] == 10
    assert (await total(service, "q"), await total(service, "dead")) == (0, 0)
    assert kind


async def test_a_purge_ends_the_task(service: Service, kind: str) -> None:
    await rejected(service, *range(30))
    task = await redrive(service, rate=10)
    await service.root.post(f"{DEAD}/purge")
    assert (await ended(service, task))["state"] == "done"
    assert await total(service, "dead") == 0
    assert kind


@pytest.mark.parametrize(
    ("fields", "pointer", "code"),
    [
        ({"to": "nowhere"}, "/to", "queue_not_found"),
        ({"to": "dead"}, "/to", "cycle"),
        ({"to": "../x"}, "/to", "wrong_form"),
        ({"max_messages": 0}, "/max_messages", "out_of_range"),
        ({"rate": 0}, "/rate", "out_of_range"),
        ({"rate": 1e-20}, "/rate", "out_of_range"),
        ({"rate": "fast"}, "/rate", "wrong_type"),
        ({"speed": 1}, "/speed", "unknown_field"),
    ],
)
async def test_a_wrong_field_of_a_redrive_is_named(
    service: Service, fields: dict[str, Any], pointer: str, code: str
) -> None:
    await service.queue("dead")
    answer = await service.root.post(f"{DEAD}/redrive", json=fields)
    assert answer.status_code == 422
    assert [(error["pointer"], error["code"]) for error in answer.json()["errors"]] == [(pointer, code)]


async def test_a_target_of_another_type_is_refused(service: Service, kind: str) -> None:
    await service.queue("other", type="fifo" if kind == "standard" else "standard")
    answer = await service.root.post(f"{DEAD}/redrive", json={"to": "other"})
    assert answer.json()["errors"][0]["code"] == "wrong_type"


async def test_tasks_are_listed_page_by_page_as_far_as_the_key_covers_their_queues(service: Service) -> None:
    for name in ("dead", "orders-dead"):
        await service.queue(name)
    made = [(await service.root.post(f"/v1/queues/{name}/redrive")).json() for name in ("dead", "orders-dead", "dead")]
    first = (await service.root.get("/v1/tasks?limit=2")).json()
    assert [task["id"] for task in first["items"]] == [task["id"] for task in made[:2]]
    rest = (await service.root.get("/v1/tasks", params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert ([task["id"] for task in rest["items"]], rest["next_cursor"]) == ([made[2]["id"]], None)
    async with service.client(await service.key("manage", queues=["orders-*"])) as client:
        assert [task["id"] for task in (await client.get("/v1/tasks")).json()["items"]] == [made[1]["id"]]
        assert await code(client, made[0]["id"]) == "task_not_found"
    assert await code(service.root, "nothing") == "task_not_found"
    assert await code(service.root, "0" * 32) == "task_not_found"


async def code(client: httpx.AsyncClient, task_id: str) -> str:
    return str((await client.get(f"/v1/tasks/{task_id}")).json()["code"])
