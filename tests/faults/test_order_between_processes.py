"""Fifo queues keep their order though several processes send to and receive from one group."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest

from tests.conftest import created
from tests.faults.conftest import two_on
from tests.faults.wire import Wire, wires
from tests.serving import Serving

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]

_QUEUE = "/v1/queues/q"


@dataclass(frozen=True)
class Pair:
    """Two services on one database, and its URL."""

    database: str
    services: list[Serving]

    @contextlib.contextmanager
    def clients(self, of_each: int) -> Iterator[tuple[list[Wire], list[Wire]]]:
        """Give so many clients of each."""
        one, other = self.services
        with wires(one.url, one.key, of_each) as here, wires(other.url, other.key, of_each) as there:
            yield here, there

    @contextlib.asynccontextmanager
    async def held(self, group: str) -> AsyncIterator[asyncpg.Connection]:
        """Hold a group as a send does that does not come to its end."""
        sql = await asyncpg.connect(self.database)
        try:
            await sql.execute("begin")
            row = await sql.fetchval(
                "select depth from fifo_group join queue on number = queue_number"
                " where fifo_group.name = $1 for update of fifo_group",
                group,
            )
            assert row is not None
            yield sql
        finally:
            await sql.close()


@pytest.fixture(scope="module")
def pair(postgres: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    for database in created(postgres, template):
        with two_on(database, tmp_path_factory.mktemp("order")) as services:
            yield Pair(database, services)


@pytest.fixture(autouse=True)
async def _queue(pair: Pair) -> AsyncIterator[None]:
    with pair.clients(1) as ([here], _):
        assert (await here.ask("PUT", _QUEUE, {"type": "fifo"})).status == 201
        yield
        assert (await here.ask("DELETE", _QUEUE)).status == 204


def _batch(*messages: tuple[str, Any]) -> dict[str, Any]:
    return {"messages": [{"group": group, "body": body} for group, body in messages]}


async def _sent(client: Wire, *messages: tuple[str, Any]) -> None:
    answer = await client.ask("POST", f"{_QUEUE}/messages/batch", _batch(*messages))
    assert answer.status == 201, answer


async def _stalled(pair: Pair, sends: int) -> None:
    """Return when so many sends wait for somebody's lock."""
    waiting = "application_name = 'restante-send' and wait_event_type = 'Lock'"
    # Not in the transaction that holds the lock: there the same is seen each time.
    sql = await asyncpg.connect(pair.database)
    try:
        async with asyncio.timeout(3):
            while await sql.fetchval(f"select count(*) from pg_stat_activity where {waiting}") < sends:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    finally:
        await sql.close()


async def _received(client: Wire) -> list[dict[str, Any]]:
    answer = await client.ask("POST", f"{_QUEUE}/messages/receive", {"max_messages": 10})
    messages: list[dict[str, Any]] = answer.json()["messages"]
    return messages


async def _taken(client: Wire) -> list[dict[str, Any]]:
    """Receive and delete; return the messages."""
    if messages := await _received(client):
        await _deleted(client, messages)
    return messages


async def _deleted(client: Wire, messages: list[dict[str, Any]]) -> None:
    items = [{"receipt": message["receipt"], "action": "delete"} for message in messages]
    results = (await client.ask("POST", "/v1/receipts/batch", {"items": items})).json()["results"]
    assert {result["status"] for result in results} == {"ok"}


async def _bodies(client: Wire, group: str) -> list[Any]:
    """Empty the queue; return the bodies of a group in the order in which they came."""
    bodies = []
    while messages := await _taken(client):
        bodies += [message["body"] for message in messages if message["group"] == group]
    return bodies


async def test_a_send_that_is_answered_while_an_earlier_one_is_stalled_comes_first(pair: Pair) -> None:
    """The earlier one waits before it has a place in the group."""
    with pair.clients(1) as ([here], [there]):
        await _sent(here, ("a", 0))
        async with pair.held("a") as sql:
            await here.say("POST", f"{_QUEUE}/messages/batch", _batch(("a", 0), ("g", "stalled")))
            await _stalled(pair, 1)
            await _sent(there, ("g", "answered"))
            await sql.execute("rollback")
        assert (await here.hear()).status == 201
        assert await _bodies(there, "g") == ["answered", "stalled"]


async def test_nobody_is_answered_while_a_send_to_the_same_group_is_between_place_and_commit(pair: Pair) -> None:
    with pair.clients(1) as ([here], [there]):
        await _sent(here, ("z", 0))
        async with pair.held("z") as sql:
            await here.say("POST", f"{_QUEUE}/messages/batch", _batch(("g", "first"), ("z", 0)))
            await _stalled(pair, 1)
            await there.say("POST", f"{_QUEUE}/messages/batch", _batch(("g", "second")))
            await _stalled(pair, 2)
            with pair.clients(1) as (_, [other]):
                assert await _taken(other) == []
            await sql.execute("rollback")
        assert ((await here.hear()).status, (await there.hear()).status) == (201, 201)
        assert await _bodies(there, "g") == ["first", "second"]


async def test_twenty_consumers_of_two_processes_get_two_hundred_groups_once_and_in_order(pair: Pair) -> None:
    groups, each = [f"g{number}" for number in range(200)], 5
    came: defaultdict[str, list[int]] = defaultdict(list)

    async def consume(client: Wire) -> None:
        while sum(map(len, came.values())) < len(groups) * each:
            if messages := await _received(client):
                # Before they are deleted: from then on somebody else may have the next, and be quicker.
                for message in messages:
                    came[message["group"]].append(message["body"])
                await _deleted(client, messages)

    with pair.clients(11) as ([sender, *here], [other_sender, *there]):
        async with asyncio.TaskGroup() as tasks:
            for client in here + there:
                tasks.create_task(consume(client))
            for number in range(each):
                await _sent((sender, other_sender)[number % 2], *((group, number) for group in groups))
        assert came == {group: list(range(each)) for group in groups}
        assert (await sender.ask("GET", _QUEUE)).json()["stats"]["total"] == 0
