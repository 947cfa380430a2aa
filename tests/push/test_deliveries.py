"""Messages reach webhooks, signed, once they are taken never again, and again when they are not."""

import asyncio
import json
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook as Verifier

from tests.in_process import Service
from tests.push.sink import Sink, answers, sink

pytestmark = pytest.mark.anyio

Q = "/v1/queues/q"


async def webhook(service: Service, target: Sink, name: str = "w", **fields: Any) -> dict[str, Any]:
    answer = await service.root.put(f"{Q}/webhooks/{name}", json={"url": target.url + "/hook", **fields})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def send(service: Service, body: Any = 1, **fields: Any) -> str:
    answer = await service.root.post(f"{Q}/messages", json={"body": body, **fields})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def total(service: Service, queue: str = "q") -> int:
    return int((await service.root.get(f"/v1/queues/{queue}")).json()["stats"]["total"])


async def left(service: Service, count: int, queue: str = "q") -> None:
    """Return when so many messages are left."""
    async with asyncio.timeout(10):
        while await total(service, queue) != count:  # noqa: ASYNC110 - the service tells nobody; it has to be asked
            await asyncio.sleep(0.02)


async def shown(service: Service, name: str = "w") -> dict[str, Any]:
    found: dict[str, Any] = (await service.root.get(f"{Q}/webhooks/{name}")).json()
    return found


async def test_a_message_is_posted_signed_and_gone(service: Service) -> None:
    await service.queue()
    async with sink() as target:
        made = await webhook(service, target)
        identity = await send(service, {"order": 17}, headers={"Source": "shop"})
        [posted] = await target.wait_for(1)
        await left(service, 0)
    assert json.loads(posted.body) == {"order": 17}
    assert posted.path == "/hook"
    shown = {
        "content-type": "application/json",
        "webhook-id": identity,
        "restante-queue": "q",
        "restante-attempt": "1",
        "restante-header-source": "shop",
        "accept-encoding": "identity",
    }
    assert {name: posted.headers[name] for name in shown} == shown
    assert Verifier(made["secret"]).verify(posted.body, posted.headers) == {"order": 17}
    assert len(target.posted) == 1


async def test_what_is_not_taken_comes_again_by_the_schedule(service: Service) -> None:
    await service.queue()
    async with sink(answers(500, 302, 404, 200)) as target:
        made = await webhook(service, target, retry={"delays": [0.1, 0.2, 0.3], "jitter": 0})
        identity = await send(service)
        posted = await target.wait_for(4)
        await left(service, 0)
    assert [attempt.number for attempt in posted] == [1, 2, 3, 4]
    assert {attempt.headers["webhook-id"] for attempt in posted} == {identity}
    for delay, before, after in zip((0.1, 0.2, 0.3), posted, posted[1:], strict=False):
        assert delay <= after.at - before.at < delay + 0.6
    for attempt in posted:
        Verifier(made["secret"]).verify(attempt.body, attempt.headers)


async def test_after_the_last_attempt_it_is_a_dead_letter(service: Service) -> None:
    await service.queue("dead")
    await service.queue(dead_letter={"queue": "dead", "max_receives": 1})
    async with sink(answers(503)) as target:
        await webhook(service, target, retry={"delays": [0.05], "jitter": 0})
        await send(service)
        await left(service, 1, "dead")
    assert len(target.posted) == 2
    [letter] = (await service.root.post("/v1/queues/dead/messages/receive", json={})).json()["messages"]
    block = letter["dead_letter"]
    assert (block["reason"], block["last_error"], block["source_queue"]) == ("push_failed", "answered 503", "q")


async def test_no_more_requests_are_under_way_than_the_webhook_allows(service: Service) -> None:
    await service.queue()

    async def slowly(_posted: Any) -> Any:
        await asyncio.sleep(0.05)
        return await answers(200)(_posted)

    async with sink(slowly) as target:
        await webhook(service, target, max_concurrency=3)
        drafts = {"messages": [{"body": number} for number in range(30)]}
        await service.root.post(f"{Q}/messages/batch", json=drafts)
        await target.wait_for(30)
        await left(service, 0)
    assert target.most_at_once == 3


async def test_a_fifo_group_is_posted_in_order_and_holds_up_no_other(service: Service) -> None:
    await service.queue(type="fifo")

    async def answer(posted: Any) -> Any:
        body = json.loads(posted.body)
        return await answers(500 if body == ["a", 0] and posted.number < 3 else 200)(posted)

    async with sink(answer) as target:
        await webhook(service, target, retry={"delays": [0.1, 0.1], "jitter": 0})
        for number in range(3):
            for group in "ab":
                await send(service, [group, number], group=group)
        await target.wait_for(8)
        await left(service, 0)
    bodies = [json.loads(posted.body) for posted in target.posted]
    assert [body for body in bodies if body[0] == "a"] == [["a", 0], ["a", 0], ["a", 0], ["a", 1], ["a", 2]]
    assert [body for body in bodies if body[0] == "b"] == [["b", 0], ["b", 1], ["b", 2]]
    assert bodies.index(["b", 2]) < bodies.index(["a", 1])


async def test_410_disables_and_keeps_the_messages(service: Service) -> None:
    await service.queue()
    async with sink(answers(410)) as target:
        await webhook(service, target, retry={"delays": [0.01] * 50, "jitter": 0})
        await send(service)
        async with asyncio.timeout(5):
            while (await shown(service))["state"] != "disabled":  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.02)
        seen = len(target.posted)
        await asyncio.sleep(0.3)
        assert len(target.posted) == seen
    found = await shown(service)
    assert (found["enabled"], found["state_reason"]) == (False, "gone")
    assert await total(service) == 1
