"""What a webhook has failed to deliver goes to it once more when its owner says so."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.in_process import Service
from tests.push.sink import Sink, answers, sink
from tests.push.test_deliveries import Q, left, quiet, send, total, webhook

pytestmark = pytest.mark.anyio

RETRY = f"{Q}/webhooks/w/retry"


async def retried(service: Service, **fields: Any) -> dict[str, Any]:
    """Begin a retry; return its task when it is done."""
    begun = await service.root.post(RETRY, json=fields)
    assert begun.status_code == 202, begun.text
    async with asyncio.timeout(10):
        while True:
            task: dict[str, Any] = (await service.root.get(begun.headers["Location"])).json()
            if task["state"] != "running":
                return task
            await asyncio.sleep(0.02)


async def shown(service: Service, message_id: str) -> dict[str, Any]:
    found: dict[str, Any] = (await service.root.get(f"{Q}/messages/{message_id}")).json()
    return found


async def blocked(service: Service, message_id: str) -> None:
    """Return when a message is blocked."""
    async with asyncio.timeout(10):
        while (await shown(service, message_id))["waiting_for"] != {"reason": "webhook", "detail": "blocked"}:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def refusing(service: Service, target: Sink, on_exhausted: str, **fields: Any) -> None:
    """Make a queue with a dead-letter queue, and a webhook that tries once."""
    await service.queue("dead", **fields)
    await service.queue(dead_letter={"queue": "dead", "max_receives": 5}, **fields)
    await webhook(service, target, retry={"delays": []}, on_exhausted=on_exhausted)


@pytest.mark.parametrize("kind", ["standard", "fifo"])
@pytest.mark.parametrize("by", ["message_ids", "failed_since"])
async def test_dead_letters_come_back_and_are_delivered(service: Service, kind: str, by: str) -> None:
    began = datetime.now(UTC) - timedelta(seconds=1)
    async with sink(answers(500)) as target:
        await refusing(service, target, "dead_letter", type=kind)
        sent = [await send(service, number) for number in range(3)]
        await left(service, 3, "dead")
        target.answer = answers(200)
        wanted: Any = sent[:2] if by == "message_ids" else began.isoformat()
        task = await retried(service, **{by: wanted})
        count = len(wanted) if by == "message_ids" else 3
        assert (task["kind"], task["state"], task["moved"], task["skipped"]) == ("retry", "done", count, 0)
        await target.wait_for(3 + count)
        await left(service, 0)
    again = [posted for posted in target.posted[3:] if posted.number == 1]
    assert [posted.headers["webhook-id"] for posted in again] == sent[:count]
    assert await total(service, "dead") == 3 - count


@pytest.mark.parametrize("kind", ["standard", "fifo"])
@pytest.mark.parametrize("by", ["message_ids", "failed_since"])
async def test_blocked_messages_are_tried_anew(service: Service, kind: str, by: str) -> None:
    began = datetime.now(UTC) - timedelta(seconds=1)
    async with sink(answers(500)) as target:
        await refusing(service, target, "block", type=kind)
        first = await send(service, "first")
        await blocked(service, first)
        second = await send(service, "second") if kind == "fifo" else None
        target.answer = answers(200)
        task = await retried(service, **{by: [first] if by == "message_ids" else began.isoformat()})
        assert (task["state"], task["moved"], task["skipped"]) == ("done", 1, 0)
        await left(service, 0)
    expected = [first, first, *([second] if second else [])]
    assert [posted.headers["webhook-id"] for posted in target.posted] == expected
    assert [posted.number for posted in target.posted[:2]] == [1, 1]


@pytest.mark.parametrize("kind", ["standard", "fifo"])
async def test_what_a_webhook_has_blocked_is_free_when_the_webhook_is_deleted(service: Service, kind: str) -> None:
    asked, may_answer = asyncio.Event(), asyncio.Event()

    async def failing(posted: Any) -> Any:
        if posted.body == b'"slow"':
            asked.set()
            await may_answer.wait()
        return await answers(500)(posted)

    async with sink(failing) as target:
        await refusing(service, target, "block", type=kind)
        await blocked(service, await send(service, "quick"))
        # A request that is under way ends after its webhook.
        await service.root.post(f"{Q}/messages", json={"body": "slow", "group": "another"})
        await asyncio.wait_for(asked.wait(), 10)
        assert (await service.root.delete(f"{Q}/webhooks/w")).status_code == 204
        may_answer.set()
        bodies: list[Any] = []
        async with asyncio.timeout(20):
            while len(bodies) < 2:
                answer = await service.root.post(f"{Q}/messages/receive", json={"wait": 5})
                bodies += [message["body"] for message in answer.json()["messages"]]
    assert sorted(bodies) == ["quick", "slow"]
    [task] = (await service.root.get("/v1/tasks")).json()["items"]
    assert (task["kind"], task["queue"]) == ("retry", "q")


@pytest.mark.parametrize("kind", ["standard", "fifo"])
@pytest.mark.parametrize("by", ["message_ids", "failed_since"])
async def test_what_waits_for_its_next_attempt_has_it_now(service: Service, kind: str, by: str) -> None:
    began = datetime.now(UTC) - timedelta(seconds=1)
    await service.queue(type=kind)
    async with sink(answers(500, 200)) as target:
        await webhook(service, target, retry={"delays": [3600]})
        sent = await send(service)
        await target.wait_for(1)
        await quiet(service)
        task = await retried(service, **{by: [sent] if by == "message_ids" else began.isoformat()})
        assert (task["moved"], task["skipped"]) == (1, 0)
        await left(service, 0)
    assert [posted.number for posted in target.posted] == [1, 1]


async def test_what_neither_failed_nor_belongs_here_is_left_alone(service: Service) -> None:
    async with sink(answers(500)) as target:
        await refusing(service, target, "dead_letter")
        await send(service)
        await left(service, 1, "dead")
        await service.root.patch(f"{Q}/webhooks/w", json={"enabled": False})
        # In the dead-letter queue, but never in this one; and in this one, but not failed.
        stranger = (await service.root.post("/v1/queues/dead/messages", json={"body": 1})).json()["id"]
        waiting = await send(service)
        task = await retried(service, message_ids=[stranger, waiting, "0190a6b2-0000-7000-8000-000000000000"])
        assert (task["moved"], task["skipped"], task["remaining"]) == (0, 3, 0)
        later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        assert (await retried(service, failed_since=later))["moved"] == 0
    assert (await total(service, "dead"), await total(service)) == (2, 1)


async def test_a_retry_says_what_is_wrong_with_it(service: Service) -> None:
    await service.queue()
    async with sink() as target:
        await webhook(service, target)
        for body, pointer in (
            ({}, ""),
            ({"message_ids": ["x"], "failed_since": "2026-01-01T00:00:00Z"}, "/message_ids/0"),
            ({"message_ids": []}, "/message_ids"),
            ({"message_ids": ["no id"]}, "/message_ids/0"),
            ({"message_ids": [1]}, "/message_ids/0"),
            ({"failed_since": "2026-01-01T00:00:00"}, "/failed_since"),
            ({"failed_since": None}, ""),
            ({"since": 1}, "/since"),
        ):
            answer = await service.root.post(RETRY, json=body)
            assert answer.status_code == 422, body
            assert answer.json()["errors"][0]["pointer"] == pointer
    for path, code in (
        (f"{Q}/webhooks/none/retry", "webhook_not_found"),
        ("/v1/queues/n/webhooks/w/retry", "queue_not_found"),
    ):
        answer = await service.root.post(path, json={"failed_since": "2026-01-01T00:00:00Z"})
        assert (answer.status_code, answer.json()["code"]) == (404, code)


@pytest.mark.parametrize(
    ("fields", "state", "detail"),
    [
        ({"enabled": False}, "enabled = false", "disabled"),
        (
            {},
            "open_until = '2126-01-01Z', openings = 1",
            "circuit open until 2126-01-01T00:00:00.000000Z",
        ),
        ({}, "paused_until = '2126-01-01Z'", "paused until 2126-01-01T00:00:00.000000Z"),
        ({"rate_limit": 0.001}, "allowance = 0, allowed_at = clock_timestamp()", "rate"),
    ],
)
async def test_a_message_tells_what_its_webhook_waits_for(
    service: Service, fields: dict[str, Any], state: str, detail: str
) -> None:
    await service.queue()
    async with sink() as target:
        await webhook(service, target, **fields)
        await service.sql.execute(f"update webhook set {state}")
        found = await shown(service, await send(service))
    assert (found["state"], found["waiting_for"]["reason"], found["waiting_for"]["detail"]) == (
        "ready",
        "webhook",
        detail,
    )
    assert target.posted == []


async def test_a_message_behind_all_the_requests_that_may_be_made_waits_for_one_to_end(service: Service) -> None:
    await service.queue()
    go_on = asyncio.Event()

    async def hang(_posted: Any) -> Any:
        await go_on.wait()
        return await answers(200)(_posted)

    async with sink(hang) as target:
        await webhook(service, target, max_concurrency=1)
        first = await send(service)
        await target.wait_for(1)
        second = await send(service)
        assert (await shown(service, first))["waiting_for"]["reason"] == "lease"
        assert (await shown(service, second))["waiting_for"] == {"reason": "webhook", "detail": "concurrency"}
        go_on.set()
        await left(service, 0)


async def test_all_attempts_to_deliver_a_message_are_listed_wherever_it_is_now(service: Service) -> None:
    async with sink(answers(500)) as target:
        await refusing(service, target, "dead_letter")
        [first, second] = [await send(service, number) for number in range(2)]
        await left(service, 2, "dead")
        await retried(service, message_ids=[first])
        await left(service, 0)
        await left(service, 2, "dead")
        target.answer = answers(200)
        await retried(service, message_ids=[first])
        await left(service, 1, "dead")
        await left(service, 0)

        async def attempts(message_id: str, queue: str = "q", **query: Any) -> list[tuple[str, int, str, str | None]]:
            url = f"/v1/queues/{queue}/messages/{message_id}/attempts"
            page = (await service.root.get(url, params=query)).json()
            seen = [(item["outcome"], item["status"], item["queue"], item["webhook"]) for item in page["items"]]
            more = page["next_cursor"]
            return seen + (await attempts(message_id, queue, **query | {"cursor": more}) if more else [])

        failed = ("failed", 500, "q", "w")
        async with asyncio.timeout(10):
            # They are written down with the round after.
            while await attempts(first) != [("succeeded", 200, "q", "w"), failed, failed]:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert await attempts(first, limit=1) == await attempts(first)
        assert await attempts(second, "dead") == [failed]
        await service.root.delete(f"{Q}/webhooks/w")
        assert await attempts(second, "dead") == [("failed", 500, "q", None)]
        async with service.client(await service.key("browse", queues=["dead"])) as bound:
            answer = await bound.get(f"/v1/queues/dead/messages/{second}/attempts")
            assert answer.json()["items"] == []
        assert await attempts("00000000-0000-0000-0000-000000000000") == []
        assert (await service.root.get(f"{Q}/messages/x/attempts")).status_code == 404
        assert (await service.root.get(f"/v1/queues/none/messages/{first}/attempts")).status_code == 404
