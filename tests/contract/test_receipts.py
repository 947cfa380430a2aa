"""Receipts: fenced, repeatable, worthless to others."""

import asyncio
import random
from typing import Any

import pytest

from tests.contract.conftest import Queue
from tests.in_process import Service

pytestmark = pytest.mark.anyio


async def _held(queue: Queue, **fields: Any) -> str:
    await queue.send()
    receipt: str = (await queue.receive_one(**fields))["receipt"]
    return receipt


async def test_a_deleted_message_is_never_received_again_and_a_repeat_answers_the_same(queue: Queue) -> None:
    receipt = await _held(queue)
    for _ in range(3):
        assert (await queue.settle(receipt, "delete")).status_code == 204
    await queue.pass_time(60)
    assert await queue.receive() == []
    assert (await queue.stats())["total"] == 0


@pytest.mark.parametrize("verb", ["delete", "release", "reject"])
async def test_a_spent_receipt_repeats_its_own_call_and_refuses_every_other(queue: Queue, verb: str) -> None:
    receipt = await _held(queue)
    known: dict[str, dict[str, Any]] = {"release": {"delay": 30}, "reject": {"drop": True}}
    fields = known.get(verb, {})
    assert (await queue.settle(receipt, verb, **fields)).status_code == 204
    assert (await queue.settle(receipt, verb, **fields)).status_code == 204
    for other in {"delete", "release", "reject", "extend"} - {verb}:
        answer = await queue.settle(receipt, other, **({"visibility_timeout": 5} if other == "extend" else {}))
        assert (answer.status_code, answer.json()["code"]) == (409, "lease_lost")


async def test_a_superseded_receipt_changes_nothing_and_says_so(queue: Queue) -> None:
    old = await _held(queue, visibility_timeout=1)
    await queue.pass_time(1.2)
    current = await queue.receive_one(visibility_timeout=50)
    for verb, fields in (("delete", {}), ("extend", {"visibility_timeout": 0}), ("release", {}), ("reject", {})):
        answer = await queue.settle(old, verb, **fields)
        assert (answer.status_code, answer.json()["code"]) == (409, "lease_lost")
    assert await queue.receive() == []
    assert (await queue.settle(current["receipt"], "delete")).status_code == 204


@pytest.mark.parametrize("verb", ["delete", "extend", "release", "reject"])
async def test_a_lapsed_lease_that_nobody_took_over_can_still_be_settled(queue: Queue, verb: str) -> None:
    receipt = await _held(queue, visibility_timeout=2)
    await queue.pass_time(3)
    known: dict[str, dict[str, Any]] = {"extend": {"visibility_timeout": 9}, "reject": {"drop": True}}
    fields = known.get(verb, {})
    assert (await queue.settle(receipt, verb, **fields)).is_success


async def test_an_extended_lease_keeps_its_receipt_and_ends_when_it_says(queue: Queue) -> None:
    receipt = await _held(queue, visibility_timeout=5)
    assert (await queue.settle(receipt, "extend", visibility_timeout=60)).status_code == 200
    await queue.pass_time(50)
    assert await queue.receive() == []
    assert (await queue.settle(receipt, "extend", visibility_timeout=0)).status_code == 200
    again = await queue.receive_one()
    assert again["receive_count"] == 2
    assert (await queue.settle(receipt, "delete")).status_code == 409


async def test_a_release_returns_the_message_after_its_delay_with_the_error_that_was_given(queue: Queue) -> None:
    receipt = await _held(queue)
    answer = await queue.settle(receipt, "release", delay=5, error="no stock: \u6f22 \U0001f600")
    assert answer.status_code == 204
    assert (await queue.stats())["delayed"] == 1
    assert await queue.receive() == []
    await queue.pass_time(5.1)
    message = await queue.receive_one()
    assert (message["receive_count"], message["last_error"]) == (2, "no stock: \u6f22 \U0001f600")


async def test_an_attempt_that_is_given_back_was_never_made(queue: Queue) -> None:
    first = await queue.send()
    receipt = (await queue.receive_one())["receipt"]
    assert (await queue.settle(receipt, "release", count=False)).status_code == 204
    await queue.pass_time(3)
    message = await queue.receive_one()
    assert (message["id"], message["receive_count"]) == (first["id"], 1)
    assert message["first_received_at"] > first["sent_at"]


async def test_a_released_receipt_is_superseded_once_the_message_is_given_out_again(queue: Queue) -> None:
    receipt = await _held(queue)
    await queue.settle(receipt, "release")
    assert (await queue.settle(receipt, "release")).status_code == 204
    await queue.receive_one()
    assert (await queue.settle(receipt, "release")).status_code == 409


