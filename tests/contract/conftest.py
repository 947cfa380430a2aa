"""Promises to senders and consumers, kept whichever way a request takes.

By the shortcut ahead of FastAPI; by FastAPI; under uvicorn's own protocols, which offer no shortcut for whole answers;
and on the oldest supported PostgreSQL.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import asyncpg
import httpx
import pytest

from service.store.database.migrate import migrate
from service.store.messaging import receives
from tests.clock import shiftable
from tests.conftest import apart, created
from tests.in_process import Service, in_process

pytestmark = pytest.mark.anyio
_names = count(1)


@dataclass
class Queue:
    """A queue as its users see it."""

    http: httpx.AsyncClient
    sql: asyncpg.Connection
    name: str = field(default_factory=lambda: f"q{next(_names)}")

    @property
    def path(self) -> str:
        return f"/v1/queues/{self.name}"

    async def send(self, body: Any = 1, **fields: Any) -> dict[str, Any]:
        answer = await self.http.post(f"{self.path}/messages", json={"body": body, **fields})
        assert answer.status_code == 201, answer.text
        sent: dict[str, Any] = answer.json()
        return sent

    async def receive(self, max_messages: int = 1, **fields: Any) -> list[dict[str, Any]]:
        answer = await self.http.post(f"{self.path}/messages/receive", json={"max_messages": max_messages, **fields})
        assert answer.status_code == 200, answer.text
        messages: list[dict[str, Any]] = answer.json()["messages"]
        return messages

    async def receive_one(self, **fields: Any) -> dict[str, Any]:
        [message] = await self.receive(**fields)
        return message

    async def settle(self, receipt: str, verb: str, **fields: Any) -> httpx.Response:
        """Delete, extend, release or reject."""
        if verb == "delete":
            return await self.http.delete(f"/v1/receipts/{receipt}")
        if verb == "extend":
            return await self.http.patch(f"/v1/receipts/{receipt}", json=fields)
        return await self.http.post(f"/v1/receipts/{receipt}/{verb}", json=fields)

    async def stats(self) -> dict[str, Any]:
        stats: dict[str, Any] = (await self.http.get(self.path)).json()["stats"]
        return stats

    async def configure(self, **fields: Any) -> None:
        answer = await self.http.patch(self.path, json=fields)
        assert answer.status_code == 200, answer.text

    async def parked(self, receives: int) -> None:
        """Return when so many receives wait in the service."""
        async with asyncio.timeout(15):
            # The service tells nobody; it has to be asked.
            while f"restante_parked_receives {receives}.0" not in (await self.http.get("/metrics")).text:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def pass_time(self, seconds: float) -> None:
        """Let the database's clock jump ahead."""
        await self.sql.execute("update shifted.clock set ahead = ahead + make_interval(secs => $1)", seconds)


# Not for the session: between async tests the loop stands still, and a connection of the service that is then about to
# log in keeps PostgreSQL 15 from dropping any database until its time for that is over (60 s).
@pytest.fixture(scope="module", params=["shortcut", "fastapi", "bare-uvicorn", "oldest-postgres"])
async def service(request: pytest.FixtureRequest) -> AsyncIterator[Service]:
    """Serve a module's tests, each on a queue of its own; the clock only ever goes ahead."""
    # Long, so that whoever is woken in time was woken by what happened and not by the next look.
    patch = pytest.MonkeyPatch()
    patch.setattr(receives, "POLL_SECONDS", 30.0)
    server: str = request.getfixturevalue("system_postgres" if request.param == "oldest-postgres" else "postgres")
    with contextlib.contextmanager(created)(server) as database:
        apart(migrate(database))
        await shiftable(database)
        express, bare = request.param != "fastapi", request.param == "bare-uvicorn"
        async with in_process(database, express=express, bare=bare) as service:
            yield service
    patch.undo()


@pytest.fixture
async def queue(service: Service) -> Queue:
    queue = Queue(service.root, service.sql)
    await service.queue(queue.name)
    return queue
