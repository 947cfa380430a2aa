"""Whatever meets in one queue, nobody waits for each other in a circle, and nobody hears of the database's troubles."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.faults.conftest import SHARED
from tests.faults.wire import Wire, wires
from tests.serving import serving

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]

_SECONDS = 8.0
_DEADLOCKS = "select deadlocks from pg_stat_database where datname = current_database()"


class Crowd:
    """Clients who take hold of the same messages in every order."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.statuses: Counter[tuple[str, int]] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.receipts: list[str] = []

    async def ask(self, client: Wire, method: str, path: str, document: object = None) -> Any:
        """Ask, and count the answer."""
        answer = await client.ask(method, path, document)
        self.statuses[path.rpartition("/")[2], answer.status] += 1
        return answer.json() if answer.body else None

    async def send(self, client: Wire) -> None:
        """Send some, and lease some for everybody to quarrel about."""
        bodies = [{"body": number} for number in range(20)]
        await self.ask(client, "POST", "/v1/queues/q/messages/batch", {"messages": bodies})
        got = await self.ask(client, "POST", "/v1/queues/q/messages/receive", {"max_messages": 20})
        self.receipts = [*self.receipts[-180:], *(message["receipt"] for message in got["messages"])]

    async def delete(self, client: Wire) -> None:
        await self._settle(client, action="delete")

    async def extend(self, client: Wire) -> None:
        await self._settle(client, action="extend", visibility_timeout=30)

    async def purge(self, client: Wire) -> None:
        await self.ask(client, "POST", "/v1/queues/q/purge")
        await asyncio.sleep(0.05)

    async def _settle(self, client: Wire, **what: object) -> None:
        chosen = self.chance.sample(self.receipts, k=min(50, len(self.receipts)))
        if chosen:
            items = [{"receipt": receipt, **what} for receipt in chosen]
            got = await self.ask(client, "POST", "/v1/receipts/batch", {"items": items})
            self.outcomes.update(result["status"] for result in got["results"])
        await asyncio.sleep(0.002)


async def test_shuffled_deletes_extends_sends_and_purges_never_deadlock(database: str, data_folder: Path) -> None:
    crowd = Crowd(seed=11)

    async def repeat(act: Callable[[Wire], Awaitable[None]], client: Wire, until: float) -> None:
        while time.monotonic() < until:
            await act(client)

    with (
        serving(data_folder, database_url=database, processes="2", **SHARED) as service,
        wires(service.url, service.key, 26) as clients,
    ):
        await clients[0].ask("PUT", "/v1/queues/q")
        acts = [crowd.delete] * 8 + [crowd.extend] * 8 + [crowd.send] * 8 + [crowd.purge] * 2
        until = time.monotonic() + _SECONDS
        await asyncio.gather(*(repeat(act, client, until) for act, client in zip(acts, clients, strict=True)))
    assert {status for _, status in crowd.statuses if status >= 300} <= {404, 409}, crowd.statuses
    # How often is a matter of the machine.
    assert min(crowd.statuses["batch", 200], crowd.statuses["batch", 201], crowd.statuses["purge", 200]) > 5
    assert set(crowd.outcomes) == {"ok", "lease_lost"}, crowd.outcomes
    sql = await asyncpg.connect(database)
    assert await sql.fetchval(_DEADLOCKS) == 0
    await sql.close()


class Exchange:
    """Messages of a few groups that go from one fifo queue to the other and back."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.statuses: Counter[tuple[str, int]] = Counter()

    async def ask(self, client: Wire, path: str, document: object) -> Any:
        answer = await client.ask("POST", path, document)
        self.statuses[path.rpartition("/")[2], answer.status] += 1
        return answer.json()

    async def put(self, client: Wire, path: str, document: object) -> None:
        answer = await client.ask("PUT", f"/v1/{path}", document)
        assert answer.status == 201, answer.body

    def _drafts(self, members: int) -> list[dict[str, Any]]:
        groups = self.chance.sample("abcdef", k=members)
        return [{"body": 1, "group": group, "ttl": self.chance.choice((1, 3600))} for group in groups]

    async def publish(self, client: Wire) -> None:
        """Send to both queues in one statement."""
        for draft in self._drafts(4):
            await self.ask(client, "/v1/topics/t/messages", draft)

    async def reject(self, client: Wire) -> None:
        """Have messages leave at once: refused, or with no delivery left."""
        name = self.chance.choice(("there", "back"))
        got = await self.ask(client, f"/v1/queues/{name}/messages/receive", {"max_messages": 6})
        for action in ("reject", "release"):
            items = [{"receipt": message["receipt"], "action": action} for message in got["messages"]]
            if items:
                await self.ask(client, "/v1/receipts/batch", {"items": self.chance.sample(items, k=len(items))})

    async def transact(self, client: Wire) -> None:
        """Have messages leave, and send to both queues."""
        name = self.chance.choice(("there", "back"))
        got = await self.ask(client, f"/v1/queues/{name}/messages/receive", {"max_messages": 3})
        settle = [{"receipt": message["receipt"], "action": "reject"} for message in got["messages"]]
        send = [draft | {"queue": self.chance.choice(("there", "back"))} for draft in self._drafts(3)]
        if settle:
            await self.ask(client, "/v1/transactions", {"settle": settle, "send": send})

    async def redrive(self, client: Wire) -> None:
        await self.ask(client, f"/v1/queues/{self.chance.choice(('end', 'back'))}/redrive", {"to": "there"})
        await self.ask(client, "/v1/queues/there/messages/actions", {"action": "move", "to": "back", "filter": {}})
        await asyncio.sleep(0.05)


async def test_messages_that_cross_between_fifo_queues_never_deadlock(database: str, data_folder: Path) -> None:
    exchange = Exchange(seed=5)

    async def repeat(act: Callable[[Wire], Awaitable[None]], client: Wire, until: float) -> None:
        while time.monotonic() < until:
            await act(client)

    with (
        serving(data_folder, database_url=database, processes="2", **SHARED) as service,
        wires(service.url, service.key, 20) as clients,
    ):
        letter = {"max_receives": 1, "expired": True}
        for name, queue in (("end", None), ("back", "end"), ("there", "back")):
            rule = {} if queue is None else {"dead_letter": letter | {"queue": queue}}
            await exchange.put(clients[0], f"queues/{name}", {"type": "fifo", **rule})
        await exchange.put(clients[0], "topics/t", {"type": "fifo"})
        for name in ("there", "back"):
            await exchange.put(clients[0], f"topics/t/subscriptions/{name}", {"queue": name})
        acts = [exchange.publish] * 5 + [exchange.reject] * 7 + [exchange.transact] * 5 + [exchange.redrive] * 3
        until = time.monotonic() + _SECONDS
        await asyncio.gather(*(repeat(act, client, until) for act, client in zip(acts, clients, strict=True)))
    # How often is a matter of the machine.
    assert min(count for (_, status), count in exchange.statuses.items() if status < 300) > 3, exchange.statuses
    assert {status for _, status in exchange.statuses if status >= 300} <= {404, 409}, exchange.statuses
    sql = await asyncpg.connect(database)
    assert await sql.fetchval(_DEADLOCKS) == 0
    await sql.close()
