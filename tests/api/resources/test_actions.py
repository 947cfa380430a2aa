"""Acting on all messages that match: what matches, and nothing else; what is leased stays."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import func

from service.store.views import stats
from service.store.work import actions, tasks
from tests.in_process import Service

pytestmark = pytest.mark.anyio

Q = "/v1/queues/q"


@pytest.fixture(params=["standard", "fifo"])
async def kind(service: Service, request: pytest.FixtureRequest) -> str:
    await service.queue("q", type=request.param)
    return str(request.param)


async def send(service: Service, *bodies: Any, **fields: Any) -> None:
    drafts = [{"body": body, **fields} for body in bodies]
    answer = await service.root.post(f"{Q}/messages/batch", json={"messages": drafts})
    assert answer.status_code == 201, answer.text


async def received(service: Service, queue: str = "q", **fields: Any) -> list[Any]:
    answer = await service.root.post(f"/v1/queues/{queue}/messages/receive", json={"max_messages": 100, **fields})
    return [message["body"] for message in answer.json()["messages"]]


async def act(service: Service, action: str, **fields: Any) -> dict[str, Any]:
    """Begin, and return the task when it has ended."""
    answer = await service.root.post(f"{Q}/messages/actions", json={"action": action, **fields})
    assert answer.status_code == 202, answer.text
    assert answer.json()["kind"] == action
    async with asyncio.timeout(10):
        while True:
            task: dict[str, Any] = (await service.root.get(answer.headers["location"])).json()
            if task["state"] != "running":
                return task
            await asyncio.sleep(0.02)


async def test_what_matches_is_deleted_and_what_is_leased_stays(
    service: Service, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "BATCH", 2)
    await send(service, "leased", headers={"color": "red"}, group="a")
    assert await received(service) == ["leased"]
    await send(service, 1, 2, 3, headers={"color": "red"}, group="b")
    await send(service, 4, 5, headers={"color": "blue"}, group="b")
    asked = {"action": "delete", "filter": {"header.Color": "red"}, "dry_run": True}
    dry = await service.root.post(f"{Q}/messages/actions", json=asked)
    assert (dry.status_code, dry.json()) == (200, {"matched": 3})
    task = await act(service, "delete", filter={"header.Color": "red"})
    assert (task["state"], task["moved"], task["remaining"]) == ("done", 3, 0)
    assert await received(service) == [4, 5]
    assert (await service.root.get(Q)).json()["stats"]["total"] == 3
    assert kind


async def test_a_count_that_takes_too_long_has_a_code_of_its_own(
    service: Service, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await send(service, 1)
    monkeypatch.setattr(stats, "_PATIENCE", "select set_config('statement_timeout', '100', true)")
    monkeypatch.setattr(actions, "sent_between", lambda _: [func.pg_sleep(20).is_not(None)])
    answer = await service.root.post(f"{Q}/messages/actions", json={"action": "delete", "dry_run": True})
    assert (answer.status_code, answer.json()["code"]) == (503, "too_many_to_count")
    assert kind


async def test_what_matches_is_moved_as_it_is_and_wakes_who_waits_there(service: Service, kind: str) -> None:
    await service.queue("other", type=kind)
    await send(service, 1, 2, group="a")
    await send(service, 3, group="b")
    waiting = asyncio.create_task(received(service, "other", wait=20))
    async with asyncio.timeout(15):
        task = await act(service, "move", to="other", filter={"group": "a"})
        assert await waiting == [1, 2]
    assert task["moved"] == 2
    assert await received(service) == [3]


async def test_what_is_delayed_is_ready_now(service: Service, kind: str) -> None:
    await send(service, 1, delay=600, group="a")
    await send(service, 2, delay=600, group="b")
    waiting = asyncio.create_task(received(service, wait=20))
    async with asyncio.timeout(15):
        assert (await act(service, "release_delay", filter={"state": "delayed", "group": "b"}))["moved"] == 1
        assert await waiting == [2]
    seen = (await service.root.get(f"{Q}/messages?group=a")).json()["items"]
    assert [message["state"] for message in seen] == ["delayed"]
    assert kind


async def test_a_short_task_does_not_wait_for_the_end_of_a_long_one(
    service: Service, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "BATCH", 1)
    await send(service, *range(300), group="a")
    long = await service.root.post(f"{Q}/messages/actions", json={"action": "delete"})
    await service.queue("other", type=kind)
    await service.root.post("/v1/queues/other/messages", json={"body": 1})
    short = await service.root.post("/v1/queues/other/messages/actions", json={"action": "delete"})
    async with asyncio.timeout(20):
        while (await service.root.get(short.headers["location"])).json()["state"] == "running":  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert (await service.root.get(long.headers["location"])).json()["state"] == "running"


@pytest.mark.parametrize("field", ["group", "state", "sent_after", "sent_before"])
async def test_nothing_in_a_filter_does_not_mean_everything(service: Service, field: str) -> None:
    await service.queue()
    await send(service, 1, group="a")
    answer = await service.root.post(f"{Q}/messages/actions", json={"action": "delete", "filter": {field: None}})
    assert answer.status_code == 422
    [error] = answer.json()["errors"]
    assert error["pointer"] == f"/filter/{field}"
    assert (await service.root.get(Q)).json()["stats"]["total"] == 1


async def test_without_a_filter_it_is_all_of_them(service: Service, kind: str) -> None:
    await send(service, *range(20), group="a")
    assert (await act(service, "delete"))["moved"] == 20
    assert (await service.root.get(Q)).json()["stats"]["total"] == 0
    assert await received(service) == []
    await send(service, "new", group="a")
    assert await received(service) == ["new"]
    assert kind


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({}, "/action"),
        ({"action": "drop"}, "/action"),
        ({"action": "move"}, ""),
        ({"action": "delete", "to": "other"}, ""),
        ({"action": "move", "to": "nowhere"}, "/to"),
        ({"action": "delete", "filter": {"colour": "red"}}, "/filter/colour"),
        ({"action": "delete", "filter": {"header.a b": "red"}}, "/filter/header.a b"),
        ({"action": "delete", "filter": {"header.a": 1}}, "/filter/header.a"),
        ({"action": "delete", "filter": {"header.a": "\0"}}, "/filter/header.a"),
        ({"action": "delete", "filter": {"group": "\0"}}, "/filter/group"),
        ({"action": "delete", "filter": {"state": "gone"}}, "/filter/state"),
        ({"action": "delete", "filter": {"sent_after": "2026-01-01T00:00:00"}}, "/filter/sent_after"),
        ({"action": "delete", "dry": True}, "/dry"),
    ],
)
async def test_a_wrong_field_is_named_and_nothing_is_done(
    service: Service, fields: dict[str, Any], pointer: str
) -> None:
    await service.queue()
    await send(service, 1)
    answer = await service.root.post(f"{Q}/messages/actions", json=fields)
    assert answer.status_code == 422, answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert (await service.root.get(Q)).json()["stats"]["total"] == 1
