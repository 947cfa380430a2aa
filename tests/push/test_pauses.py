"""How long a webhook gets nothing: a pause that its receiver asks for, and a circuit that is open."""

import asyncio
from typing import Any

import pytest
from aiohttp import web

from tests.in_process import Service, in_process
from tests.push.sink import Posted, answers, sink
from tests.push.test_deliveries import Q, left, looked, quiet, send, shown, total, webhook

pytestmark = pytest.mark.anyio

W = f"{Q}/webhooks/w"
BUSY = {"Retry-After": "3600"}


async def in_state(service: Service, state: str) -> dict[str, Any]:
    """Return the webhook when it is in this state."""
    async with asyncio.timeout(20):
        while (found := await shown(service))["state"] != state:  # noqa: ASYNC110 - the service tells nobody
            await asyncio.sleep(0.02)
    return found


async def test_a_success_does_not_end_a_pause_that_the_receiver_asked_for(service: Service) -> None:
    await service.queue()
    asked = asyncio.Event()

    async def answer(posted: Posted) -> web.StreamResponse:
        if posted.body == b'"busy"':
            return web.Response(status=429, headers=BUSY)
        await asked.wait()
        return web.Response(status=200)

    async with sink(answer) as target:
        await webhook(service, target, max_concurrency=2)
        await send(service, "slow")
        await target.wait_for(1)
        await send(service, "busy")
        found = await in_state(service, "paused")
        await send(service, "later")
        asked.set()
        await left(service, 2)
        await quiet(service)
        assert len(target.posted) == 2
    after = await shown(service)
    assert (after["state"], after["state_reason"], after["until"]) == ("paused", "retry_after", found["until"])


async def test_a_pause_is_in_force_before_the_message_is_given_back(service: Service, database: str) -> None:
    await service.queue()
    async with in_process(database) as other, sink(answers(503, headers=BUSY)) as target:
        await webhook(service, target, max_concurrency=1, retry={"delays": [0] * 100, "jitter": 0})
        for _ in range(5):
            await send(service)
        await in_state(service, "paused")
        for one in (service, other):
            await quiet(one)
        assert len(target.posted) == 1
    assert await total(service) == 5


async def test_410_disables_before_the_message_is_given_back(service: Service, database: str) -> None:
    await service.queue()
    async with in_process(database) as other, sink(answers(410)) as target:
        await webhook(service, target, max_concurrency=1, retry={"delays": [0] * 100, "jitter": 0})
        await send(service)
        await in_state(service, "disabled")
        for one in (service, other):
            await quiet(one)
        assert len(target.posted) == 1


async def open_circuit(service: Service) -> None:
    """Have the webhook's circuit open, for an hour."""
    later = "clock_timestamp() + interval '1 hour'"
    await service.sql.execute(f"update webhook set failures = 10, openings = 1, open_until = {later}")


async def test_an_open_circuit_tells_what_the_last_failure_was(service: Service) -> None:
    await service.queue()
    async with sink(answers(500)) as target:
        await webhook(service, target, retry={"delays": [0.01] * 100, "jitter": 0})
        await send(service)
        found = await in_state(service, "circuit_open")
    assert found["state_reason"].startswith("answered 500")


@pytest.mark.parametrize("status", [200, 500])
async def test_a_test_that_succeeds_closes_the_circuit(service: Service, status: int) -> None:
    await service.queue()
    async with sink(answers(status)) as target:
        await webhook(service, target)
        await open_circuit(service)
        await send(service)
        await looked(service)
        assert target.posted == []
        assert (await service.root.post(f"{W}/test")).json()["status"] == status
        if status == 200:
            assert (await shown(service))["state"] == "active"
            await left(service, 0)
        else:
            assert (await shown(service))["state"] == "circuit_open"


async def test_a_test_that_succeeds_leaves_a_pause_that_the_receiver_asked_for(service: Service) -> None:
    await service.queue()
    async with sink() as target:
        await webhook(service, target)
        await service.sql.execute("update webhook set paused_until = clock_timestamp() + interval '1 hour'")
        assert (await service.root.post(f"{W}/test")).json()["outcome"] == "succeeded"
        assert (await shown(service))["state"] == "paused"


async def test_few_webhooks_of_a_project_are_tested_at_once(service: Service) -> None:
    await service.queue()
    may_answer = asyncio.Event()

    async def slow(_posted: Posted) -> web.StreamResponse:
        await may_answer.wait()
        return web.Response(status=200)

    async with sink(slow) as target:
        await webhook(service, target)
        tests = [asyncio.create_task(service.root.post(f"{W}/test")) for _ in range(5)]
        await target.wait_for(5)
        refused = await service.root.post(f"{W}/test")
        assert (refused.status_code, refused.json()["code"]) == (429, "too_many_tests")
        assert refused.headers["Retry-After"] == "1"
        may_answer.set()
        assert [answer.json()["outcome"] for answer in await asyncio.gather(*tests)] == ["succeeded"] * 5
        assert (await service.root.post(f"{W}/test")).status_code == 200


@pytest.mark.parametrize("held", ["open_until", "paused_until"])
async def test_a_webhook_is_resumed_by_hand(service: Service, held: str) -> None:
    await service.queue()
    async with sink() as target:
        await webhook(service, target)
        await open_circuit(service)
        await service.sql.execute(f"update webhook set {held} = clock_timestamp() + interval '2 hours'")
        await send(service)
        answer = await service.root.post(f"{W}/resume")
        assert answer.status_code == 200, answer.text
        assert (answer.json()["state"], answer.json()["state_reason"], answer.json()["until"]) == ("active", None, None)
        assert answer.headers["ETag"]
        await left(service, 0)


async def test_resuming_enables_nothing_and_needs_a_webhook(service: Service) -> None:
    await service.queue()
    async with sink() as target:
        await webhook(service, target, enabled=False)
    assert (await service.root.post(f"{W}/resume")).json()["state"] == "disabled"
    answer = await service.root.post(f"{Q}/webhooks/none/resume")
    assert (answer.status_code, answer.json()["code"]) == (404, "webhook_not_found")
    async with service.client(await service.key("send", "receive", "browse")) as client:
        assert (await client.post(f"{W}/resume")).status_code == 403
