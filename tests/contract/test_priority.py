"""Priorities and groups of standard queues: the most urgent first, whichever way a message came there."""

from typing import Any

import pytest

from tests.contract.conftest import Queue

pytestmark = pytest.mark.anyio


async def _bodies(queue: Queue, **fields: Any) -> list[Any]:
    return [message["body"] for message in await queue.receive(max_messages=20, **fields)]


async def test_higher_priorities_come_first_and_each_in_the_order_of_sending(queue: Queue) -> None:
    for number, priority in enumerate([0, 5, 9, 5, 0, 9, 3]):
        await queue.send([priority, number], priority=priority)
    assert await _bodies(queue) == [[9, 2], [9, 5], [5, 1], [5, 3], [3, 6], [0, 0], [0, 4]]


async def test_priority_and_group_are_shown_and_kept_when_a_message_comes_back(queue: Queue) -> None:
    await queue.send("low")
    await queue.send("high", priority=7, group="customer 12")
    first = await queue.receive_one()
    assert (first["body"], first["priority"], first["group"]) == ("high", 7, "customer 12")
    await queue.settle(first["receipt"], "release")
    again = await queue.receive_one(visibility_timeout=1)
    assert (again["id"], again["priority"], again["group"]) == (first["id"], 7, "customer 12")
    await queue.pass_time(2)
    assert await _bodies(queue) == ["high", "low"]


async def test_a_bounded_receive_takes_the_most_urgent_and_leaves_the_others_free(queue: Queue) -> None:
    batch = [{"body": priority, "priority": priority} for priority in (0, 1, 2, 3)]
    await queue.http.post(f"{queue.path}/messages/batch", json={"messages": batch})
    assert sorted([message["body"] for message in await queue.receive(max_messages=2)]) == [2, 3]
    assert sorted(await _bodies(queue)) == [0, 1]


async def test_a_raw_body_carries_its_priority_and_group_in_headers(queue: Queue) -> None:
    headers = {b"Restante-Priority": b"4", b"Restante-Group": "gr\u00fcn".encode()}
    answer = await queue.http.post(f"{queue.path}/raw", content=b"x", headers=headers)
    assert answer.status_code == 201
    message = await queue.receive_one()
    assert (message["priority"], message["group"]) == (4, "gr\u00fcn")


@pytest.mark.parametrize(
    ("fields", "pointer", "code"),
    [
        ({"priority": 10}, "/priority", "out_of_range"),
        ({"priority": -1}, "/priority", "out_of_range"),
        ({"priority": 1.5}, "/priority", "wrong_type"),
        ({"priority": "1"}, "/priority", "wrong_type"),
        ({"group": ""}, "/group", "out_of_range"),
        ({"group": "g" * 129}, "/group", "out_of_range"),
        ({"group": "a\x00b"}, "/group", "control_character"),
        ({"group": 3}, "/group", "wrong_type"),
    ],
)
async def test_a_priority_or_group_out_of_range_is_named(
    queue: Queue, fields: dict[str, Any], pointer: str, code: str
) -> None:
    answer = await queue.http.post(f"{queue.path}/messages", json={"body": 1, **fields})
    assert answer.status_code == 422
    assert [(error["pointer"], error["code"]) for error in answer.json()["errors"]] == [(pointer, code)]
    assert (await queue.stats())["total"] == 0


async def test_stats_and_long_polls_know_of_every_priority(queue: Queue) -> None:
    await queue.send("later", priority=9, delay=60)
    await queue.send("now", priority=3)
    stats = await queue.stats()
    assert (stats["ready"], stats["delayed"]) == (1, 1)
    assert await _bodies(queue, visibility_timeout=600) == ["now"]
    await queue.pass_time(59.5)
    assert await _bodies(queue, wait=10) == ["later"]
