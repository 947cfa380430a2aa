"""Transactions: settled and sent wholly or not at all, once, however often it is asked."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from tests.contract.conftest import Queue

pytestmark = pytest.mark.anyio


@pytest.fixture
async def out(queue: Queue) -> Queue:
    """Make a queue that results go to."""
    out = Queue(queue.http, queue.sql)
    assert (await out.http.put(out.path, json={})).status_code == 201
    return out


async def commit(
    queue: Queue, settle: list[dict[str, Any]] | None = None, send: list[dict[str, Any]] | None = None, **headers: str
) -> httpx.Response:
    return await queue.http.post("/v1/transactions", json={"settle": settle or [], "send": send or []}, headers=headers)


async def leased(queue: Queue, body: Any = 1) -> str:
    await queue.send(body)
    return str((await queue.receive_one())["receipt"])


def delete(receipt: str) -> dict[str, Any]:
    return {"receipt": receipt, "action": "delete"}


def to(queue: Queue, body: Any = 1, **fields: Any) -> dict[str, Any]:
    return {"queue": queue.name, "body": body, **fields}


async def total(*queues: Queue) -> list[int]:
    return [(await queue.stats())["total"] for queue in queues]


async def test_a_message_is_turned_into_others_in_one_step(queue: Queue, out: Queue) -> None:
    receipt = await leased(queue)
    kept = await leased(queue)
    freed = await leased(queue)
    settle = [
        delete(receipt),
        {"receipt": kept, "action": "extend", "visibility_timeout": 600},
        {"receipt": freed, "action": "release", "delay": 0, "error": "later"},
    ]
    send = [to(out, "a", headers={"x": "y"}), to(queue, "b", delay=100), to(out, "c")]
    answer = await commit(queue, settle, send)
    assert answer.status_code == 200, answer.text
    results = answer.json()["results"]
    assert [(result["receipt"], result["status"]) for result in results] == [(item["receipt"], "ok") for item in settle]
    assert "lease_expires_at" in results[1]
    received = await out.receive(max_messages=10)
    assert [message["body"] for message in received] == ["a", "c"]
    assert [message["duplicate"] for message in answer.json()["messages"]] == [False] * 3
    assert [answer.json()["messages"][place]["id"] for place in (0, 2)] == [message["id"] for message in received]
    assert (await queue.receive_one())["last_error"] == "later"
    assert await total(queue, out) == [3, 2]


async def test_bodies_come_back_byte_for_byte(queue: Queue) -> None:
    body = b'{"b":1,  "a":1.0, "a":"\\ud83d", "n":1e400}'
    content = b'{"send": [{"queue": "%b", "body": 1}, {"body": %b, "queue": "%b"}]}'
    name = queue.name.encode()
    answer = await queue.http.post("/v1/transactions", content=content % (name, body, name))
    assert answer.status_code == 200, answer.text
    assert (await queue.receive_one())["body"] == 1
    raw = await queue.http.post(f"{queue.path}/messages/receive")
    assert raw.content.partition(b'"body":')[2].removesuffix(b"}]}") == body


BAD: list[tuple[str, dict[str, Any], int, str, str]] = [
    ("settle", {"receipt": "nonsense", "action": "delete"}, 404, "receipt_not_found", "/receipt"),
    ("settle", {"receipt": "spent", "action": "delete"}, 409, "lease_lost", "/receipt"),
    ("settle", {"receipt": "x", "action": "extend"}, 422, "invalid_request", "/visibility_timeout"),
    ("settle", {"receipt": "x", "action": "explode"}, 422, "invalid_request", "/action"),
    ("send", {"queue": "nowhere", "body": 1}, 404, "queue_not_found", "/queue"),
    ("send", {"queue": "no name", "body": 1}, 422, "invalid_request", "/queue"),
    ("send", {"body": 1}, 422, "invalid_request", "/queue"),
    ("send", {"queue": "out", "body": "x" * 2000}, 413, "payload_too_large", ""),
    ("send", {"queue": "out", "bidy": 1}, 422, "invalid_request", "/bidy"),
    ("send", {"queue": "full", "body": 1}, 429, "queue_full", "/queue"),
    ("send", {"queue": "fifo", "body": 1, "priority": 3}, 422, "invalid_request", "/priority"),
]


@pytest.mark.parametrize("bad_member", BAD, ids=lambda bad: f"{bad[1]}"[:40])
async def test_one_bad_member_and_nothing_is_done(
    queue: Queue, out: Queue, bad_member: tuple[str, dict[str, Any], int, str, str]
) -> None:
    kind, member, status, code, pointer = bad_member
    full, fifo = Queue(queue.http, queue.sql), Queue(queue.http, queue.sql)
    await full.http.put(full.path, json={"max_length": 1})
    await full.send()
    await fifo.http.put(fifo.path, json={"type": "fifo"})
    await out.configure(max_message_bytes=1024)
    spent = await leased(queue)
    await queue.settle(spent, "delete")
    receipt = await leased(queue)
    names = {"out": out.name, "full": full.name, "fifo": fifo.name, "spent": spent}
    bad = {field: names.get(str(value), value) for field, value in member.items()}
    settle = [{"receipt": receipt, "action": "release"}] + [bad] * (kind == "settle")
    send = [to(out), to(fifo, group="a", deduplication_id="x")] + [bad] * (kind == "send")
    position = 1 if kind == "settle" else 2
    answer = await commit(queue, settle, send)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == [f"/{kind}/{position}{pointer}"]
    assert await total(queue, out, full, fifo) == [1, 0, 1, 0]
    assert (await queue.stats())["leased"] == 1
    known = "select count(*) from deduplication join queue on number = queue_number where name = $1"
    assert await queue.sql.fetchval(known, fifo.name) == 0
    good = await commit(queue, settle[:1], send[:2])
    assert good.status_code == 200, good.text
    assert not any(message["duplicate"] for message in good.json()["messages"])


@pytest.mark.parametrize("members", [0, 1001])
async def test_it_has_1_to_1000_members(queue: Queue, members: int) -> None:
    answer = await commit(queue, [], [to(queue)] * members)
    assert answer.status_code == 422
    assert "1 to 1000" in answer.json()["detail"]


async def test_a_thousand_members_are_done(queue: Queue, out: Queue) -> None:
    batch = {"messages": [{"body": number} for number in range(500)]}
    await queue.http.post(f"{queue.path}/messages/batch", json=batch)
    receipts = []
    while messages := await queue.receive(max_messages=100):
        receipts += [message["receipt"] for message in messages]
    request = [delete(receipt) for receipt in receipts], [to(out, number) for number in range(500)]
    first = await commit(queue, *request)
    assert first.status_code == 200, first.text
    assert (await commit(queue, *request)).content == first.content
    assert await total(queue, out) == [0, 500]


async def test_the_same_again_does_nothing_and_gives_the_first_answer(queue: Queue, out: Queue) -> None:
    for action in ({"action": "delete"}, {"action": "extend", "visibility_timeout": 60}, {"action": "release"}):
        receipt = await leased(queue)
        settle, send = [{"receipt": receipt, **action}], [to(out, "x", delay=3)]
        first = await commit(queue, settle, send)
        assert first.status_code == 200, first.text
        before = await total(queue, out)
        for trace in ("1", "2"):
            parent = f"00-0af7651916cd43dd8448eb211c80319{trace}-b7ad6b7169203331-01"
            again = await commit(queue, settle, send, traceparent=parent)
            assert (again.status_code, again.content) == (200, first.content)
        assert await total(queue, out) == before


async def test_the_same_again_is_answered_even_if_it_could_not_be_done_any_more(queue: Queue, out: Queue) -> None:
    await out.configure(max_length=1)
    settle, send = [delete(await leased(queue))], [to(out, "x" * 100)]
    first = await commit(queue, settle, send)
    assert first.status_code == 200
    assert (await commit(queue, settle, send)).content == first.content
    await out.configure(max_message_bytes=1)
    assert (await commit(queue, settle, send)).content == first.content
    await out.http.delete(out.path)
    assert (await commit(queue, settle, send)).content == first.content


async def test_other_content_with_a_receipt_that_was_spent_so_is_a_conflict(queue: Queue, out: Queue) -> None:
    receipt, other = await leased(queue), await leased(queue)
    assert (await commit(queue, [delete(receipt)], [to(out, 1)])).status_code == 200
    for settle, send in (
        ([delete(receipt)], [to(out, 2)]),
        ([delete(receipt)], []),
        ([delete(other), delete(receipt)], [to(out, 1)]),
        ([{"receipt": receipt, "action": "release"}], [to(out, 1)]),
    ):
        answer = await commit(queue, settle, send)
        assert (answer.status_code, answer.json()["code"]) == (409, "conflict"), answer.text
        assert answer.json()["errors"][0]["pointer"] == f"/settle/{len(settle) - 1}/receipt"
    assert await total(queue, out) == [1, 1]


async def test_a_receipt_that_was_spent_by_itself_or_went_to_another_is_lost(queue: Queue, out: Queue) -> None:
    receipt = await leased(queue)
    await queue.settle(receipt, "delete")
    answer = await commit(queue, [delete(receipt)], [to(out)])
    assert (answer.status_code, answer.json()["code"]) == (409, "lease_lost")
    receipt = await leased(queue)
    await queue.settle(receipt, "extend", visibility_timeout=0)
    newer = (await queue.receive_one())["receipt"]
    answer = await commit(queue, [delete(receipt)], [to(out)])
    assert (answer.status_code, answer.json()["code"]) == (409, "lease_lost")
    assert (await commit(queue, [delete(newer)], [to(out)])).status_code == 200
    assert await total(queue, out) == [0, 1]


async def test_a_lapsed_lease_that_nobody_took_over_still_holds(queue: Queue, out: Queue) -> None:
    receipt = await leased(queue)
    await queue.settle(receipt, "extend", visibility_timeout=0)
    assert (await commit(queue, [delete(receipt)], [to(out)])).status_code == 200
    assert await total(queue, out) == [0, 1]


async def test_receipts_of_a_deleted_queue_are_not_found(queue: Queue, out: Queue) -> None:
    receipt = await leased(queue)
    await queue.http.delete(queue.path)
    answer = await commit(queue, [delete(receipt)], [to(out)])
    assert (answer.status_code, answer.json()["code"]) == (404, "receipt_not_found")
    assert await total(out) == [0]


async def test_asked_many_times_at_once_it_is_done_once(queue: Queue, out: Queue) -> None:
    for action in ({"action": "delete"}, {"action": "extend", "visibility_timeout": 60}):
        receipt = await leased(queue)
        settle, send = [{"receipt": receipt, **action}], [to(out)]
        answers = await asyncio.gather(*(commit(queue, settle, send) for _ in range(20)))
        assert {(answer.status_code, answer.content) for answer in answers} == {(200, answers[0].content)}
    assert await total(out) == [2]


async def test_a_receipt_can_be_spent_by_one_of_many_transactions(queue: Queue, out: Queue) -> None:
    receipt = await leased(queue)
    answers = await asyncio.gather(*(commit(queue, [delete(receipt)], [to(out, number)]) for number in range(20)))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 19
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"conflict"}
    assert await total(queue, out) == [0, 1]


async def test_without_receipts_a_key_names_it(queue: Queue, out: Queue) -> None:
    send = [to(queue, 1), to(out, 2)]
    answers = await asyncio.gather(*(commit(queue, [], send, **{"Idempotency-Key": "k"}) for _ in range(10)))
    assert {(answer.status_code, answer.content) for answer in answers} == {(200, answers[0].content)}
    assert await total(queue, out) == [1, 1]
    other = await commit(queue, [], [to(queue, 2)], **{"Idempotency-Key": "k"})
    assert (other.status_code, other.json()["code"]) == (409, "conflict")
    assert (await commit(queue, [], send, **{"Idempotency-Key": "l"})).status_code == 200
    assert (await commit(queue, [], send)).status_code == 200
    assert await total(queue, out) == [3, 3]


async def test_its_messages_are_deduplicated_like_others(queue: Queue, out: Queue) -> None:
    sent = await out.send(deduplication_id="x")
    receipt = await leased(queue)
    send = [to(out, 2, deduplication_id="x"), to(out, 3, deduplication_id="y"), to(out, 4, deduplication_id="y")]
    answer = await commit(queue, [delete(receipt)], send)
    messages = answer.json()["messages"]
    assert [message["duplicate"] for message in messages] == [True, False, True]
    assert messages[0]["id"] == sent["id"]
    assert messages[1]["id"] == messages[2]["id"]
    assert await total(queue, out) == [0, 2]


async def test_room_that_it_makes_itself_counts(queue: Queue) -> None:
    await queue.configure(max_length=1)
    receipt = await leased(queue)
    assert (await commit(queue, [delete(receipt)], [to(queue, "next")])).status_code == 200
    assert (await queue.receive_one())["body"] == "next"


async def test_fifo_queues_keep_their_order_through_it(queue: Queue) -> None:
    fifo, other = Queue(queue.http, queue.sql), Queue(queue.http, queue.sql)
    for place in (fifo, other):
        await place.http.put(place.path, json={"type": "fifo"})
    for number in range(3):
        await fifo.send(number, group="a")
    for number in range(6):
        message = await fifo.receive_one()
        assert message["body"] == number
        send = [to(other, number), to(fifo, number + 3, group="a"), to(other, number, group="b")]
        assert (await commit(fifo, [delete(message["receipt"])], send)).status_code == 200
    got: dict[str, list[int]] = {"b": [], "": []}
    while messages := await other.receive(max_messages=2):
        for message in messages:
            got[message["group"] or ""].append(message["body"])
            await other.settle(message["receipt"], "delete")
    assert got == {"b": [*range(6)], "": [*range(6)]}


async def test_what_dies_of_it_and_what_it_sends_come_to_the_same_queue(queue: Queue, out: Queue) -> None:
    await queue.configure(dead_letter={"queue": out.name, "max_receives": 1})
    await queue.send(1, priority=7)
    receipt = (await queue.receive_one())["receipt"]
    answer = await commit(queue, [{"receipt": receipt, "action": "reject"}], [to(out, 2)])
    assert answer.status_code == 200, answer.text
    assert [message["body"] for message in await out.receive(max_messages=10)] == [1, 2]


async def test_a_reject_that_would_lose_a_message_is_refused_and_nothing_done(queue: Queue, out: Queue) -> None:
    receipt = await leased(queue, 1)
    answer = await commit(queue, [{"receipt": receipt, "action": "reject"}], [to(out, 2)])
    assert (answer.status_code, answer.json()["code"]) == (409, "no_dead_letter_queue")
    assert answer.json()["errors"][0]["pointer"] == "/settle/0/receipt"
    assert ((await queue.stats())["leased"], (await out.stats())["total"]) == (1, 0)
    answer = await commit(queue, [{"receipt": receipt, "action": "reject", "drop": True}], [to(out, 2)])
    assert answer.status_code == 200, answer.text
    assert ((await queue.stats())["total"], (await out.stats())["total"]) == (0, 1)


async def test_who_waits_for_what_it_sends_or_releases_is_woken(queue: Queue, out: Queue) -> None:
    receipt = await leased(queue, "again")
    waiting = [asyncio.create_task(place.receive(wait=20)) for place in (queue, out)]
    await queue.parked(2)
    await commit(queue, [{"receipt": receipt, "action": "release"}], [to(out, "new")])
    assert [message["body"] for task in waiting for message in await task] == ["again", "new"]


async def test_what_is_not_json_or_unknown_is_refused(queue: Queue) -> None:
    for content, status in ((b"{", 400), (b"[]", 422), (b'{"sned": []}', 422), (b'{"send": [1]}', 422)):
        assert (await queue.http.post("/v1/transactions", content=content)).status_code == status
    deep = json.dumps({"send": [to(queue, {"x" * 10: 1})]}).replace('{"xxxxxxxxxx": 1}', "[" * 1000 + "]" * 1000)
    assert (await queue.http.post("/v1/transactions", content=deep)).status_code == 422


async def test_it_is_remembered_for_ten_minutes(queue: Queue, out: Queue) -> None:
    receipt = await leased(queue)
    first = await commit(queue, [delete(receipt)], [to(out)])
    await queue.pass_time(590)
    assert (await commit(queue, [delete(receipt)], [to(out)])).content == first.content
