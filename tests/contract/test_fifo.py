"""Fifo queues: order within a group, one holder of it, and groups that do not hold up one another."""

import asyncio
from typing import Any

import pytest

from tests.contract.conftest import Queue
from tests.in_process import Service

pytestmark = pytest.mark.anyio


@pytest.fixture
async def queue(service: Service) -> Queue:
    queue = Queue(service.root, service.sql)
    await service.queue(queue.name, type="fifo")
    return queue


async def _send(queue: Queue, group: str | None, *bodies: Any, **fields: Any) -> None:
    for body in bodies:
        await queue.send(body, **({} if group is None else {"group": group}), **fields)


def _bodies(messages: list[dict[str, Any]]) -> list[Any]:
    return [message["body"] for message in messages]


async def test_a_group_is_delivered_in_the_order_of_sending_as_much_as_fits(queue: Queue) -> None:
    await _send(queue, "a", 1, 2, 3, 4)
    first = await queue.receive(max_messages=3)
    assert _bodies(first) == [1, 2, 3]
    assert {message["group"] for message in first} == {"a"}
    assert len({message["receipt"] for message in first}) == 3
    for message in first:
        assert (await queue.settle(message["receipt"], "delete")).status_code == 204
    assert _bodies(await queue.receive(max_messages=3)) == [4]


async def test_messages_without_a_group_are_one_group_that_is_shown_as_none(queue: Queue) -> None:
    await _send(queue, None, 1, 2)
    first = await queue.receive_one()
    assert (first["body"], first["group"]) == (1, None)
    assert await queue.receive(max_messages=10) == []
    await queue.settle(first["receipt"], "delete")
    assert (await queue.receive_one())["body"] == 2


async def test_a_group_has_one_holder_and_holds_up_no_other(queue: Queue) -> None:
    await _send(queue, "a", 1, 2)
    await _send(queue, "b", 3, 4)
    first = await queue.receive_one()
    second = await queue.receive(max_messages=10)
    assert first["body"] == 1
    assert _bodies(second) == [3, 4]
    assert await queue.receive(max_messages=10) == []
    await queue.settle(first["receipt"], "delete")
    assert _bodies(await queue.receive(max_messages=10)) == [2]


async def test_while_any_message_of_a_group_is_leased_none_of_it_is_given_out(queue: Queue) -> None:
    await _send(queue, "a", 1, 2, 3)
    one, two = await queue.receive(max_messages=2)
    await queue.settle(one["receipt"], "release")
    assert await queue.receive(max_messages=10) == []
    await queue.settle(two["receipt"], "extend", visibility_timeout=600)
    await queue.pass_time(100)
    assert await queue.receive(max_messages=10) == []
    await queue.settle(two["receipt"], "delete")
    assert _bodies(await queue.receive(max_messages=10)) == [1, 3]


async def test_an_ended_lease_gives_the_group_out_again_from_its_head(queue: Queue) -> None:
    await _send(queue, "a", 1, 2, 3)
    await queue.receive(max_messages=2, visibility_timeout=5)
    await queue.pass_time(6)
    again = await queue.receive(max_messages=10)
    assert _bodies(again) == [1, 2, 3]
    assert [message["receive_count"] for message in again] == [2, 2, 1]


async def test_who_held_a_group_before_cannot_take_hold_of_it_again_while_another_does(queue: Queue) -> None:
    await _send(queue, "a", 1, 2, 3)
    _, two, three = await queue.receive(max_messages=3, visibility_timeout=5)
    await queue.pass_time(6)
    [one] = await queue.receive(max_messages=1, visibility_timeout=50)
    for later in (two, three):
        answer = await queue.settle(later["receipt"], "extend", visibility_timeout=600)
        assert (answer.status_code, answer.json()["code"]) == (409, "lease_lost")
    # What it has done before it lapsed can still be told; that gives nothing out again.
    assert (await queue.settle(three["receipt"], "delete")).status_code == 204
    assert (await queue.settle(one["receipt"], "extend", visibility_timeout=60)).status_code == 200
    assert await queue.receive(max_messages=10) == []
    await queue.settle(one["receipt"], "delete")
    # Nobody holds the group now.
    assert (await queue.settle(two["receipt"], "extend", visibility_timeout=60)).status_code == 200
    assert await queue.receive(max_messages=10) == []
    await queue.settle(two["receipt"], "release")
    assert _bodies(await queue.receive(max_messages=10)) == [2]


