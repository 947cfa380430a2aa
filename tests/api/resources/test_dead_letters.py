"""What a queue's dead letters have in common."""

import asyncio
import json
from datetime import datetime
from typing import Any

import pytest

from service.store.messaging import receipts
from service.store.messaging.moves import move, move_free
from service.store.work import dead_letters
from tests.api.resources.test_queues import problem
from tests.in_process import Service, messages

pytestmark = pytest.mark.anyio

PATH = "/v1/queues/dead/dead-letters"


async def groups(service: Service) -> tuple[list[dict[str, Any]], bool]:
    answer = await service.root.get(PATH)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    return found["items"], found["complete"]


async def reject(service: Service, queue: str, *errors: str | None) -> list[str]:
    """Send a message for each error and reject it; return their ids in the order in which they were sent."""
    drafts = [{"body": number} for number, _ in enumerate(errors)]
    sent = (await service.root.post(f"/v1/queues/{queue}/messages/batch", json={"messages": drafts})).json()
    for error in errors:
        taken = await service.root.post(f"/v1/queues/{queue}/messages/receive", json={})
        [message] = taken.json()["messages"]
        fields = {} if error is None else {"error": error}
        answer = await service.root.post(f"/v1/receipts/{message['receipt']}/reject", json=fields)
        assert answer.status_code == 204, answer.text
    return [message["id"] for message in sent["messages"]]


async def dead(service: Service, number: int, count: int, error: str = "'e'", **letter: str) -> None:
    """Store dead letters past the service; `error` may differ by `n`."""
    known = {"source_queue": "'a'", "reason": "'rejected'", "last_error": error} | letter
    members = ", ".join(f"'{name}', {value}" for name, value in known.items())
    at = "clock_timestamp() - n * interval '1 ms'"
    columns = {"dead_letter": f"jsonb_build_object({members})", "moved": "true"}
    await messages(service.sql, number, count, visible_at=at, first_visible_at=at, **columns)


def _in_letters(text: str) -> str:
    """Return SQL for a text in which nothing is folded."""
    return f"translate({text}, '0123456789', 'ghijklmnop')"


async def test_dead_letters_are_grouped_by_where_they_came_from_why_and_with_which_error(service: Service) -> None:
    await service.queue("dead")
    for name in "ab":
        await service.queue(name, dead_letter={"queue": "dead", "max_receives": 5})
    ids = await reject(service, "a", "late", "odd", "late", None, None, None)
    [other] = await reject(service, "b", "late")
    found, complete = await groups(service)
    assert complete
    assert [(group["source_queue"], group["last_error"], group["messages"]) for group in found] == [
        ("a", None, 3),
        ("a", "late", 2),
        ("b", "late", 1),
        ("a", "odd", 1),
    ]
    assert {group["reason"] for group in found} == {"rejected"}
    assert [group["message_id"] for group in found] == [ids[5], ids[2], other, ids[1]]
    for group in found:
        oldest, newest = (datetime.fromisoformat(group[name]) for name in ("oldest_at", "newest_at"))
        assert (oldest < newest) == (group["messages"] > 1)
    at = (await service.root.get(f"/v1/queues/dead/messages/{ids[2]}")).json()["dead_letter"]["at"]
    assert found[1]["newest_at"] == at


@pytest.mark.parametrize(
    ("errors", "folded"),
    [
        (["timeout after 30 s", "timeout after 2.5 s", "timeout after 1,000 s"], "timeout after # s"),
        (["no order 0190b2c4-7d3e-7a10-8c55-0123456789ab", "no order 0190B2C47D3E7A108C550123456789AB"], "no order #"),
        (["KeyError: 'customer'", "KeyError: 'it'"], 'KeyError: "…"'),
        (['no "a" in `b`', 'no "x y" in `z`'], 'no "…" in "…"'),
        (["can't do 1", "can't do 2"], "can't do #"),
        (["commit 3f2a9c01d4e5b6", "commit 9e8d7c6b5a4f3"], "commit #"),
    ],
)
async def test_errors_that_differ_in_a_number_an_id_or_a_quoted_text_are_one_group(
    service: Service, errors: list[str], folded: str
) -> None:
    await service.queue("dead")
    await service.queue("a", dead_letter={"queue": "dead", "max_receives": 5})
    await reject(service, "a", *errors, "something else", None)
    found, _ = await groups(service)
    assert (found[0]["error"], found[0]["messages"], found[0]["last_error"]) == (folded, len(errors), errors[-1])
    assert len(found) == 3
    for error, matched in ((folded, len(errors)), ("", 1)):
        listed = await service.root.get("/v1/queues/dead/messages", params={"dead_letter.error": error})
        assert len(listed.json()["items"]) == matched
        act = {"action": "delete", "filter": {"dead_letter.error": error}, "dry_run": True}
        assert (await service.root.post("/v1/queues/dead/messages/actions", json=act)).json() == {"matched": matched}
    assert (await service.root.post("/v1/queues/dead/redrive", json={"error": folded})).json()["remaining"] == len(
        errors
    )


