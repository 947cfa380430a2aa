"""While PostgreSQL is away every request is told so in time; once it is back, all is well without a restart."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from service import embedded
from service.embedded.leftovers import servers_in
from tests.faults.wire import Answer, Wire, parked, wires
from tests.serving import Serving, serving
from tests.test_embedded import on_linux

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(90), on_linux]

_TOLD_SECONDS = 6.0
_WELL_SECONDS = 5.0
_RECEIVE = "/v1/queues/q/messages/receive"
_REQUESTS: dict[str, tuple[str, str, Any]] = {
    "send": ("POST", "/v1/queues/q/messages", {"body": "asked while away"}),
    "batch": ("POST", "/v1/queues/q/messages/batch", {"messages": [{"body": "asked while away"}]}),
    "raw": ("POST", "/v1/queues/q/raw", "asked while away"),
    "bounded send": ("POST", "/v1/queues/bounded/messages", {"body": "asked while away"}),
    "receive": ("POST", "/v1/queues/empty/messages/receive", None),
    "receive and wait a little": ("POST", "/v1/queues/empty/messages/receive", {"wait": 0.3}),
    "receive and wait": ("POST", "/v1/queues/empty/messages/receive", {"wait": 8}),
    "receive from another queue": ("POST", "/v1/queues/bounded/messages/receive", {"wait": 8}),
    "put queue": ("PUT", "/v1/queues/q", {"labels": {"a": "b"}}),
    "get queue": ("GET", "/v1/queues/q", None),
    "list queues": ("GET", "/v1/queues", None),
    "purge": ("POST", "/v1/queues/empty/purge", None),
    "keys": ("GET", "/v1/keys", None),
    "readyz": ("GET", "/readyz", None),
}


@dataclass(frozen=True)
class Away:
    """A service on a database that can be made to go, and what is parked and held there."""

    service: Serving
    folder: Path

    def signal_all(self, number: signal.Signals) -> None:
        """Send a signal to every process of the database."""
        for pid in servers_in(self.folder):
            os.kill(pid, number)

    async def ask(self, name: str, receipt: str) -> tuple[Answer, float]:
        """Ask one of the requests on a connection of its own: the answer and how long it took."""
        asked = {"delete": ("DELETE", f"/v1/receipts/{receipt}", None)} | _REQUESTS
        with wires(self.service.url, self.service.key, 1) as [wire]:
            began = time.monotonic()
            answer = await wire.ask(*asked[name], seconds=30)
            return answer, time.monotonic() - began

    async def ask_all(self, receipt: str) -> dict[str, tuple[Answer, float]]:
        """Ask everything at the same time."""
        names = ["delete", *_REQUESTS]
        return dict(zip(names, await asyncio.gather(*(self.ask(name, receipt) for name in names)), strict=True))


@pytest.fixture
def away(data_folder: Path, tmp_path: Path) -> Iterator[Away]:
    """Start a service on a database of the operator's."""
    with (
        embedded.running(tmp_path / "theirs", durable=False) as url,
        serving(data_folder, database_url=url, secret_key="s" * 32) as service,
    ):
        yield Away(service, tmp_path / "theirs" / "postgres")


async def prepared(wire: Wire) -> str:
    """Make the queues and lease a message: its receipt. What has been used once holds its connection."""
    for name, fields in (("q", {}), ("empty", {}), ("bounded", {"max_length": 10})):
        assert (await wire.ask("PUT", f"/v1/queues/{name}", fields)).status == 201
    assert (await wire.ask("POST", "/v1/queues/q/messages", {"body": "before"})).status == 201
    [message] = (await wire.ask("POST", _RECEIVE, {"visibility_timeout": 300})).json()["messages"]
    return str(message["receipt"])


def assert_told(answers: dict[str, tuple[Answer, float]]) -> None:
    slow = {name: seconds for name, (_, seconds) in answers.items() if seconds > _TOLD_SECONDS}
    assert not slow
    for name, (answer, _) in answers.items():
        assert answer.status == 503, (name, answer)
        assert (answer.json()["code"], answer.headers["retry-after"]) == ("unavailable", "1"), name