async def test_a_delayed_head_holds_its_group_and_no_other(queue: Queue) -> None:
    await _send(queue, "a", 1, delay=5)
    await _send(queue, "a", 2)
    await _send(queue, "b", 3)
    assert _bodies(await queue.receive(max_messages=10)) == [3]
    await queue.pass_time(6)
    assert _bodies(await queue.receive(max_messages=10)) == [1, 2]


async def test_a_delayed_message_in_the_middle_ends_the_run(queue: Queue) -> None:
    await _send(queue, "a", 1)
    await _send(queue, "a", 2, delay=50)
    await _send(queue, "a", 3)
    [one] = await queue.receive(max_messages=10)
    await queue.settle(one["receipt"], "delete")
    assert await queue.receive(max_messages=10) == []
    await queue.pass_time(51)
    assert _bodies(await queue.receive(max_messages=10)) == [2, 3]


async def test_a_release_with_a_delay_holds_the_group_until_it_is_over(queue: Queue) -> None:
    await _send(queue, "a", 1, 2)
    one = await queue.receive_one()
    await queue.settle(one["receipt"], "release", delay=5)
    assert await queue.receive(max_messages=10) == []
    await queue.pass_time(6)
    assert _bodies(await queue.receive(max_messages=10)) == [1, 2]


async def test_the_group_whose_head_waits_longest_is_served_first(queue: Queue) -> None:
    await _send(queue, "a", 1, 2)
    await _send(queue, "b", 3)
    one = await queue.receive_one()
    await queue.settle(one["receipt"], "delete")
    assert [(await queue.receive_one())["body"] for _ in range(2)] == [3, 2]


async def test_an_answer_is_filled_from_several_groups(queue: Queue) -> None:
    for number in range(3):
        await _send(queue, f"g{number}", number, number)
    assert _bodies(await queue.receive(max_messages=5)) == [0, 0, 1, 1, 2]


async def test_receivers_at_the_same_moment_get_a_group_each(queue: Queue) -> None:
    for number in range(8):
        await _send(queue, f"g{number}", number, number)
    answers = await asyncio.gather(*(queue.receive(max_messages=2) for _ in range(8)))
    assert sorted(_bodies(answer) for answer in answers) == [[number, number] for number in range(8)]


async def test_a_long_poll_wakes_when_a_group_is_freed(queue: Queue) -> None:
    await _send(queue, "a", 1, 2)
    for verb in ("delete", "release", "reject"):
        one = await queue.receive_one()
        waiting = asyncio.create_task(queue.receive(wait=20))
        await queue.parked(1)
        async with asyncio.timeout(15):
            settled = await queue.settle(one["receipt"], verb, **({"drop": True} if verb == "reject" else {}))
            assert settled.status_code == 204, settled.text
            [next_one] = await waiting
        await queue.settle(next_one["receipt"], "release", count=False)
        if verb == "delete":
            await _send(queue, "a", 3)


async def test_a_long_poll_wakes_when_the_lease_of_a_group_ends(queue: Queue) -> None:
    await _send(queue, "a", 1, 2)
    await queue.receive_one(visibility_timeout=0.6)
    async with asyncio.timeout(15):
        assert _bodies(await queue.receive(max_messages=2, wait=20)) == [1, 2]


async def test_a_long_poll_wakes_when_a_message_is_sent_and_when_its_delay_is_over(queue: Queue) -> None:
    waiting = asyncio.create_task(queue.receive(wait=20))
    await queue.parked(1)
    async with asyncio.timeout(15):
        await _send(queue, "a", 1, delay=0.6)
        assert _bodies(await waiting) == [1]


async def test_an_expired_head_does_not_hold_its_group(queue: Queue) -> None:
    await _send(queue, "a", 1, ttl=5)
    await _send(queue, "a", 2)
    await queue.pass_time(6)
    assert _bodies(await queue.receive(max_messages=10, wait=3)) == [2]


async def test_a_leased_head_that_expires_holds_its_group_until_its_lease_ends(queue: Queue) -> None:
    await _send(queue, "a", 1, ttl=5)
    await _send(queue, "a", 2)
    one = await queue.receive_one(visibility_timeout=30)
    await queue.pass_time(10)
    assert await queue.receive(max_messages=10) == []
    assert (await queue.settle(one["receipt"], "delete")).status_code == 204
    assert _bodies(await queue.receive(max_messages=10)) == [2]


