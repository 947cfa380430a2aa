"""max_length is exact, and is not counted out for every message."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import asyncpg
import pytest

from service.errors import Problem, QueueFull
from service.message import Draft
from service.model import Queue
from service.store.database.connections import Link
from service.store.database.transaction import transaction
from service.store.messaging import rooms as rooms_module
from service.store.messaging.rooms import Rooms
from service.store.messaging.sends import Parcel
from service.store.resources import queues
from service.store.store import Store
from tests.in_process import bare_queue

pytestmark = pytest.mark.anyio


class Counting(Link):
    """A link that tells how often a queue was counted."""

    counts = 0

    async def fetch(self, sql: str, *arguments: object) -> list[asyncpg.Record]:
        self.counts += "as counted" in sql
        return await super().fetch(sql, *arguments)


@pytest.fixture
async def links(database: str) -> AsyncIterator[list[Counting]]:
    links = [Counting(database, "restante-test") for _ in range(4)]
    yield links
    for link in links:
        await link.close()


async def queue(store: Store, sql: asyncpg.Connection, max_length: int) -> Queue:
    await bare_queue(sql, 7)
    await sql.execute("update queue set max_length = $1", max_length)
    project: int = await sql.fetchval("select id from project")
    found = await transaction(store.engine, lambda connection: queues.find(connection, project, "q"))
    assert found is not None
    return found


def parcel(store: Store, queue: Queue, messages: int = 1) -> Parcel:
    return Parcel(queue, [Draft(b"1", 1, id=store.identifiers.message()) for _ in range(messages)])


def refused(outcomes: Sequence[object]) -> int:
    assert not any(isinstance(outcome, Problem) and not isinstance(outcome, QueueFull) for outcome in outcomes)
    return sum(isinstance(outcome, QueueFull) for outcome in outcomes)


async def test_a_process_that_has_counted_sends_on_without_counting(
    store: Store, sql: asyncpg.Connection, links: list[Counting]
) -> None:
    bounded, rooms = await queue(store, sql, 100), Rooms()
    for _ in range(100):
        assert not refused(await rooms.store(links[0], [parcel(store, bounded)]))
    assert links[0].counts == 1
    assert refused(await rooms.store(links[0], [parcel(store, bounded)])) == 1
    await sql.execute("delete from message where id in (select id from message limit 10)")
    rooms.left([bounded.id])
    outcomes = await rooms.store(links[0], [parcel(store, bounded) for _ in range(12)])
    assert refused(outcomes) == 2
    assert await sql.fetchval("select count(*) from message") == 100


async def test_a_process_uses_the_room_that_another_was_granted_and_has_not_used(
    store: Store, sql: asyncpg.Connection, links: list[Counting]
) -> None:
    bounded, here, there = await queue(store, sql, 100), Rooms(), Rooms()
    assert not refused(await here.store(links[0], [parcel(store, bounded)]))
    for _ in range(99):
        assert not refused(await there.store(links[1], [parcel(store, bounded)]))
    assert refused(await here.store(links[0], [parcel(store, bounded)])) == 1
    assert refused(await there.store(links[1], [parcel(store, bounded)])) == 1
    assert await sql.fetchval("select count(*) from message") == 100
    assert links[1].counts < 15


async def test_the_limit_is_exact_while_several_send_and_others_delete(
    store: Store, sql: asyncpg.Connection, links: list[Counting]
) -> None:
    bounded = await queue(store, sql, 50)

    async def fill(link: Link) -> int:
        rooms, stored = Rooms(), 0
        for number in range(120):
            outcomes = await rooms.store(link, [parcel(store, bounded, 1 + number % 3) for _ in range(3)])
            stored += len(outcomes) - refused(outcomes)
        return stored

    async def take() -> None:
        while not done.is_set():
            assert await sql.fetchval("select count(*) from message") <= 50
            await sql.execute("delete from message where id in (select id from message limit 7 for update skip locked)")

    done = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(take())
        stored = await asyncio.gather(*(fill(link) for link in links))
        done.set()
    assert sum(stored) > 100


async def test_a_batch_that_does_not_fit_leaves_room_for_one_that_does(
    store: Store, sql: asyncpg.Connection, links: list[Counting]
) -> None:
    bounded, rooms = await queue(store, sql, 10), Rooms()
    outcomes = await rooms.store(links[0], [parcel(store, bounded, count) for count in (6, 6, 4, 1)])
    assert [isinstance(outcome, QueueFull) for outcome in outcomes] == [False, True, False, True]


async def test_a_full_queue_is_counted_twice_a_second_at_most_and_after_a_message_has_left_it(
    store: Store, sql: asyncpg.Connection, links: list[Counting], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms_module, "FULL_SECONDS", 60)
    bounded, rooms = await queue(store, sql, 10), Rooms()
    assert not refused(await rooms.store(links[0], [parcel(store, bounded, 10)]))
    for _ in range(20):
        [outcome] = await rooms.store(links[0], [parcel(store, bounded)])
        assert isinstance(outcome, QueueFull)
        assert "holds 10 of at most 10 messages" in outcome.detail
    assert links[0].counts == 2
    await sql.execute("delete from message where id in (select id from message limit 3)")
    rooms.left([bounded.id])
    assert refused(await rooms.store(links[0], [parcel(store, bounded) for _ in range(5)])) == 2
    monkeypatch.setattr(rooms_module, "FULL_SECONDS", 0)
    await sql.execute("delete from message where id in (select id from message limit 3)")
    assert refused(await rooms.store(links[0], [parcel(store, bounded) for _ in range(5)])) == 2


async def test_a_message_that_leaves_a_queue_while_it_is_counted_makes_room(
    store: Store, sql: asyncpg.Connection, links: list[Counting], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms_module, "FULL_SECONDS", 60)
    bounded, rooms = await queue(store, sql, 10), Rooms()
    assert not refused(await rooms.store(links[0], [parcel(store, bounded, 10)]))
    counted = rooms_module._store_counted

    async def slowly(link: Link, parcels: Sequence[Parcel]) -> tuple[list[object], int]:
        found = await counted(link, parcels)
        await sql.execute("delete from message where id in (select id from message limit 1)")
        rooms.left([bounded.id])
        return found  # type: ignore[return-value]

    monkeypatch.setattr(rooms_module, "_store_counted", slowly)
    assert refused(await rooms.store(links[0], [parcel(store, bounded)])) == 1
    monkeypatch.setattr(rooms_module, "_store_counted", counted)
    assert not refused(await rooms.store(links[0], [parcel(store, bounded)]))
