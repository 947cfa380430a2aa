"""The service for a caller that has no event loop, with a clock that stands still unless it is told to go on."""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Iterator
from datetime import timedelta
from typing import Any, TypeVar

import httpx
import pytest
import uvloop

from service import main
from service.store.views.long_queues import Tallies
from service.store.views.metered import MeteredQueues
from service.upkeep.chores import chores
from service.upkeep.upkeep import Chore
from tests.in_process import ROOT_KEY, Service, in_process

T = TypeVar("T")

_CHORES = ("dead_letters", "retention", "deduplication", "tasks", "retired", "settlements")


class Served:
    """A service in a thread of its own, whose chores are done when they are asked for."""

    def __init__(self, loop: asyncio.AbstractEventLoop, service: Service, http: httpx.Client) -> None:
        self.http = http
        self._loop, self._service = loop, service
        store = service.app._store
        tallies = Tallies(store.engine)
        metered = MeteredQueues(store.engine, tallies)
        self._store, self._chores = store, chores(store, service.app._keyring, tallies, metered)

    def pass_time(self, seconds: float) -> None:
        """Let the database's clock jump ahead."""
        self._run(self._pass_time(seconds))

    async def _pass_time(self, seconds: float) -> None:
        ahead = timedelta(seconds=seconds)
        await self._service.sql.execute("update shifted.clock set ahead = ahead + $1", ahead)
        self._store.clock.observe(await self._service.sql.fetchval("select clock_timestamp()"))

    def do_chores(self) -> None:
        """Do a round of each chore, as a second later."""
        self.pass_time(1)
        self._run(self._do([self._chores[name] for name in _CHORES]))

    async def _do(self, rounds: list[Chore]) -> None:
        for chore in rounds:
            while await chore() == timedelta(0):
                pass

    def places(self, queue: str) -> list[str]:
        """Return the ids of a fifo queue's messages, in order within each group."""
        rows = self._run(
            self._service.sql.fetch(
                """
                select m.id::text from message m join queue q on q.number = m.queue_number
                where q.name = $1 order by m.message_group, m.seq
                """,
                queue,
            )
        )
        return [row["id"] for row in rows]

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(20)


@contextlib.contextmanager
def served(database: str) -> Iterator[Served]:
    """Serve in a thread, with no chores but those that are asked for."""
    started: list[tuple[asyncio.AbstractEventLoop, Service]] = []
    ready, stopping = threading.Event(), asyncio.Event()

    async def serve() -> None:
        async with in_process(database) as service:
            started.append((asyncio.get_running_loop(), service))
            ready.set()
            await stopping.wait()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(main, "chores", lambda *_: {})
        thread = threading.Thread(target=lambda: uvloop.run(serve()))
        thread.start()
        try:
            assert ready.wait(20)
            [(loop, service)] = started
            headers = {"Authorization": f"Bearer {ROOT_KEY}"}
            with httpx.Client(base_url=service.url, headers=headers, trust_env=False, timeout=20) as http:
                yield Served(loop, service, http)
            loop.call_soon_threadsafe(stopping.set)
        finally:
            thread.join(20)
