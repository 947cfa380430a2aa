"""Several processes push together: the cap holds over all of them, and none takes another's place in a request."""

import asyncio
import contextlib
import time
from collections import Counter
from pathlib import Path
from statistics import quantiles
from typing import Any

import asyncpg
import httpx
import psutil
import pytest
from aiohttp import web

from service import embedded
from tests.faults.conftest import SHARED
from tests.in_process import messages
from tests.push.sink import Posted, sink
from tests.push.test_receivers import BOMB, HEAD, answering, says
from tests.serving import Serving, serving

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

Q = "/v1/queues/q"

# Much more than is read of an answer, in all the ways there are.
HOSTILE = (
    says(HEAD + b"Content-Length: 99999999999\r\n\r\n", forever=b"x" * 65536),
    says(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", forever=b"10000\r\n" + b"x" * 65536 + b"\r\n"),
    says(HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(BOMB), BOMB),
    says(HEAD, forever=b"X: " + b"y" * 1000 + b"\r\n"),
    says(forever=b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
    says(HEAD + b"Content-Length: 0\r\n\r\n" * 1000),
    says(HEAD + b"Content-Length: 20\r\n\r\nshort"),
)


def prepare(service: Serving, url: str, messages: int, **fields: Any) -> None:
    with service.client() as client:
        client.put(Q, json={}).raise_for_status()
        drafts = {"messages": [{"body": number} for number in range(messages)]}
        client.post(f"{Q}/messages/batch", json=drafts).raise_for_status()
        client.put(f"{Q}/webhooks/w", json={"url": url, **fields}).raise_for_status()


@pytest.mark.alone
async def test_four_processes_hold_a_cap_of_three_and_use_it(tmp_path: Path) -> None:
    under_way: list[int] = []

    async def slowly(_posted: Posted) -> web.Response:
        under_way.append(target.at_once)
        await asyncio.sleep(0.2)
        return web.Response(status=200)

    async with sink(slowly) as target:
        with serving(tmp_path, processes="4", push_allow="127.0.0.0/8") as service:
            await asyncio.to_thread(prepare, service, target.url, 60, max_concurrency=3)
            began = time.monotonic()
            await target.wait_for(60, 60)
            seconds = time.monotonic() - began
            # This loop answers what is in flight: it must not stand still meanwhile.
            await asyncio.to_thread(service.stop)
    assert max(under_way) == 3
    assert len({posted.headers["webhook-id"] for posted in target.posted}) == len(target.posted) == 60
    # On a machine that does nothing else it is 2.8.
    assert 60 * 0.2 / seconds > 2.4


async def test_what_a_killed_process_had_in_flight_is_sent_again_after_its_lease_and_never_twice_at_once(
    database: str,
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
        with serving(tmp_path, database_url=database, **SHARED, processes="2", push_allow="127.0.0.0/8") as service:
            await asyncio.to_thread(prepare, service, target.url, 20, max_concurrency=20, timeout=3)
            await target.wait_for(20, 20)
            for worker in service.workers()[:1]:
                worker.kill()
            await _emptied(service)
    assert set(most.values()) == {1}
    assert len(most) == 20


def _total(service: Serving) -> int:
    with service.client() as client:
        return int(client.get(Q).json()["stats"]["total"])


async def test_at_its_end_a_process_finishes_what_is_in_flight_and_begins_nothing(
    database: str, tmp_path: Path
) -> None:
    may_answer = asyncio.Event()

    async def held(_posted: Posted) -> web.Response:
        await may_answer.wait()
        return web.Response(status=200)

    async with sink(held) as target:
        with serving(tmp_path, database_url=database, **SHARED, processes="2", push_allow="127.0.0.0/8") as service:
            await asyncio.to_thread(prepare, service, target.url, 6, max_concurrency=4)
            await target.wait_for(4, 20)
            began = time.monotonic()
            stopping = asyncio.create_task(asyncio.to_thread(service.stop))
            # Whatever is answered before both processes have heard of their end makes room for more.
            await _refuses(service)
            may_answer.set()
            assert await stopping == 0
            assert time.monotonic() - began < 30
        assert (len(target.posted), target.at_once) == (4, 0)
        with serving(tmp_path, database_url=database, **SHARED, push_allow="127.0.0.0/8") as service:
            await target.wait_for(6, 20)
            await _emptied(service)
    # What was finished was committed, and is not sent again.
    assert len({posted.headers["webhook-id"] for posted in target.posted}) == len(target.posted) == 6


async def _refuses(service: Serving) -> None:
    """Return when no process listens any more."""
    url = httpx.URL(service.url)
    async with asyncio.timeout(20):
        with contextlib.suppress(ConnectionError):
            while True:
                _, writer = await asyncio.open_connection(url.host, url.port)
                writer.close()
                await asyncio.sleep(0.02)


@pytest.mark.alone
async def test_quick_endpoints_do_not_notice_a_slow_one_with_200_000_messages(tmp_path: Path) -> None:
    took: list[float] = []
    over = asyncio.Event()

    async def answer(posted: Posted) -> web.Response:
        if posted.path == "/slow":
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), 30)
        else:
            took.append(time.monotonic() - float(posted.body))
        return web.Response(status=204)

    async with sink(answer) as target:
        with serving(tmp_path, push_allow="127.0.0.0/8") as service, service.client() as client:
            client.put("/v1/queues/slow", json={}).raise_for_status()
            await _fill(tmp_path, "slow", 200_000)
            slow = {"url": f"{target.url}/slow", "timeout": 60, "max_concurrency": 1000}
            client.put("/v1/queues/slow/webhooks/w", json=slow).raise_for_status()
            for place in range(5):
                client.put(f"/v1/queues/q{place}", json={}).raise_for_status()
                client.put(f"/v1/queues/q{place}/webhooks/w", json={"url": f"{target.url}/quick"}).raise_for_status()
            # The slow one has all that it gets.
            await target.wait_for(100, 20)
            # Three times, as a noisy machine may stand still for a while.
            rounds = [await _pushed(client, took, 200) for _ in range(3)]
            over.set()
            await asyncio.to_thread(service.stop)
    assert min(quantiles(seconds, n=100)[98] for seconds in rounds) < 0.25


async def test_hostile_answers_leave_nothing_in_memory(database: str, tmp_path: Path) -> None:
    turns = iter(range(10_000))

    async def hostile(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await HOSTILE[next(turns) % len(HOSTILE)](reader, writer)

    async with answering(hostile) as url:
        with serving(tmp_path, database_url=database, **SHARED, push_allow="127.0.0.0/8") as service:
            retry = {"delays": [], "jitter": 0}
            rules = {"retry": retry, "timeout": 2, "max_concurrency": 50, "on_exhausted": "drop"}
            await asyncio.to_thread(prepare, service, url, 1000, **rules)
            process = psutil.Process(service.process.pid)
            sizes = []
            for left in (700, 400, 0):
                await _emptied(service, left)
                sizes.append(process.memory_info().rss)
    assert sizes[2] - sizes[0] < 20 * 1024 * 1024


async def _pushed(client: httpx.Client, took: list[float], count: int) -> list[float]:
    """Send messages to five queues, one after the other; return how many seconds each took, when all have come."""
    took.clear()
    for place in range(count):
        # A thread: the receiver is on this loop.
        path, sent = f"/v1/queues/q{place % 5}/raw", str(time.monotonic())
        (await asyncio.to_thread(client.post, path, content=sent)).raise_for_status()
    async with asyncio.timeout(20):
        while len(took) < count:  # noqa: ASYNC110 - a deadline is near enough
            await asyncio.sleep(0.05)
    return list(took)


async def _fill(folder: Path, queue: str, count: int) -> None:
    """Store messages past the service."""
    sql = await asyncpg.connect(embedded.url_of(folder))
    try:
        await messages(sql, await sql.fetchval("select number from queue where name = $1", queue), count)
    finally:
        await sql.close()


async def _emptied(service: Serving, left: int = 0) -> None:
    """Return when no more than so many messages are left."""
    async with asyncio.timeout(60):
        while await asyncio.to_thread(_total, service) > left:  # noqa: ASYNC110 - it has to be asked
            await asyncio.sleep(0.1)
