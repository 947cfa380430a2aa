"""Sending once: a repeat stores nothing and is answered with the first message, for as long as the queue remembers."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from tests.api.resources.test_queues import problem
from tests.contract.conftest import Queue

pytestmark = pytest.mark.anyio


async def post(queue: Queue, path: str, document: Any, key: str | None = None) -> httpx.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    return await queue.http.post(f"{queue.path}/{path}", json=document, headers=headers)


async def send(queue: Queue, body: Any = 1, status: int = 201, key: str | None = None, **fields: Any) -> dict[str, Any]:
    answer = await post(queue, "messages", {"body": body, **fields}, key)
    assert answer.status_code == status, answer.text
    sent: dict[str, Any] = answer.json()
    assert sent["duplicate"] is (status == 200)
    return sent


async def batch(queue: Queue, members: list[dict[str, Any]], status: int, key: str | None = None) -> list[Any]:
    answer = await post(queue, "messages/batch", {"messages": members}, key)
    assert answer.status_code == status, answer.text
    sent: list[Any] = answer.json().get("messages", [])
    return sent


def first(sent: dict[str, Any]) -> dict[str, Any]:
    """Return what the repeat of a message is answered."""
    return sent | {"duplicate": True}


async def test_the_same_id_within_the_window_stores_nothing_and_answers_the_first_message(queue: Queue) -> None:
    sent = await send(queue, "a", deduplication_id="x", delay=0.2)
    assert await send(queue, "b", 200, deduplication_id="x") == first(sent)
    other = await send(queue, "c", deduplication_id="y")
    assert await send(queue, "d", 200, deduplication_id="y") == first(other)
    assert (await queue.stats())["total"] == 2


async def test_a_repeat_is_one_even_after_the_message_was_consumed(queue: Queue) -> None:
    sent = await send(queue, deduplication_id="x")
    message = await queue.receive_one()
    assert message["id"] == sent["id"]
    await queue.settle(message["receipt"], "delete")
    assert await send(queue, "again", 200, deduplication_id="x") == first(sent)
    assert await queue.receive() == []


async def test_the_window_counts_from_the_first_send_and_after_it_a_new_message_is_stored(queue: Queue) -> None:
    await queue.configure(deduplication_window=60)
    sent = await send(queue, deduplication_id="x")
    for _ in range(3):
        await queue.pass_time(19)
        assert await send(queue, 2, 200, deduplication_id="x") == first(sent)
    # The window that was in force when it was sent.
    await queue.configure(deduplication_window=1)
    assert await send(queue, 2, 200, deduplication_id="x") == first(sent)
    await queue.pass_time(5)
    new = await send(queue, 3, deduplication_id="x")
    assert new["id"] != sent["id"]
    assert (await queue.stats())["total"] == 2


async def test_a_delayed_message_is_visible_when_its_repeats_are_told(queue: Queue) -> None:
    sent = await send(queue, deduplication_id="x", delay=100)
    repeat = await send(queue, status=200, deduplication_id="x", delay=5)
    assert repeat["visible_at"] == sent["visible_at"]
    at = await queue.sql.fetchval("select visible_at from message where id = $1", sent["id"])
    assert at.isoformat().replace("+00:00", "Z") == sent["visible_at"]


async def test_an_idempotency_key_is_a_deduplication_id(queue: Queue) -> None:
    sent = await send(queue, key="abc")
    assert await send(queue, 2, 200, key='"abc"') == first(sent)
    assert await send(queue, 2, 200, deduplication_id="abc") == first(sent)
    assert await send(queue, 2, 200, key="abc", deduplication_id="abc") == first(sent)
    raw = await queue.http.post(f"{queue.path}/raw", content=b"x", headers={"Idempotency-Key": "abc"})
    assert (raw.status_code, raw.json()) == (200, first(sent))
    raw = await queue.http.post(f"{queue.path}/raw", content=b"x", headers={"Restante-Deduplication-Id": "abc"})
    assert (raw.status_code, raw.json()) == (200, first(sent))


async def test_two_ids_for_one_message_are_refused(queue: Queue) -> None:
    answer = await post(queue, "messages", {"body": 1, "deduplication_id": "x"}, "y")
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/deduplication_id")
    headers = {"Idempotency-Key": "y", "Restante-Deduplication-Id": "x"}
    answer = await queue.http.post(f"{queue.path}/raw", content=b"x", headers=headers)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/header/restante-deduplication-id")
    assert (await queue.stats())["total"] == 0


@pytest.mark.parametrize("key", ["", '""', "x" * 129, "a b", "a\tb", '"abc', "ä"])
async def test_what_is_no_idempotency_key_is_malformed(queue: Queue, key: str) -> None:
    for path, document in (("messages", {"body": 1}), ("messages/batch", {"messages": [{"body": 1}]}), ("raw", 1)):
        headers = {b"Idempotency-Key": key.encode()}
        answer = await queue.http.post(f"{queue.path}/{path}", json=document, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed_request")
    assert (await queue.stats())["total"] == 0


@pytest.mark.parametrize("given", ["", "x" * 129, "a\x00b", "\ud800"])
async def test_what_is_no_deduplication_id_is_invalid(queue: Queue, given: str) -> None:
    content = json.dumps({"body": 1, "deduplication_id": given})
    answer = await queue.http.post(f"{queue.path}/messages", content=content)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert (await queue.stats())["total"] == 0


async def test_a_batch_stores_its_new_members_and_tells_which_are_repeats(queue: Queue) -> None:
    sent = await send(queue, deduplication_id="x")
    members = [{"body": n, "deduplication_id": name} for n, name in enumerate("yxyz")] + [{"body": 4}, {"body": 5}]
    answers = await batch(queue, members, 201)
    assert [answer["duplicate"] for answer in answers] == [False, True, True, False, False, False]
    assert answers[1] == first(sent)
    assert answers[2] == first(answers[0])
    received = await queue.receive(max_messages=10)
    assert [message["body"] for message in received] == [1, 0, 3, 4, 5]
    assert [message["id"] for message in received[1:]] == [answers[place]["id"] for place in (0, 3, 4, 5)]


@pytest.mark.parametrize(
    "header", ["Idempotency-Key", "Restante-Deduplication-Id", "Restante-Delay", "Restante-Header-A"]
)
async def test_of_two_headers_that_say_one_thing_none_wins_in_silence(queue: Queue, header: str) -> None:
    path, content = ("messages", b'{"body": 1}') if header == "Idempotency-Key" else ("raw", b"1")
    answer = await queue.http.post(f"{queue.path}/{path}", content=content, headers=[(header, "1"), (header, "2")])
    assert problem(answer)[:2] == (400, "malformed_request")
    assert header in answer.json()["detail"]
    assert (await queue.stats())["total"] == 0


async def test_a_key_covers_the_whole_batch(queue: Queue) -> None:
    members = [{"body": number, "delay": number} for number in range(300)]
    answers = await batch(queue, members, 201, "k")
    assert await batch(queue, members, 200, "k") == [first(answer) for answer in answers]
    assert (await queue.stats())["total"] == 300
    # Apart from the ids of single messages.
    await send(queue, key="k")
    await batch(queue, members, 201, "l")
    assert (await queue.stats())["total"] == 601


@pytest.mark.parametrize("members", [1, 2, 4])
async def test_a_key_of_a_batch_of_another_size_is_a_conflict(queue: Queue, members: int) -> None:
    await batch(queue, [{"body": number} for number in range(3)], 201, "k")
    answer = await post(queue, "messages/batch", {"messages": [{"body": 1}] * members}, "k")
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert (await queue.stats())["total"] == 3
    await batch(queue, [{"body": number} for number in range(3)], 200, "k")


async def test_a_batch_with_a_key_may_have_members_with_ids(queue: Queue) -> None:
    await queue.configure(deduplication_window=60)
    sent = await send(queue, deduplication_id="x")
    await queue.pass_time(50)
    members = [{"body": name, "deduplication_id": name} for name in "wxy"] + [{"body": 1}]
    answers = await batch(queue, members, 201, "k")
    assert [answer["duplicate"] for answer in answers] == [False, True, False, False]
    assert answers[1] == first(sent)
    # What the member is known by has run out meanwhile, what the batch is known by has not.
    await queue.pass_time(20)
    assert await batch(queue, members, 200, "k") == [first(answer) for answer in answers]
    assert (await queue.stats())["total"] == 4
    await send(queue, "new", deduplication_id="x")


async def test_content_stands_in_for_a_missing_id(queue: Queue) -> None:
    await queue.configure(deduplicate_by_content=True)
    sent = await send(queue, "a")
    await send(queue, "b")
    assert await send(queue, "a", 200, headers={"other": "headers"}) == first(sent)
    assert (await queue.http.post(f"{queue.path}/raw", content=b'"a"')).status_code == 201
    same = await queue.http.post(f"{queue.path}/raw", content=b'"a"', headers={"Content-Type": "application/json"})
    assert (same.status_code, same.json()["id"]) == (200, sent["id"])
    # An id counts alone.
    await send(queue, "a", deduplication_id="x")
    assert len({message["id"] for message in await batch(queue, [{"body": "a"}] * 3, 201, "k")}) == 3
    answers = await batch(queue, [{"body": "c"}, {"body": "c"}, {"body": "a"}], 201)
    assert [answer["duplicate"] for answer in answers] == [False, True, True]


async def test_with_a_window_of_nothing_nothing_is_remembered(queue: Queue) -> None:
    await queue.configure(deduplication_window=0, deduplicate_by_content=True)
    for _ in range(2):
        await send(queue, deduplication_id="x")
        await send(queue, key="y")
        await send(queue, "content")
        await batch(queue, [{"body": 1, "deduplication_id": "z"}] * 2, 201, "k")
    assert (await queue.stats())["total"] == 10


async def test_purge_forgets_what_was_sent_and_so_does_a_queue_made_anew(queue: Queue) -> None:
    await send(queue, deduplication_id="x")
    await queue.http.post(f"{queue.path}/purge")
    await send(queue, deduplication_id="x")
    await queue.http.delete(queue.path)
    await queue.http.put(queue.path, json={})
    await send(queue, deduplication_id="x")
    assert (await queue.stats())["total"] == 1


async def test_queues_remember_each_for_themselves(queue: Queue) -> None:
    other = Queue(queue.http, queue.sql)
    await queue.http.put(other.path, json={})
    await send(queue, deduplication_id="x")
    await send(other, deduplication_id="x")


async def test_the_scope_is_the_queue_and_not_the_group(queue: Queue) -> None:
    fifo = Queue(queue.http, queue.sql)
    await queue.http.put(fifo.path, json={"type": "fifo"})
    for place in (queue, fifo):
        sent = await send(place, deduplication_id="x", group="a")
        assert await send(place, 2, 200, deduplication_id="x", group="b") == first(sent)


async def test_a_repeat_is_no_message_too_many_and_what_was_refused_was_not_sent(queue: Queue) -> None:
    await queue.configure(max_length=2)
    sent = await send(queue, deduplication_id="x")
    await send(queue, 2)
    assert await send(queue, status=200, deduplication_id="x") == first(sent)
    for path, document in (
        ("messages", {"body": 3, "deduplication_id": "y"}),
        ("messages/batch", {"messages": [{"body": 3, "deduplication_id": name} for name in "xz"]}),
    ):
        answer = await post(queue, path, document)
        assert (answer.status_code, answer.json()["code"]) == (429, "queue_full")
    await queue.settle((await queue.receive_one())["receipt"], "delete")
    await send(queue, deduplication_id="y")
    await queue.settle((await queue.receive_one())["receipt"], "delete")
    await send(queue, deduplication_id="z")


async def test_what_is_sent_many_times_at_once_is_stored_once(queue: Queue) -> None:
    answers = await asyncio.gather(
        *(post(queue, "messages", {"body": n, "deduplication_id": f"x{n % 5}"}) for n in range(100))
    )
    assert sorted(answer.status_code for answer in answers) == [200] * 95 + [201] * 5
    assert len({answer.json()["id"] for answer in answers}) == 5
    assert (await queue.stats())["total"] == 5


async def test_a_send_that_waits_for_its_twin_wakes_whoever_waits_for_the_message(queue: Queue) -> None:
    waiting = asyncio.create_task(queue.receive(wait=20))
    await queue.parked(1)
    sent = await send(queue, deduplication_id="x")
    [message] = await waiting
    assert message["id"] == sent["id"]
