"""The mark spares a claim the dead entries at the head of its queue, and never hides a message."""

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest

from service.message import Via
from service.model import Queue
from service.store.database.clock import DatabaseClock
from service.store.database.connections import connect
from service.store.database.identifiers import Identifiers
from service.store.database.statements import STATEMENTS
from service.store.messaging.marks import BEGINNING, FROM_BEGINNING_SECONDS, Marks, Scan
from service.store.messaging.takers import Taker, share_columns
from service.store.store import Store
from tests.in_process import Service, deployment

pytestmark = pytest.mark.anyio

_NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
_MINUTE = timedelta(minutes=1)
_LEASE = timedelta(seconds=300)
_TAKER = Taker(None, Via.RECEIVE)


def _scan(minute: int, xid: int, xmin: int, lowest: int | None = None) -> Scan:
    """Return a scan at a minute past noon."""
    return Scan(
        upto=_NOON + minute * _MINUTE,
        xid=xid,
        xmin=xmin,
        lowest=None if lowest is None else _NOON + lowest * _MINUTE,
    )


def test_a_candidate_becomes_the_mark_once_all_who_were_under_way_have_ended() -> None:
    marks = Marks()
    assert marks.start(1, 0.0) == BEGINNING
    marks.learn(1, _scan(1, xid=100, xmin=90), 0.1)
    marks.learn(1, _scan(2, xid=101, xmin=99), 0.2)
    assert marks.start(1, 0.3) == BEGINNING
    marks.learn(1, _scan(3, xid=102, xmin=100), 0.4)
    assert marks.start(1, 0.5) == _NOON + _MINUTE


def test_the_mark_stays_at_the_lowest_message_that_the_later_scan_sees() -> None:
    marks = Marks()
    marks.start(1, 0.0)
    marks.learn(1, _scan(5, xid=100, xmin=90), 0.1)
    marks.learn(1, _scan(6, xid=101, xmin=101, lowest=2), 0.2)
    assert marks.start(1, 0.3) == _NOON + 2 * _MINUTE


def test_a_clock_that_was_set_back_and_a_minute_of_use_lead_back_to_the_beginning() -> None:
    marks = Marks()
    marks.start(1, 0.0)
    marks.learn(1, _scan(5, xid=100, xmin=90), 0.1)
    marks.learn(1, _scan(6, xid=101, xmin=101), 0.2)
    assert marks.start(1, 1.0) > BEGINNING
    assert marks.start(1, FROM_BEGINNING_SECONDS + 1) == BEGINNING
    marks.learn(1, _scan(7, xid=102, xmin=102), 0.3)
    marks.learn(1, _scan(8, xid=103, xmin=103), 0.4)
    marks.learn(1, _scan(2, xid=104, xmin=104), 0.5)
    assert marks.start(1, 1.1) == BEGINNING


@pytest.mark.parametrize("near", [100, 2**32 - 5, 2**32 + 5, 2**33 + 7])
def test_transactions_of_our_own_connections_are_told_apart_across_a_wrap_of_their_numbers(near: int) -> None:
    marks = Marks()
    marks.start(1, 0.0)
    marks.learn(1, _scan(1, xid=near - 1, xmin=1), 0.1)
    marks.set_floor(near, [(near - 2) % 2**32], 0.2)
    marks.learn(1, _scan(2, xid=near, xmin=1), 0.3)
    assert marks.start(1, 0.4) == BEGINNING
    marks.set_floor(near + 9, [(near + 3) % 2**32], 0.5)
    marks.learn(1, _scan(3, xid=near + 1, xmin=1), 0.6)
    assert marks.start(1, 0.7) == _NOON + _MINUTE


@pytest.fixture
async def queue(service: Service) -> Queue:
    await service.queue("q", visibility_timeout=300)
    return await _store(service).directory.find(await _project(service), "q")


async def _project(service: Service) -> int:
    return int(await service.sql.fetchval("select id from project where name = 'default'"))


def _store(service: Service) -> Store:
    return service.app._store


async def _claim(store: Store, queue: Queue, wanted: int = 100) -> list[UUID]:
    """Return the ids of what a claim takes."""
    claimed = await store.claims.ask(queue, wanted, _LEASE, _TAKER, may_wait=False).answer
    return [] if claimed is None else [message.id for message in claimed.messages]


async def _send(connection: asyncpg.Connection, queue: Queue) -> UUID:
    """Send as another process does, on a connection whose transaction is ours."""
    message_id = Identifiers(DatabaseClock()).message()
    sql = STATEMENTS["sends.send_plain"]
    await connection.fetch(sql, [queue.number], [queue.version], [message_id], [b"1"])
    return message_id