async def assert_well(wire: Wire, receipt: str) -> None:
    """Everything works soon, and what was answered before is there."""
    async with asyncio.timeout(_WELL_SECONDS):
        while (await wire.ask("GET", "/readyz")).status != 200:  # noqa: ASYNC110 - that is another process
            await asyncio.sleep(0.02)
        while (await wire.ask("DELETE", f"/v1/receipts/{receipt}")).status != 204:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert (await wire.ask("PUT", "/v1/queues/after")).status == 201
    assert (await wire.ask("POST", "/v1/queues/after/messages", {"body": "after"})).status == 201
    answer = await wire.ask("POST", "/v1/queues/after/messages/receive", {"wait": 2})
    assert [message["body"] for message in answer.json()["messages"]] == ["after"]


@pytest.mark.alone
async def test_while_the_database_is_frozen_everybody_is_told_within_six_seconds(away: Away) -> None:
    with wires(away.service.url, away.service.key, 2) as [wire, waiting]:
        receipt = await prepared(wire)
        await waiting.say("POST", "/v1/queues/empty/messages/receive", {"wait": 60})
        away.signal_all(signal.SIGSTOP)
        try:
            # The second round finds lanes that wait for the first, or that try to connect.
            rounds = [asyncio.ensure_future(away.ask_all(receipt))]
            for seconds in (1.7, 3.1, 1.9):
                await asyncio.sleep(seconds)
                rounds.append(asyncio.ensure_future(away.ask_all(receipt)))
            answers = await asyncio.gather(*rounds)
            began = time.monotonic()
        finally:
            away.signal_all(signal.SIGCONT)
        for told in answers:
            assert_told(told)
        assert (await waiting.hear()).status == 503
        await assert_well(wire, receipt)
        assert time.monotonic() - began < _WELL_SECONDS + 1


async def test_while_the_database_is_stopped_everybody_is_told_at_once(data_folder: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    with ExitStack() as database:
        url = database.enter_context(embedded.running(theirs, durable=False))
        with serving(data_folder, database_url=url, secret_key="s" * 32) as service:
            away = Away(service, theirs / "postgres")
            with wires(service.url, service.key, 1) as [wire]:
                receipt = await prepared(wire)
                database.close()
                for _ in range(3):
                    assert_told(await away.ask_all(receipt))
                with embedded.running(theirs, durable=False):
                    await assert_well(wire, receipt)
                    service.stop()


async def terminated(sql: asyncpg.Connection, name: str) -> int:
    """End the service's connections of this name; return how many there were."""
    ended = "select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name like $1"
    return int(await sql.fetchval(f"{ended} and datname = current_database()", name))


async def listens(wire: Wire) -> bool:
    return "restante_listener_up 1.0" in (await wire.ask("GET", "/metrics")).body.decode()


@pytest.mark.alone
async def test_without_its_listener_a_parked_receive_still_gets_a_message_within_a_second(
    services: list[Serving], database: str
) -> None:
    one, other = services
    sql = await asyncpg.connect(database)
    with wires(one.url, one.key, 1) as [sender], wires(other.url, other.key, 2) as [receiver, watcher]:
        await sender.ask("PUT", "/v1/queues/q")
        for number in range(5):
            await receiver.say("POST", _RECEIVE, {"wait": 20})
            await parked(watcher, 1)
            assert await terminated(sql, "restante-listener") == 2
            began = time.monotonic()
            assert (await sender.ask("POST", "/v1/queues/q/messages", {"body": number})).status == 201
            [message] = (await receiver.hear()).json()["messages"]
            assert message["body"] == number
            assert time.monotonic() - began < 1.1
            async with asyncio.timeout(5):
                while not (await listens(watcher) and await listens(sender)):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            await sender.ask("DELETE", f"/v1/receipts/{message['receipt']}")
    await sql.close()


@pytest.mark.alone
async def test_requests_whose_connections_are_ended_succeed_or_are_told_to_ask_again(
    database: str, data_folder: Path
) -> None:
    with serving(data_folder, database_url=database, secret_key="s" * 32) as service:
        away = Away(service, data_folder)
        sql = await asyncpg.connect(database)
        with wires(service.url, service.key, 1) as [wire]:
            receipt = await prepared(wire)
            for round_ in range(10):
                asked = [asyncio.ensure_future(away.ask(name, receipt)) for name in _REQUESTS if "receive" not in name]
                await asyncio.sleep(0.002 * round_)
                await terminated(sql, "restante%")
                for answer, seconds in await asyncio.gather(*asked):
                    # The queue of ten may be full.
                    assert answer.status < 300 or answer.status in {503, 429}, answer
                    assert seconds < 1
            await assert_well(wire, receipt)
        await sql.close()
