"""Whatever is killed, under load: nothing answered is lost, nothing is invented, nobody shares a lease."""

import asyncio
import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from service import embedded
from service.embedded.leftovers import servers_in
from tests.faults.history import Fault
from tests.faults.judge import Judge
from tests.faults.wire import NoAnswer, Wire, wires
from tests.faults.workload import Workload, now
from tests.serving import Serving, serving
from tests.test_embedded import on_linux

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120), on_linux]

KINDS: dict[str, dict[str, Any]] = {
    "standard": {},
    "fifo": {"fifo": True},
    "standard with dead letters": {"max_receives": 3},
    "fifo with dead letters": {"fifo": True, "max_receives": 3},
}
_SECONDS = {kind: 10.0 if kind == "standard" else 5.0 for kind in KINDS}
_READY_SECONDS = 5.0


@pytest.fixture
def seed() -> int:
    """Return what chance hangs on: FAULTS_SEED, or a new one. Which requests meet is not in its hand."""
    return int(os.environ.get("FAULTS_SEED") or random.SystemRandom().randrange(1_000_000))


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Run a database of the operator's, with its files synced: its URL and its folder."""
    with embedded.running(tmp_path / "theirs") as url:
        yield url, tmp_path / "theirs" / "postgres"


async def judge(workload: Workload, seed: int, kind: str) -> None:
    """Let the queue be emptied, and look for broken promises."""
    await workload.drain()
    workload.close()
    history = workload.history
    print(f"FAULTS_SEED={seed}: {history.exercised()}")  # noqa: T201 - to be asked again with
    assert history.drained
    assert Judge(history).violations() == []
    seconds = _SECONDS[kind]
    assert sum(sent.id is not None for sent in history.sent) > 5 * seconds
    assert sum(received.receive_count > 1 for received in history.received) > seconds / 2
    assert {204, 409} <= {settled.status for settled in history.settled} or kind != "standard"
    assert bool(history.dead) == (history.max_receives is not None)


@pytest.mark.parametrize("kind", KINDS)
async def test_killed_workers_break_no_promise(data_folder: Path, seed: int, kind: str) -> None:
    chance = random.Random(seed)
    with serving(data_folder, processes="2") as service:
        workload = Workload(service.url, service.key, seed, **KINDS[kind])
        async with workload.working():
            until = time.monotonic() + _SECONDS[kind]
            while time.monotonic() < until or len(workload.history.faults) < 2:
                await asyncio.sleep(chance.uniform(0.5, 3))
                workers = service.workers()
                for victim in chance.sample(workers, k=min(chance.choice((1, 1, 2)), len(workers))):
                    victim.kill()
                    workload.history.faults.append(Fault(now(), "worker"))
                # Otherwise those who come instead might be killed before they serve anybody.
                await seconds_until_ready(service)
        await judge(workload, seed, kind)
        assert service.stop() == 0


@pytest.mark.parametrize("kind", ["standard", "fifo with dead letters"])
async def test_a_killed_database_breaks_no_promise(
    cluster: tuple[str, Path], data_folder: Path, seed: int, kind: str
) -> None:
    url, folder = cluster
    chance = random.Random(seed)
    with serving(data_folder, database_url=url, secret_key="s" * 32) as service:
        workload = Workload(service.url, service.key, seed, **KINDS[kind])
        async with workload.working():
            until = time.monotonic() + _SECONDS[kind]
            while time.monotonic() < until:
                await asyncio.sleep(chance.uniform(1, 3))
                workload.history.faults.append(Fault(now(), kill_postgres(folder, chance)))
                await answers(url)
                assert await seconds_until_ready(service) < _READY_SECONDS
        assert len(workload.history.faults) > 1
        await judge(workload, seed, kind)
        assert service.stop() == 0


def kill_postgres(folder: Path, chance: random.Random) -> str:
    """Kill the postmaster, every process, or one backend, which makes the others restart; tell which."""
    postmaster = int((folder / "postmaster.pid").read_text().split()[0])
    others = [pid for pid in servers_in(folder) if pid != postmaster]
    what, victims = chance.choice(
        (
            ("postmaster", [postmaster]),
            ("postgres", [postmaster, *others]),
            ("backend", [chance.choice(others)]),
        )
    )
    for pid in victims:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    return what


async def answers(url: str) -> None:
    """Return when the database lets somebody in who stays in."""
    async with asyncio.timeout(20):
        while True:
            try:
                connection = await asyncpg.connect(url, timeout=1)
                await connection.execute("select pg_sleep(0.1)")
                await connection.close()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await asyncio.sleep(0.02)
            else:
                return


async def says_ready(wire: Wire) -> bool:
    """Ask once; who is killed meanwhile is not ready."""
    try:
        return (await wire.ask("GET", "/readyz")).status == 200
    except NoAnswer:
        return False


async def seconds_until_ready(service: Serving) -> float:
    """Return how long it takes until the service says that it is ready."""
    began = time.monotonic()
    with wires(service.url, service.key, 1) as [wire]:
        async with asyncio.timeout(20):
            while not await says_ready(wire):  # noqa: ASYNC110 - that is another process
                await asyncio.sleep(0.02)
    return time.monotonic() - began