async def _claim_on(connection: asyncpg.Connection, queue: Queue) -> list[UUID]:
    """Claim as another process does, on a connection whose transaction is ours."""
    rows = await connection.fetch(
        STATEMENTS["receives.claim"],
        [queue.number],
        [queue.version],
        [BEGINNING],
        [5],
        [10**6],
        [_LEASE],
        77,
        [None],
        *share_columns([[_TAKER]]),
    )
    return [row["id"] for row in rows if row["id"] is not None]


@pytest.fixture
async def other(database: str) -> AsyncIterator[asyncpg.Connection]:
    """Give a connection like one of another service process."""
    connection = await connect(database, "restante-other")
    yield connection
    await connection.close()


async def test_a_message_whose_sender_commits_late_is_found(
    service: Service, queue: Queue, other: asyncpg.Connection
) -> None:
    store = _store(service)
    late = other.transaction()
    await late.start()
    message = await _send(other, queue)
    for _ in range(5):
        await service.root.post("/v1/queues/q/messages", json={"body": 1})
        assert len(await _claim(store, queue)) == 1
        assert await _claim(store, queue) == []
    await late.commit()
    assert await _claim(store, queue) == [message]


async def test_a_message_whose_claim_is_rolled_back_is_found(
    service: Service, queue: Queue, other: asyncpg.Connection
) -> None:
    store = _store(service)
    message = await _send(service.sql, queue)
    doomed = other.transaction()
    await doomed.start()
    assert await _claim_on(other, queue) == [message]
    for _ in range(5):
        assert await _claim(store, queue) == []
    await doomed.rollback()
    assert await _claim(store, queue) == [message]


async def test_the_mark_moves_on_beside_a_strangers_long_transaction_but_not_beside_ours(
    service: Service, queue: Queue, other: asyncpg.Connection, database: str
) -> None:
    store = _store(service)
    stranger = await asyncpg.connect(database)
    held = stranger.transaction()
    await held.start()
    await stranger.execute("create table elsewhere ()")
    await _claim(store, queue)
    before = await service.sql.fetchval("select clock_timestamp()")
    async with asyncio.timeout(15):
        while _position(store, queue) < before:
            await _claim(store, queue)
            await asyncio.sleep(0.01)
    ours = other.transaction()
    await ours.start()
    message = await _send(other, queue)
    for _ in range(20):
        await _claim(store, queue)
        await asyncio.sleep(0.01)
    await ours.commit()
    assert await _claim(store, queue) == [message]
    await held.rollback()
    await stranger.close()


def _position(store: Store, queue: Queue) -> datetime:
    return store.claims._marks.start(queue.number, asyncio.get_running_loop().time())


async def test_nothing_is_stranded_while_senders_commit_late_and_claims_are_rolled_back(
    service: Service, queue: Queue, database: str
) -> None:
    """Two processes claim while others stall before they commit or give up what they took; a seed is printed."""
    seed = random.randrange(10**6)
    print(f"seed {seed}")  # noqa: T201 - to do it again
    second = Store(deployment(database))
    await second.open()
    loop = asyncio.get_running_loop()
    ends = loop.time() + 4
    sent: set[UUID] = set()
    received: list[UUID] = []

    async def send_late(chance: random.Random) -> None:
        connection = await connect(database, "restante-late")
        while loop.time() < ends:
            async with connection.transaction():
                messages = [await _send(connection, queue) for _ in range(chance.randrange(1, 5))]
                await asyncio.sleep(chance.random() * 0.03)
            sent.update(messages)
        await connection.close()

    async def claim_in_vain(chance: random.Random) -> None:
        connection = await connect(database, "restante-vain")
        while loop.time() < ends:
            vain = connection.transaction()
            await vain.start()
            await _claim_on(connection, queue)
            await asyncio.sleep(chance.random() * 0.02)
            await vain.rollback()
        await connection.close()

    async def claim(store: Store) -> None:
        while loop.time() < ends:
            received.extend(await _claim(store, queue, 5))
            await asyncio.sleep(0)

    await asyncio.gather(
        *[send_late(random.Random(seed + number)) for number in range(6)],
        *[claim_in_vain(random.Random(seed - number)) for number in range(1, 3)],
        *[claim(store) for store in (_store(service), second) for _ in range(2)],
    )
    while messages := await _claim(second, queue) + await _claim(_store(service), queue):
        received.extend(messages)
    await second.close()
    print(f"{len(sent)} sent, {len(received)} received")  # noqa: T201 - what was exercised
    assert len(received) == len(set(received))
    assert set(received) == sent
