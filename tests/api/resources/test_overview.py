"""A project at a glance."""

import asyncio
from typing import Any

import httpx
import pytest

from service.store.views import activity, overview
from tests.api.resources.test_activity import post, received, send, settle, store_of
from tests.in_process import Service, messages
from tests.push.sink import answers, sink

pytestmark = pytest.mark.anyio


async def seen(client: httpx.AsyncClient, **options: Any) -> dict[str, Any]:
    answer = await client.get("/v1/overview", **options)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def written(service: Service, sent: int) -> dict[str, Any]:
    """Return the overview when so many sends are in it: the service's own chore may be writing them down."""
    async with asyncio.timeout(10):
        while True:
            await activity.write(store_of(service).engine)
            found = await seen(service.root)
            if sum(found["activity"]["sent"]) == sent:
                return found
            await asyncio.sleep(0.02)


async def test_an_empty_project_has_nothing_to_show(service: Service) -> None:
    found = await seen(service.root)
    database, shown = found.pop("database"), found.pop("activity")
    states = ("active", "paused", "circuit_open", "disabled", "attempts", "succeeded")
    assert found == {
        "queues": 0,
        "topics": 0,
        "oldest": [],
        "dead_letters": [],
        "webhooks": dict.fromkeys(states, 0),
    }
    assert set(shown) == {"start", "resolution", "sent", "received", "deleted", "dead_lettered"}
    assert (shown["resolution"], shown["sent"]) == (60, [0] * 60)
    assert 0 < database["latency"] < 5
    assert database["size"] > 1_000_000


async def test_an_open_transaction_is_told_by_its_age(service: Service) -> None:
    async with service.sql.transaction():
        await service.sql.execute("select")
        first = (await seen(service.root))["database"]["oldest_transaction_age"]
        assert first > 0
        assert (await seen(service.root))["database"]["oldest_transaction_age"] > first


async def test_the_ten_queues_whose_messages_wait_longest_come_first(service: Service) -> None:
    for number in range(12):
        name = f"q{number:02}"
        await messages(
            service.sql,
            await service.queue(name, paused=number == 3, type="fifo" if number == 4 else "standard"),
            number + 1,
            visible_at=f"clock_timestamp() - interval '{100 - number} s'",
        )
    await service.queue("empty")
    found = await seen(service.root)
    assert found["queues"] == 13
    assert [one["queue"] for one in found["oldest"]] == [f"q{number:02}" for number in range(10)]
    assert [one["stats"]["total"] for one in found["oldest"]] == list(range(1, 11))
    assert [one["paused"] for one in found["oldest"]] == [number == 3 for number in range(10)]
    assert [one["type"] == "fifo" for one in found["oldest"]] == [number == 4 for number in range(10)]
    shown = (await service.root.get("/v1/queues/q05")).json()["stats"]
    assert found["oldest"][5]["stats"].keys() == shown.keys()
    assert 95 <= found["oldest"][5]["stats"]["oldest_ready_age"] <= shown["oldest_ready_age"]


async def test_what_is_delayed_or_leased_does_not_wait(service: Service) -> None:
    await service.queue("delayed", delay=100)
    await service.queue("leased")
    await send(service, 1, "delayed")
    await send(service, 1, "leased")
    await received(service, "leased")
    assert (await seen(service.root))["oldest"] == []


async def test_the_fullest_dead_letter_queues_are_shown_with_what_feeds_them(service: Service) -> None:
    for number in range(12):
        dead = f"dead{number:02}"
        await messages(service.sql, await service.queue(dead), number)
        for source in range(12 if number == 11 else 1):
            fields = {"dead_letter": {"queue": dead, "max_receives": 1}}
            await service.queue(f"source{number:02}-{source:02}", **fields)
    await messages(service.sql, await service.queue("no-letters"), 50)
    found = (await seen(service.root))["dead_letters"]
    assert [one["queue"] for one in found] == [f"dead{number:02}" for number in range(11, 1, -1)]
    assert [one["stats"]["total"] for one in found] == list(range(11, 1, -1))
    assert found[0]["sources"] == [f"source11-{source:02}" for source in range(10)]
    assert found[1]["sources"] == ["source10-00"]
    assert [one["growth"] for one in found] == [0] * 10


async def test_dead_letters_grow_by_what_comes_and_shrink_by_what_is_redriven(service: Service) -> None:
    await service.queue("dead")
    await service.queue("q", dead_letter={"queue": "dead", "max_receives": 1})
    await send(service, 3)
    await settle(service, await received(service), "reject")
    [found] = (await written(service, 3))["dead_letters"]
    assert (found["queue"], found["sources"], found["stats"]["total"], found["growth"]) == ("dead", ["q"], 3, 3)
    await post(service, "/v1/queues/dead/redrive", {"max_messages": 2})
    async with asyncio.timeout(10):
        while found["growth"] != 1:
            [found] = (await written(service, 3))["dead_letters"]
    assert found["stats"]["total"] == 1
    await service.sql.execute("update queue_activity set at = at - interval '61 minutes'")
    [found] = (await seen(service.root))["dead_letters"]
    assert found["growth"] == 0