async def test_the_order_of_a_batch_is_kept_within_each_group(queue: Queue) -> None:
    members = [{"body": number, "group": "ab"[number % 2]} for number in range(10)]
    await queue.http.post(f"{queue.path}/messages/batch", json={"messages": members})
    assert _bodies(await queue.receive(max_messages=5)) == [0, 2, 4, 6, 8]
    assert _bodies(await queue.receive(max_messages=5)) == [1, 3, 5, 7, 9]


async def test_receipts_of_a_fifo_queue_answer_as_elsewhere(queue: Queue) -> None:
    await _send(queue, "a", 1, 2)
    one = await queue.receive_one(visibility_timeout=5)
    await queue.pass_time(6)
    again = await queue.receive_one()
    assert (await queue.settle(one["receipt"], "delete")).json()["code"] == "lease_lost"
    assert (await queue.settle(again["receipt"], "delete")).status_code == 204
    assert (await queue.settle(again["receipt"], "delete")).status_code == 204
    assert (await queue.settle(again["receipt"], "release")).json()["code"] == "lease_lost"
    two = await queue.receive_one()
    assert two["body"] == 2
    items = [{"receipt": two["receipt"], "action": "extend", "visibility_timeout": 50}]
    items += [{"receipt": two["receipt"], "action": "delete"}]
    results = (await queue.http.post("/v1/receipts/batch", json={"items": items})).json()["results"]
    assert [result["status"] for result in results] == ["ok", "ok"]
    assert (await queue.stats())["total"] == 0
    assert (
        await queue.sql.fetchval(
            "select count(*) from fifo_group g join queue q on q.number = g.queue_number where q.name = $1", queue.name
        )
        == 0
    )


async def test_a_purge_frees_every_group(queue: Queue) -> None:
    await _send(queue, "a", 1, 2)
    one = await queue.receive_one()
    assert (await queue.http.post(f"{queue.path}/purge")).json() == {"purged": 2}
    assert (await queue.settle(one["receipt"], "delete")).json()["code"] == "lease_lost"
    await _send(queue, "a", 3)
    assert _bodies(await queue.receive(max_messages=10)) == [3]


async def test_a_message_removed_by_its_id_frees_its_group(queue: Queue) -> None:
    await _send(queue, "a", 1, delay=50)
    await _send(queue, "a", 2)
    first = await queue.sql.fetchval(
        "select id::text from message where body = '1' and seq is not null order by id desc limit 1"
    )
    assert await queue.receive() == []
    assert (await queue.http.delete(f"{queue.path}/messages/{first}")).status_code == 204
    assert _bodies(await queue.receive()) == [2]


async def test_a_priority_is_refused_and_points_at_the_message(queue: Queue) -> None:
    answer = await queue.http.post(f"{queue.path}/messages", json={"body": 1, "priority": 3})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/priority"
    batch = {"messages": [{"body": 1}, {"body": 2, "priority": 1}]}
    answer = await queue.http.post(f"{queue.path}/messages/batch", json=batch)
    assert answer.json()["errors"][0]["pointer"] == "/messages/1/priority"
    assert (await queue.stats())["total"] == 0


async def test_a_client_that_leaves_gives_its_group_back(queue: Queue) -> None:
    await _send(queue, "a", 1)
    waiting = asyncio.create_task(queue.receive(wait=20))
    one = await asyncio.wait_for(waiting, 5)
    await queue.settle(one[0]["receipt"], "release", count=False)
    [again] = await queue.receive()
    assert again["receive_count"] == 1


async def test_max_length_holds_in_fifo_queues_too(queue: Queue) -> None:
    await queue.configure(max_length=2)
    await _send(queue, "a", 1, 2)
    answer = await queue.http.post(f"{queue.path}/messages", json={"body": 3, "group": "b"})
    assert answer.json()["code"] == "queue_full"


async def test_of_two_who_had_a_group_before_one_takes_hold_of_it_again(queue: Queue) -> None:
    """Whatever they ask at the same moment, and share a statement."""
    await _send(queue, "a", 1, 2)
    _, two = await queue.receive(max_messages=2, visibility_timeout=5)
    await queue.pass_time(6)
    [one] = await queue.receive(max_messages=1, visibility_timeout=5)
    await queue.pass_time(6)
    answers = await asyncio.gather(
        *(queue.settle(message["receipt"], "extend", visibility_timeout=60) for message in (one, two))
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409]