async def test_what_came_from_one_queue_is_grouped_and_listed_apart(service: Service) -> None:
    await service.queue("dead")
    for name in "ab":
        await service.queue(name, dead_letter={"queue": "dead", "max_receives": 5})
        await reject(service, name, "e", "e")
    of_one = await service.root.get(PATH, params={"source": "a"})
    assert [(group["source_queue"], group["messages"]) for group in of_one.json()["items"]] == [("a", 2)]
    wanted = {"dead_letter.source_queue": "b", "dead_letter.reason": "rejected"}
    listed = await service.root.get("/v1/queues/dead/messages", params=wanted)
    assert [item["dead_letter"]["source_queue"] for item in listed.json()["items"]] == ["b", "b"]
    for name, value in (("dead_letter.reason", "x"), ("dead_letter.source_queue", "-"), ("error", "e")):
        refused = await service.root.get("/v1/queues/dead/messages", params={name: value})
        assert [error["pointer"] for error in refused.json()["errors"]] == [f"/query/{name}"]


async def test_only_the_beginning_of_an_error_is_looked_at(service: Service) -> None:
    number = await service.queue("dead")
    await dead(service, number, 3, "repeat('ä', 200) || n")
    [group], _ = await groups(service)
    assert (group["last_error"], group["messages"]) == ("ä" * 200, 3)


async def test_what_was_sent_or_moved_there_is_no_dead_letter(service: Service) -> None:
    number = await service.queue("dead")
    await service.root.post("/v1/queues/dead/messages", json={"body": 1})
    await messages(service.sql, number, 2, moved="true")
    assert await groups(service) == ([], True)
    await dead(service, number, 1)
    assert [group["messages"] for group in (await groups(service))[0]] == [1]


async def test_it_is_told_when_there_is_more_than_was_looked_at(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = await service.queue("dead")
    await dead(service, number, 10)
    monkeypatch.setattr(dead_letters, "LOOKED_AT", 10)
    assert [(group["messages"], complete) for (group,), complete in [await groups(service)]] == [(10, True)]
    await dead(service, number, 1, "'older'", reason="'expired'")
    await service.sql.execute(
        "update message set first_visible_at = first_visible_at - interval '1 hour' "
        "where dead_letter ->> 'last_error' = 'older'"
    )
    assert [(group["messages"], complete) for (group,), complete in [await groups(service)]] == [(10, False)]


async def test_there_are_at_most_a_hundred_groups(service: Service) -> None:
    number = await service.queue("dead")
    await dead(service, number, 100, _in_letters("n::text"))
    found, complete = await groups(service)
    assert (len(found), complete) == (100, True)
    await dead(service, number, 2, "'more'")
    found, complete = await groups(service)
    assert (len(found), complete) == (100, False)
    assert (found[0]["last_error"], found[0]["messages"]) == ("more", 2)


async def test_ten_thousand_with_long_errors_are_looked_at_in_time(service: Service) -> None:
    number = await service.queue("dead")
    await dead(service, number, 10_001, f"{_in_letters('n::text')} || repeat({_in_letters('md5(n::text)')}, 100)")
    found, complete = await groups(service)
    assert (len(found), complete) == (100, False)


async def test_a_queue_that_is_not_there_is_not_found(service: Service) -> None:
    assert problem(await service.root.get(PATH))[:2] == (404, "queue_not_found")
    assert json.loads((await service.root.get("/v1/queues/%00/dead-letters")).content)["status"] == 422


@pytest.fixture(params=["standard", "fifo"])
async def kind(service: Service, request: pytest.FixtureRequest) -> str:
    """Give a queue with its dead-letter queue, of either type."""
    await service.queue("dead", type=request.param)
    await service.queue(type=request.param, dead_letter={"queue": "dead", "max_receives": 1})
    return str(request.param)


def drops_the_rule(service: Service, takes_away: Any) -> Any:
    """Return what moves dead letters when their queue's rule is gone, but was there when they were found."""

    async def late(*arguments: Any) -> Any:
        answer = await service.root.patch("/v1/queues/q", json={"dead_letter": None})
        assert answer.status_code == 200, answer.text
        return await takes_away(*arguments)

    return late


async def test_a_rule_that_is_dropped_at_the_last_moment_spares_what_a_consumer_gives_back(
    service: Service, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    sent = (await service.root.post("/v1/queues/q/messages", json={"body": 1})).json()
    [taken] = (await service.root.post("/v1/queues/q/messages/receive")).json()["messages"]
    monkeypatch.setattr(receipts, "move", drops_the_rule(service, move))
    assert (await service.root.post(f"/v1/receipts/{taken['receipt']}/release")).status_code == 204
    [again] = (await service.root.post("/v1/queues/q/messages/receive")).json()["messages"]
    assert (again["id"], again["receive_count"]) == (sent["id"], 2)
    assert kind


async def test_a_rule_that_is_dropped_at_the_last_moment_spares_what_nobody_settled(
    service: Service, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(dead_letters, "move_free", drops_the_rule(service, move_free))
    for body in (1, 2):
        await service.root.post("/v1/queues/q/messages", json={"body": body})
    await service.root.post("/v1/queues/q/messages/receive", json={"visibility_timeout": 0.1})
    async with asyncio.timeout(10):
        while await service.sql.fetchval("select exists (select from message where exhausted_at is not null)"):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    received = (await service.root.post("/v1/queues/q/messages/receive", json={"max_messages": 9, "wait": 5})).json()
    assert [message["receive_count"] for message in received["messages"]] in ([2, 1], [1, 2])
    if kind == "fifo":
        [group] = (await service.root.get("/v1/queues/q/groups")).json()["items"]
        assert group["depth"] == 2
