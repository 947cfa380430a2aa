"""A webhook may push on to a queue of the same service, but not in a circle for ever."""

import asyncio
import json

import pytest

from tests.in_process import ROOT_KEY, Service
from tests.push.test_deliveries import left, send, total

pytestmark = pytest.mark.anyio


async def pushes_on(service: Service, source: str, target: str) -> None:
    """Have a queue's messages pushed to another queue of the same service."""
    fields = {
        "url": f"{service.url}/v1/queues/{target}/raw",
        "headers": {"Authorization": f"Bearer {ROOT_KEY}"},
        "retry": {"delays": [], "jitter": 0},
    }
    answer = await service.root.put(f"/v1/queues/{source}/webhooks/on", json=fields)
    assert answer.status_code == 201, answer.text


async def test_a_message_is_pushed_on_as_it_is(service: Service) -> None:
    await service.queue("end")
    await service.queue("q")
    await pushes_on(service, "q", "end")
    await send(service, {"n": 1.10}, headers={"color": "red"})
    await left(service, 1, "end")
    [message] = (await service.root.post("/v1/queues/end/messages/receive")).json()["messages"]
    assert (message["body"], message["headers"]) == ({"n": 1.1}, {"color": "red", "restante-hop": "1"})


async def test_a_circle_ends_after_five_hops(service: Service) -> None:
    await service.queue("dead")
    rules = {"dead_letter": {"queue": "dead", "max_receives": 5}}
    for name in ("q", "other"):
        await service.queue(name, **rules)
    await pushes_on(service, "q", "other")
    await pushes_on(service, "other", "q")
    await send(service)
    async with asyncio.timeout(10):
        while await total(service, "dead") == 0:  # noqa: ASYNC110 - the service tells nobody; it has to be asked
            await asyncio.sleep(0.02)
    [message] = (await service.root.post("/v1/queues/dead/messages/receive")).json()["messages"]
    assert message["headers"] == {"restante-hop": "5"}
    status, _, excerpt = message["dead_letter"]["last_error"].partition(": ")
    assert status == "answered 422"
    assert json.loads(excerpt)["errors"][0]["code"] == "too_many_hops"
    assert (await total(service), await total(service, "other")) == (0, 0)


@pytest.mark.parametrize("path", ["messages", "messages/batch", "raw"])
@pytest.mark.parametrize("hop", ["6", "99999999999", "-1", "x", "", "1.0"])
async def test_what_has_come_too_far_is_refused(service: Service, path: str, hop: str) -> None:
    await service.queue()
    body = {"messages": [{"body": 1}]} if path.endswith("batch") else {"body": 1}
    answer = await service.root.post(f"/v1/queues/q/{path}", json=body, headers={"Restante-Hop": hop})
    assert answer.status_code == 422
    assert answer.json()["errors"][0] | {"detail": ""} == {
        "pointer": "/header/restante-hop",
        "code": "too_many_hops",
        "detail": "",
    }
    assert await total(service) == 0
