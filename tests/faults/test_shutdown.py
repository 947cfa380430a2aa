"""A service that is told to stop lets go of everybody at once, and takes nothing with it."""

import asyncio
import contextlib
import signal
import time
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.faults.conftest import SHARED
from tests.faults.wire import NoAnswer, Wire, parked, wires
from tests.serving import Serving, serving

pytestmark = [pytest.mark.anyio, pytest.mark.alone, pytest.mark.timeout(90)]

_RECEIVE = "/v1/queues/q/messages/receive"


async def exit_code(service: Serving) -> int:
    """Return how the service's process ended; it has three seconds."""
    return await asyncio.to_thread(service.process.wait, 3)


@pytest.mark.parametrize(("receives", "processes"), [(50, "1"), (200, "1"), (200, "2")])
async def test_parked_receives_are_answered_within_a_second_and_nothing_is_leased_to_them(
    database: str, data_folder: Path, capfd: pytest.CaptureFixture[str], receives: int, processes: str
) -> None:
    with (
        serving(data_folder, database_url=database, processes=processes, **SHARED) as service,
        wires(service.url, service.key, receives) as clients,
    ):
        with wires(service.url, service.key, 1) as [watcher]:
            await watcher.ask("PUT", "/v1/queues/q")
            await asyncio.gather(*(client.say("POST", _RECEIVE, {"wait": 60}) for client in clients))
            await parked(watcher, receives)
        began = time.monotonic()
        service.process.send_signal(signal.SIGTERM)
        answers = await asyncio.gather(*(client.hear() for client in clients))
        assert time.monotonic() - began < 1
        assert {(answer.status, answer.body) for answer in answers} == {(200, b'{"messages":[]}')}
        assert await exit_code(service) == 0
        assert time.monotonic() - began < 3
    logged = capfd.readouterr().err
    assert not any(word in logged for word in ("warning", "error", "Traceback", "critical")), logged


@pytest.mark.parametrize("head_start", [-0.02, 0.0, 0.02], ids=["sends first", "at once", "signal first"])
async def test_what_is_sent_elsewhere_while_it_stops_is_handed_over_whole_or_visible_within_a_second(
    database: str, tmp_path: Path, head_start: float
) -> None:
    with (
        serving(tmp_path / "a", database_url=database, **SHARED) as stopping,
        serving(tmp_path / "b", database_url=database, **SHARED) as staying,
        wires(stopping.url, stopping.key, 20) as waiting,
        wires(staying.url, staying.key, 20) as senders,
    ):
        await senders[0].ask("PUT", "/v1/queues/q", {"visibility_timeout": 600})
        await asyncio.gather(*(client.say("POST", _RECEIVE, {"wait": 60}) for client in waiting))
        with wires(stopping.url, stopping.key, 1) as [watcher]:
            await parked(watcher, 20)

        async def stop() -> None:
            await asyncio.sleep(max(-head_start, 0))
            stopping.process.send_signal(signal.SIGTERM)

        async def send(client: Wire) -> str:
            await asyncio.sleep(max(head_start, 0))
            answer = await client.ask("POST", "/v1/queues/q/messages", {"body": 1})
            assert answer.status == 201
            return str(answer.json()["id"])

        stopped = asyncio.ensure_future(stop())
        sent = await asyncio.gather(*(send(client) for client in senders))
        await stopped
        handed = [name for client in waiting for name in await messages_of(client)]
        assert await exit_code(stopping) == 0
        left: list[dict[str, Any]] = []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                while len(handed) + len(left) < len(sent):
                    answer = await senders[0].ask("POST", _RECEIVE, {"max_messages": 100, "wait": 1})
                    left += answer.json()["messages"]
        assert sorted([*handed, *(message["id"] for message in left)]) == sorted(sent)
        assert {message["receive_count"] for message in left} <= {1}


async def messages_of(client: Wire) -> list[str]:
    """Return the ids in a whole answer; an answer that broke off has handed over nothing."""
    try:
        answer = await client.hear()
    except NoAnswer:
        return []
    assert answer.status == 200
    return [message["id"] for message in answer.json()["messages"]]


async def test_requests_that_keep_coming_while_it_stops_are_answered_or_refused_whole(
    services: list[Serving], database: str
) -> None:
    stopping, staying = services
    sent: list[str] = []

    async def keep_sending(client: Wire, number: int) -> None:
        for step in range(10_000):
            body = f"{number}-{step}"
            try:
                answer = await client.ask("POST", "/v1/queues/q/messages", {"body": body})
            except NoAnswer:
                return
            assert answer.status in {201, 503}
            if answer.status == 201:
                sent.append(body)

    with wires(stopping.url, stopping.key, 8) as clients, wires(staying.url, staying.key, 1) as [other]:
        await other.ask("PUT", "/v1/queues/q")
        sending = asyncio.gather(*(keep_sending(client, number) for number, client in enumerate(clients)))
        while len(sent) < 200:  # noqa: ASYNC110 - that is other tasks' doing
            await asyncio.sleep(0.01)
        stopping.process.send_signal(signal.SIGTERM)
        await sending
        assert await exit_code(stopping) == 0
    sql = await asyncpg.connect(database)
    stored = {body.decode().strip('"') for (body,) in await sql.fetch("select body from message")}
    await sql.close()
    assert set(sent) <= stored
