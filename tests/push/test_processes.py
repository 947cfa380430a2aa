"""Several processes push together: the cap holds over all of them, and none takes another's place in a request."""

import asyncio
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.push.sink import Posted, sink
from tests.serving import Serving, serving

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

Q = "/v1/queues/q"


def prepare(service: Serving, url: str, messages: int, **fields: Any) -> None:
    with service.client() as client:
        client.put(Q, json={}).raise_for_status()
        drafts = {"messages": [{"body": number} for number in range(messages)]}
        client.post(f"{Q}/messages/batch", json=drafts).raise_for_status()
        client.put(f"{Q}/webhooks/w", json={"url": url, **fields}).raise_for_status()


async def test_four_processes_hold_a_cap_of_three_and_use_it(tmp_path: Path) -> None:
    under_way: list[int] = []

    async def slowly(_posted: Posted) -> web.Response:
        under_way.append(target.at_once)
        await asyncio.sleep(0.1)
        return web.Response(status=200)

    async with sink(slowly) as target:
        with serving(tmp_path, processes="4", push_allow="127.0.0.0/8") as service:
            await asyncio.to_thread(prepare, service, target.url, 100, max_concurrency=3)
            began = time.monotonic()
            await target.wait_for(100, 60)
            seconds = time.monotonic() - began
    assert max(under_way) == 3
    assert len({posted.headers["webhook-id"] for posted in target.posted}) == len(target.posted) == 100
    # 100 requests of 0.1 s, three at a time, take 3.3 s.
    assert seconds < 8


async def test_what_a_killed_process_had_in_flight_is_sent_again_after_its_lease_and_never_twice_at_once(
    tmp_path: Path,
) -> None:
    at_once: Counter[str] = Counter()
    most: Counter[str] = Counter()

    async def hang_first(posted: Posted) -> web.Response:
        identity = posted.headers["webhook-id"]
        at_once[identity] += 1
        most[identity] = max(most[identity], at_once[identity])
        try:
            await asyncio.sleep(2 if posted.number == 1 else 0)
        finally:
            at_once[identity] -= 1
        return web.Response(status=200)

    async with sink(hang_first) as target:
        with serving(tmp_path, processes="2", push_allow="127.0.0.0/8") as service:
            await asyncio.to_thread(prepare, service, target.url, 20, max_concurrency=20, timeout=3)
            await target.wait_for(20, 20)
            for worker in service.workers()[:1]:
                worker.kill()
            async with asyncio.timeout(40):
                while await asyncio.to_thread(_total, service):  # noqa: ASYNC110 - it has to be asked
                    await asyncio.sleep(0.2)
    assert set(most.values()) == {1}
    assert len(most) == 20


def _total(service: Serving) -> int:
    with service.client() as client:
        return int(client.get(Q).json()["stats"]["total"])