async def test_a_rejected_message_of_a_queue_without_dead_letter_queue_is_dropped_when_that_is_asked_for(
    queue: Queue,
) -> None:
    receipt = await _held(queue)
    for said in ({}, {"drop": False}):
        refused = await queue.settle(receipt, "reject", error="cannot be read", **said)
        assert (refused.status_code, refused.json()["code"]) == (409, "no_dead_letter_queue")
        assert (await queue.stats())["leased"] == 1
    for _ in range(2):
        assert (await queue.settle(receipt, "reject", error="cannot be read", drop=True)).status_code == 204
    assert (await queue.stats())["total"] == 0


async def test_what_was_purged_is_lost_to_its_holder_and_what_was_deleted_is_not_found(queue: Queue) -> None:
    receipt = await _held(queue)
    assert (await queue.http.post(f"{queue.path}/purge")).json() == {"purged": 1}
    assert (await queue.settle(receipt, "delete")).status_code == 409
    receipt = await _held(queue)
    await queue.http.delete(queue.path)
    await queue.http.put(queue.path, json={})
    answer = await queue.settle(receipt, "delete")
    assert (answer.status_code, answer.json()["code"]) == (404, "receipt_not_found")
    assert (await queue.stats())["total"] == 0


@pytest.mark.parametrize("forge", ["garbage", "mutated", "shortened", "lengthened", "foreign"])
async def test_what_is_no_receipt_of_this_project_is_not_found_and_looks_alike(
    queue: Queue, service: Service, forge: str
) -> None:
    receipt = await _held(queue)
    position = random.Random(7).randrange(len(receipt))
    forged = {
        "garbage": "garbage",
        "mutated": receipt[:position] + ("A" if receipt[position] != "A" else "B") + receipt[position + 1 :],
        "shortened": receipt[:-4],
        "lengthened": receipt + "AAAA",
        "foreign": receipt,
    }[forge]
    await service.root.put("/v1/projects/other", json={})
    headers = {"Restante-Project": "other"} if forge == "foreign" else {}
    answer = await queue.http.delete(f"/v1/receipts/{forged}", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (404, "receipt_not_found")
    extend = await queue.http.patch(f"/v1/receipts/{forged}", json={"visibility_timeout": 1}, headers=headers)
    assert (extend.status_code, extend.json()["detail"]) == (404, answer.json()["detail"])
    assert (await queue.settle(receipt, "delete")).status_code == 204


async def test_a_message_can_be_deleted_by_its_id_while_nobody_holds_it(queue: Queue) -> None:
    sent = await queue.send()
    path = f"{queue.path}/messages/{sent['id']}"
    receipt = (await queue.receive_one())["receipt"]
    leased = await queue.http.delete(path)
    assert (leased.status_code, leased.json()["code"]) == (409, "message_leased")
    await queue.settle(receipt, "release")
    assert (await queue.http.delete(path)).status_code == 204
    for name in (sent["id"], "x", sent["id"].upper(), sent["id"].replace("-", "")):
        gone = await queue.http.delete(f"{queue.path}/messages/{name}")
        assert (gone.status_code, gone.json()["code"]) == (404, "message_not_found")
    assert (await queue.stats())["total"] == 0


async def test_what_is_too_long_for_a_receipt_is_none_and_spoils_no_batch(queue: Queue) -> None:
    answer = await queue.http.delete(f"/v1/receipts/{'x' * 10_000}")
    assert (answer.status_code, answer.json()["code"]) == (404, "receipt_not_found")
    receipt = await _held(queue)
    items = [{"receipt": one, "action": "delete"} for one in ("x" * 201, receipt)]
    batch = await queue.http.post("/v1/receipts/batch", json={"items": items})
    assert [result["status"] for result in batch.json()["results"]] == ["receipt_not_found", "ok"]


@pytest.mark.parametrize(
    ("verb", "fields", "pointer"),
    [
        ("extend", {}, "/visibility_timeout"),
        ("extend", {"visibility_timeout": 604801}, "/visibility_timeout"),
        ("extend", {"visibility_timeout": -1}, "/visibility_timeout"),
        ("extend", {"visibility_timeout": "1"}, "/visibility_timeout"),
        ("extend", {"visibility_timeout": 1, "delay": 1}, "/delay"),
        ("release", {"delay": 31536001}, "/delay"),
        ("release", {"count": 1}, "/count"),
        ("release", {"error": "x" * 4097}, "/error"),
        ("release", {"error": "\u6f22" * 1366}, "/error"),
        ("release", {"error": "a\x00b"}, "/error"),
        ("reject", {"error": 7}, "/error"),
        ("reject", {"delay": 1}, "/delay"),
        ("reject", {"drop": 1}, "/drop"),
        ("release", {"drop": True}, "/drop"),
    ],
)
async def test_a_settle_out_of_bounds_names_the_field_and_leaves_the_lease(
    queue: Queue, verb: str, fields: dict[str, Any], pointer: str
) -> None:
    receipt = await _held(queue)
    answer = await queue.settle(receipt, verb, **fields)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert (await queue.settle(receipt, "delete")).status_code == 204


async def _batch(queue: Queue, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    answer = await queue.http.post("/v1/receipts/batch", json={"items": items})
    assert answer.status_code == 200, answer.text
    results: list[dict[str, Any]] = answer.json()["results"]
    return results


async def test_a_batch_settles_each_receipt_by_itself_and_answers_by_position(queue: Queue) -> None:
    old = await _held(queue, visibility_timeout=1)
    await queue.pass_time(1.1)
    current = (await queue.receive_one())["receipt"]
    others = [await _held(queue) for _ in range(3)]
    results = await _batch(
        queue,
        [
            {"receipt": old, "action": "delete"},
            {"receipt": current, "action": "delete"},
            {"receipt": "garbage", "action": "delete"},
            {"receipt": current, "action": "delete"},
            {"receipt": others[0], "action": "extend", "visibility_timeout": 100},
            {"receipt": others[1], "action": "release", "delay": 100, "error": "later"},
            {"receipt": others[2], "action": "reject"},
            {"receipt": others[2], "action": "reject", "drop": True},
        ],
    )
    statuses = [result["status"] for result in results]
    assert statuses == ["lease_lost", "ok", "receipt_not_found", "ok", "ok", "ok", "no_dead_letter_queue", "ok"]
    assert [result["receipt"] for result in results[:2]] == [old, current]
    assert "lease_expires_at" in results[4]
    stats = await queue.stats()
    assert (stats["ready"], stats["leased"], stats["delayed"], stats["total"]) == (0, 1, 1, 2)


async def test_the_items_of_a_batch_are_done_in_the_order_given(queue: Queue) -> None:
    receipt = await _held(queue)
    results = await _batch(
        queue,
        [
            {"receipt": receipt, "action": "extend", "visibility_timeout": 100},
            {"receipt": receipt, "action": "release"},
            {"receipt": receipt, "action": "release"},
            {"receipt": receipt, "action": "delete"},
        ],
    )
    assert [result["status"] for result in results] == ["ok", "ok", "ok", "lease_lost"]
    assert (await queue.stats())["ready"] == 1


@pytest.mark.parametrize("items", [0, 1001])
async def test_a_batch_of_receipts_of_another_size_than_1_to_1000_is_refused(queue: Queue, items: int) -> None:
    item = {"receipt": "x", "action": "delete"}
    answer = await queue.http.post("/v1/receipts/batch", json={"items": [item] * items})
    assert answer.status_code == 422
    assert "1 to 1000" in answer.json()["detail"]


async def test_a_batch_item_with_a_field_of_another_action_is_refused_as_a_whole(queue: Queue) -> None:
    receipt = await _held(queue)
    items = [{"receipt": receipt, "action": "delete"}, {"receipt": receipt, "action": "delete", "delay": 1}]
    answer = await queue.http.post("/v1/receipts/batch", json={"items": items})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/items/1/delay"
    assert (await queue.settle(receipt, "delete")).status_code == 204


async def test_settles_of_the_same_messages_in_any_order_never_deadlock(queue: Queue) -> None:
    await queue.http.post(f"{queue.path}/messages/batch", json={"messages": [{"body": n} for n in range(100)]})
    receipts = [message["receipt"] for message in await queue.receive(max_messages=100)]
    chance = random.Random(11)

    async def settle(action: str, **fields: Any) -> None:
        shuffled = chance.sample(receipts, len(receipts))
        await _batch(queue, [{"receipt": receipt, "action": action, **fields} for receipt in shuffled])

    await asyncio.gather(
        *[settle("extend", visibility_timeout=60) for _ in range(8)], *[settle("delete") for _ in range(8)]
    )
    assert (await queue.stats())["total"] == 0
    assert await queue.sql.fetchval("select deadlocks from pg_stat_database where datname = current_database()") == 0


async def test_a_key_bound_to_other_queues_cannot_settle_with_a_receipt_of_this_one(
    queue: Queue, service: Service
) -> None:
    receipt = await _held(queue)
    async with service.client(await service.key("receive", queues=["other-*"])) as client:
        answer = await client.delete(f"/v1/receipts/{receipt}")
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    async with service.client(await service.key("receive", queues=["q*"])) as client:
        assert (await client.delete(f"/v1/receipts/{receipt}")).status_code == 204