async def test_more_dead_letter_queues_than_can_be_counted_are_still_all_looked_at(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overview, "_PASSED", 1)
    for number in range(25):
        await messages(service.sql, await service.queue(f"dead{number:02}"), number)
        await service.queue(f"q{number}", dead_letter={"queue": f"dead{number:02}", "max_receives": 1})
    found = (await seen(service.root))["dead_letters"]
    assert len(found) == 10
    assert all(one["stats"]["total"] >= 10 for one in found)


async def test_webhooks_are_counted_by_state_with_their_attempts(service: Service) -> None:
    await service.queue()
    await service.queue("other")
    async with sink(answers(500, 204)) as target:
        fields = {"url": target.url, "retry": {"delays": [0.1]}}
        await service.root.put("/v1/queues/q/webhooks/w", json=fields)
        for name in ("paused", "open", "off"):
            await service.root.put(f"/v1/queues/other/webhooks/{name}", json={"url": target.url})
        await service.root.patch("/v1/queues/other/webhooks/off", json={"enabled": False})
        later = "clock_timestamp() + interval '1 hour'"
        await service.sql.execute(f"update webhook set paused_until = {later} where name = 'paused'")
        await service.sql.execute(f"update webhook set open_until = {later}, openings = 1 where name = 'open'")
        await send(service)
        await target.wait_for(2)
        states = {"active": 1, "paused": 1, "circuit_open": 1, "disabled": 1}
        async with asyncio.timeout(10):
            while (found := (await written(service, 1))["webhooks"]) != states | {"attempts": 2, "succeeded": 1}:
                assert found["attempts"] <= 2
    for patterns, expected in ((["q"], (1, 0, 2, 1)), (["o*"], (0, 1, 0, 0)), (["none"], (0, 0, 0, 0))):
        async with service.client(await service.key("browse", queues=patterns)) as client:
            found = (await seen(client))["webhooks"]
        assert (found["active"], found["disabled"], found["attempts"], found["succeeded"]) == expected


async def test_the_project_is_counted_as_a_whole(service: Service) -> None:
    await service.queue("a")
    await service.queue("b")
    await send(service, 2, "a")
    await send(service, 3, "b")
    receipts = await received(service, "b")
    await settle(service, receipts, "delete")
    shown = (await written(service, 5))["activity"]
    assert [sum(shown[name]) for name in ("sent", "received", "deleted", "dead_lettered")] == [5, 3, 3, 0]
    # What was done in a queue that is gone was done.
    await service.root.delete("/v1/queues/b")
    assert sum((await seen(service.root))["activity"]["sent"]) == 5


async def test_a_bound_key_sees_the_queues_and_topics_that_it_covers_and_no_activity(service: Service) -> None:
    for name in ("in-1", "in-dead", "out", "out-dead"):
        await messages(service.sql, await service.queue(name), 1)
    for name, dead in (("in-1", "in-dead"), ("out", "in-dead"), ("in-2", "out-dead")):
        await service.queue(name, dead_letter={"queue": dead, "max_receives": 1})
    for topic in ("in-t", "t"):
        await service.root.put(f"/v1/topics/{topic}")
    async with service.client(await service.key("send", queues=["in-*"])) as client:
        found = await seen(client)
    assert (found["queues"], found["topics"], found["activity"]) == (3, 1, None)
    assert [one["queue"] for one in found["oldest"]] == ["in-1", "in-dead"]
    assert [(one["queue"], one["sources"]) for one in found["dead_letters"]] == [("in-dead", ["in-1"])]


async def test_a_project_sees_nothing_of_anothers(service: Service) -> None:
    await service.root.put("/v1/projects/other")
    for_other = {"Restante-Project": "other"}
    await service.root.put("/v1/queues/dead", headers=for_other)
    letter = {"dead_letter": {"queue": "dead", "max_receives": 1}}
    await service.root.put("/v1/queues/q", json=letter, headers=for_other)
    await service.root.put("/v1/topics/t", headers=for_other)
    await service.root.put("/v1/queues/q/webhooks/w", json={"url": "https://example.com/"}, headers=for_other)
    for name in ("q", "dead"):
        await post(service, f"/v1/queues/{name}/messages", {"body": 1}, headers=for_other)
    await activity.write(store_of(service).engine)
    found = await seen(service.root)
    assert (found["queues"], found["topics"], found["oldest"], found["dead_letters"]) == (0, 0, [], [])
    assert sum(found["activity"]["sent"]) == found["webhooks"]["active"] == 0
    there = await seen(service.root, headers=for_other)
    assert (there["queues"], there["topics"], there["webhooks"]["active"]) == (2, 1, 1)


async def test_what_takes_too_long_to_find_is_left_out_and_the_rest_is_told(service: Service) -> None:
    await service.queue()
    async with service.sql.transaction():
        await service.sql.execute("lock table message in access exclusive mode")
        async with asyncio.timeout(15):
            found = await seen(service.root)
    assert (found["queues"], found["oldest"], found["dead_letters"]) == (1, None, None)
    assert found["database"]["oldest_transaction_age"] > 0
    found = await seen(service.root)
    assert (found["oldest"], found["dead_letters"]) == ([], [])


async def test_how_the_database_is_concerns_all_projects_and_is_told_to_the_operator_alone(service: Service) -> None:
    for scopes in (["admin"], ["browse"]):
        async with service.client(await service.key(*scopes)) as tenant:
            assert (await seen(tenant))["database"] is None
    assert (await seen(service.root))["database"] is not None
