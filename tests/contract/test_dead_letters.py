"""Dead letters: what cannot be delivered moves to its dead-letter queue, once, and says why."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any

import pytest

from tests.contract.conftest import Queue
from tests.in_process import Service

pytestmark = pytest.mark.anyio

Make = Callable[..., Coroutine[Any, Any, tuple[Queue, Queue]]]


@pytest.fixture(params=["standard", "fifo"])
async def make(service: Service, request: pytest.FixtureRequest) -> Make:
    """Give what makes a queue with its dead-letter queue."""

    async def make(max_receives: int = 2, *, expired: bool = False, **fields: Any) -> tuple[Queue, Queue]:
        dead, source = Queue(service.root, service.sql), Queue(service.root, service.sql)
        await service.queue(dead.name, type=request.param)
        letter = {"queue": dead.name, "max_receives": max_receives, "expired": expired}
        await service.queue(source.name, type=request.param, dead_letter=letter, **fields)
        return source, dead

    return make


async def _dead(dead: Queue) -> dict[str, Any]:
    """Wait for a dead letter, which comes before a receive would look again by itself."""
    async with asyncio.timeout(15):
        return await dead.receive_one(wait=20)


async def _is_emptied(dead: Queue, service: Service) -> None:
    """Return when no row is left; the receives let the service know what time it is."""
    async with asyncio.timeout(15):
        while await service.sql.fetchval(
            "select count(*) from message m join queue q on q.number = m.queue_number where q.name = $1", dead.name
        ):
            assert await dead.receive() == []
            await asyncio.sleep(0.05)


async def test_a_message_whose_last_lease_ends_moves_whether_or_not_anybody_polls(make: Make) -> None:
    source, dead = await make(max_receives=2)
    sent = await source.send({"n": 1}, headers={"a": "b"}, group="g")
    one = await source.receive_one(visibility_timeout=1)
    await source.settle(one["receipt"], "release", error="first")
    await source.receive_one(visibility_timeout=1)
    await source.pass_time(2)
    letter = await _dead(dead)
    assert letter["id"] == sent["id"]
    assert letter["sent_at"] == sent["sent_at"]
    assert (letter["body"], letter["headers"], letter["group"]) == ({"n": 1}, {"a": "b"}, "g")
    assert letter["receive_count"] == 1
    assert "last_error" not in letter
    block = letter["dead_letter"]
    assert datetime.fromisoformat(block.pop("at")) > datetime.fromisoformat(sent["sent_at"])
    assert block == {
        "source_queue": source.name,
        "reason": "max_receives",
        "receive_count": 2,
        "attempts": 0,
        "last_error": "first",
    }
    assert (await source.stats())["total"] == 0


async def test_a_message_is_never_dead_lettered_before_its_last_lease_has_ended(make: Make) -> None:
    source, dead = await make(max_receives=2)
    await source.send()
    await source.receive_one(visibility_timeout=1)
    await source.pass_time(2)
    last = await source.receive_one(visibility_timeout=30)
    await source.pass_time(20)
    await source.settle(last["receipt"], "extend", visibility_timeout=30)
    await source.pass_time(20)
    assert await dead.receive(wait=1) == []
    assert (await source.settle(last["receipt"], "delete")).status_code == 204
    await source.pass_time(20)
    assert await dead.receive(wait=1) == []


async def test_a_release_of_the_last_delivery_moves_the_message_at_once(make: Make) -> None:
    source, dead = await make(max_receives=1)
    await source.send()
    one = await source.receive_one()
    assert (await source.settle(one["receipt"], "release", error="broken", delay=60)).status_code == 204
    letter = await dead.receive_one()
    assert (letter["dead_letter"]["reason"], letter["dead_letter"]["last_error"]) == ("max_receives", "broken")
    assert (await source.settle(one["receipt"], "release")).status_code == 204
    assert (await source.settle(one["receipt"], "delete")).json()["code"] == "lease_lost"


async def test_an_attempt_that_is_given_back_is_not_the_last(make: Make) -> None:
    source, dead = await make(max_receives=1)
    await source.send()
    for _ in range(3):
        one = await source.receive_one()
        await source.settle(one["receipt"], "release", count=False)
    await source.pass_time(60)
    assert await dead.receive(wait=1) == []
    assert (await source.receive_one())["receive_count"] == 1


async def test_dead_letters_come_into_a_queue_that_is_full(make: Make, service: Service) -> None:
    source, dead = await make(max_receives=5)
    assert (await service.root.patch(dead.path, json={"max_length": 1})).status_code == 200
    await source.send("bad")
    await source.send("worse")
    for _ in range(2):
        await source.settle((await source.receive_one())["receipt"], "reject")
    assert (await dead.stats())["total"] == 2


async def test_a_rejected_message_moves_at_once_and_wakes_who_waits_there(make: Make) -> None:
    source, dead = await make(max_receives=5)
    await source.send("bad")
    one = await source.receive_one()
    waiting = asyncio.create_task(_dead(dead))
    await dead.parked(1)
    assert (await source.settle(one["receipt"], "reject", error="no such customer")).status_code == 204
    letter = await waiting
    assert letter["dead_letter"]["reason"] == "rejected"
    assert letter["dead_letter"]["last_error"] == "no such customer"
    assert letter["dead_letter"]["receive_count"] == 1
    assert (await source.settle(one["receipt"], "reject")).status_code == 204
    assert (await dead.stats())["total"] == 1


async def test_what_outlives_its_retention_or_ttl_moves_if_that_is_wanted(make: Make) -> None:
    source, dead = await make(expired=True, retention=60)
    await source.send("ttl", ttl=5)
    await source.pass_time(6)
    letter = await _dead(dead)
    assert (letter["body"], letter["dead_letter"]["reason"]) == ("ttl", "expired")
    await dead.settle(letter["receipt"], "delete")
    await source.send("retention")
    await source.pass_time(61)
    letter = await _dead(dead)
    assert (letter["body"], letter["dead_letter"]["receive_count"]) == ("retention", 0)


async def test_what_expires_is_dropped_where_dead_letters_are_for_failures_only(make: Make) -> None:
    source, dead = await make(retention=60)
    await source.send(ttl=5)
    await source.pass_time(6)
    assert await dead.receive(wait=1.5) == []
    assert (await source.stats())["total"] == 0


async def test_a_dead_letter_lives_by_the_rules_of_the_queue_it_is_in(make: Make, service: Service) -> None:
    source, dead = await make(max_receives=1, retention=60)
    await dead.configure(retention=600, visibility_timeout=5)
    await source.send(ttl=30)
    one = await source.receive_one(visibility_timeout=100)
    await source.pass_time(101)
    letter = await _dead(dead)
    await dead.pass_time(500)
    again = await _dead(dead)
    assert again["id"] == letter["id"] == one["id"]
    assert again["receive_count"] == 2
    await dead.pass_time(101)
    await _is_emptied(dead, service)


async def test_a_dead_letter_whose_lease_ended_expires_by_the_time_it_came(make: Make, service: Service) -> None:
    source, dead = await make(max_receives=1)
    await dead.configure(retention=600)
    await source.send()
    one = await source.receive_one()
    await source.settle(one["receipt"], "reject")
    letter = await _dead(dead)
    await dead.settle(letter["receipt"], "release", delay=300)
    await dead.pass_time(605)
    await _is_emptied(dead, service)


async def test_dead_letters_of_dead_letters_say_where_they_were_last(make: Make, service: Service) -> None:
    source, dead = await make(max_receives=1)
    last = Queue(service.root, service.sql)
    await service.queue(last.name, type=(await service.root.get(dead.path)).json()["type"])
    await dead.configure(dead_letter={"queue": last.name, "max_receives": 1})
    await source.send()
    await source.settle((await source.receive_one())["receipt"], "reject")
    await dead.settle((await _dead(dead))["receipt"], "reject")
    assert (await _dead(last))["dead_letter"]["source_queue"] == dead.name


async def test_a_stricter_rule_holds_for_messages_that_are_there(make: Make) -> None:
    source, dead = await make(max_receives=5)
    await source.send("lapsed", group="a")
    await source.send("leased", group="b")
    for _ in range(2):
        for message in await source.receive(max_messages=2, visibility_timeout=1):
            assert message["receive_count"] <= 2
        await source.pass_time(2)
    [held] = [m for m in await source.receive(max_messages=2, visibility_timeout=60) if m["body"] == "leased"]
    await source.configure(dead_letter={"queue": dead.name, "max_receives": 2})
    assert await dead.receive(wait=1) == []
    assert (await source.settle(held["receipt"], "delete")).status_code == 204
    await source.pass_time(61)
    assert (await _dead(dead))["body"] == "lapsed"


async def test_an_attempt_that_is_given_back_under_a_stricter_rule_is_no_delivery_more(make: Make) -> None:
    source, dead = await make(max_receives=5)
    await source.send()
    for _ in range(2):
        await source.receive_one(visibility_timeout=1)
        await source.pass_time(2)
    one = await source.receive_one(visibility_timeout=60)
    await source.configure(dead_letter={"queue": dead.name, "max_receives": 1})
    await source.pass_time(10)
    async with asyncio.timeout(15):
        # Until what was there has been gone through for the last time.
        while await source.sql.fetchval("select unmarked_after from queue where name = $1", source.name):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert (await source.settle(one["receipt"], "release", count=False)).status_code == 204
    assert (await _dead(dead))["dead_letter"]["receive_count"] == 2
    assert (await source.stats())["total"] == 0


async def test_a_rule_that_is_dropped_spares_the_messages(make: Make) -> None:
    source, dead = await make(max_receives=1)
    await source.send()
    await source.receive_one(visibility_timeout=5)
    await source.configure(dead_letter=None)
    await source.pass_time(6)
    async with asyncio.timeout(15):
        again = await source.receive_one(wait=20)
    assert again["receive_count"] == 2
    assert await dead.receive() == []


async def test_a_batch_of_receipts_is_dead_lettered_one_by_one(make: Make) -> None:
    source, dead = await make(max_receives=1)
    for number in range(4):
        await source.send(number, group=str(number))
    messages = await source.receive(max_messages=4)
    actions = ["reject", "release", "delete", "extend"]
    items = [
        {"receipt": message["receipt"], "action": action} | ({"visibility_timeout": 60} if action == "extend" else {})
        for message, action in zip(messages, actions, strict=True)
    ]
    results = (await source.http.post("/v1/receipts/batch", json={"items": items})).json()["results"]
    assert [result["status"] for result in results] == ["ok"] * 4
    assert sorted(message["body"] for message in await dead.receive(max_messages=10)) == [0, 1]
    assert (await source.stats())["total"] == 1


async def test_a_priority_that_the_dead_letter_queue_has_not_met_is_found_there(service: Service) -> None:
    dead, source = Queue(service.root, service.sql), Queue(service.root, service.sql)
    await service.queue(dead.name)
    await service.queue(source.name, dead_letter={"queue": dead.name, "max_receives": 1})
    assert await dead.receive() == []
    await source.send(priority=7)
    await source.settle((await source.receive_one())["receipt"], "reject")
    assert (await _dead(dead))["priority"] == 7


async def test_in_a_fifo_queue_a_dead_letter_frees_its_group_and_keeps_the_order(service: Service) -> None:
    dead, source = Queue(service.root, service.sql), Queue(service.root, service.sql)
    await service.queue(dead.name, type="fifo")
    await service.queue(source.name, type="fifo", dead_letter={"queue": dead.name, "max_receives": 1})
    for number in range(4):
        await source.send(number, group="g")
    one, two = await source.receive(max_messages=2, visibility_timeout=5)
    await source.pass_time(6)
    async with asyncio.timeout(15):
        [three] = await source.receive(wait=20)
    assert three["body"] == 2
    await source.settle(three["receipt"], "reject")
    assert (await source.receive_one())["body"] == 3
    assert [message["body"] for message in await dead.receive(max_messages=10)] == [0, 1, 2]
    for receipt in (one["receipt"], two["receipt"]):
        assert (await source.settle(receipt, "delete")).json()["code"] == "lease_lost"


async def test_dead_letters_of_a_group_keep_their_order_wherever_they_are_stored(service: Service) -> None:
    dead, source = Queue(service.root, service.sql), Queue(service.root, service.sql)
    await service.queue(dead.name, type="fifo")
    await service.queue(source.name, type="fifo", dead_letter={"queue": dead.name, "max_receives": 1})
    for number in range(4):
        await source.send(number, group="g")
    await source.receive(max_messages=4, visibility_timeout=50)
    mine = "from queue where number = queue_number and queue.name = $1"
    await service.sql.execute(f"update message set exhausted_at = exhausted_at + interval '1 hour' {mine}", source.name)
    for seq in (4, 3, 2, 1):
        back = f"update message set exhausted_at = exhausted_at - interval '1 hour' {mine} and seq = $2"
        await service.sql.execute(back, source.name, seq)
    await source.pass_time(51)
    assert (await _dead(dead))["body"] == 0
    await dead.pass_time(60)
    assert [message["body"] for message in await dead.receive(max_messages=10)] == [0, 1, 2, 3]


async def test_without_a_dead_letter_queue_a_rejected_message_stays_with_its_holder(queue: Queue) -> None:
    await queue.send()
    receipt = (await queue.receive_one())["receipt"]
    assert (await queue.settle(receipt, "reject")).json()["code"] == "no_dead_letter_queue"
    assert (await queue.stats())["leased"] == 1
    assert (await queue.settle(receipt, "delete")).status_code == 204


async def test_what_may_be_dropped_comes_to_the_dead_letter_queue_if_there_is_one(make: Make) -> None:
    source, dead = await make()
    await source.send()
    assert (await source.settle((await source.receive_one())["receipt"], "reject", drop=True)).status_code == 204
    assert (await _dead(dead))["dead_letter"]["reason"] == "rejected"
