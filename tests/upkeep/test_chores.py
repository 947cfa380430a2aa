"""The chores, a round at a time."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from service.errors import Unavailable
from service.store.database.ready import Ready
from service.store.store import Store
from service.store.work import dead_letters
from service.store.work import retention as retention_store
from service.store.work.retention import Seen, Watch
from service.upkeep import upkeep
from service.upkeep.retention import Retention
from service.upkeep.rounds import round_of_keys, round_of_retired, round_of_settlements
from tests.clock import shiftable
from tests.in_process import deployment, messages

pytestmark = pytest.mark.anyio

NOW = "clock_timestamp()"


@contextlib.asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        connection.terminate()


@pytest.fixture
async def url(database: str) -> str:
    await shiftable(database)
    return database


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    store = Store(deployment(url))
    yield store
    await store.engine.dispose()


@pytest.fixture
async def sql(url: str) -> AsyncIterator[asyncpg.Connection]:
    async with connected(url) as connection:
        yield connection


async def queue(sql: asyncpg.Connection, number: int, retention: str | None = "1 minute") -> int:
    await sql.execute(
        "insert into queue select $1, id, $2, $1, 1, 'standard', '30 s', '0', $3::text::interval, 1000, null, false, "
        "'{}', clock_timestamp(), clock_timestamp() from project",
        number,
        f"q{number}",
        retention,
    )
    return number


async def advance(store: Store, sql: asyncpg.Connection, seconds: float) -> None:
    """Set the database's clock ahead, and what the process knows of it."""
    await sql.execute("update shifted.clock set ahead = ahead + $1", timedelta(seconds=seconds))
    store.clock.observe(await sql.fetchval("select clock_timestamp()"))


async def left(sql: asyncpg.Connection) -> int:
    count: int = await sql.fetchval("select count(*) from message")
    return count


def sent(ago: str = "0") -> str:
    """Return an expression for the id of a message that was sent so long ago."""
    milliseconds = f"(extract(epoch from clock_timestamp() - interval '{ago}') * 1000)::bigint"
    return (
        f"(lpad(to_hex({milliseconds}), 12, '0') || '7' || substr(replace(gen_random_uuid()::text, '-', ''), 14))::uuid"
    )


async def send(sql: asyncpg.Connection, number: int, count: int = 1, ago: str = "0", **columns: str) -> None:
    at = f"clock_timestamp() - interval '{ago}'"
    await messages(sql, number, count, **({"id": sent(ago), "visible_at": at, "first_visible_at": at} | columns))


async def test_messages_leave_when_their_retention_is_over(store: Store, sql: asyncpg.Connection) -> None:
    number, retention = await queue(sql, 1), Retention(store)
    await send(sql, number, 3)
    await advance(store, sql, 30)
    await send(sql, number, 2)
    await retention.round()
    assert await left(sql) == 5
    await advance(store, sql, 30.5)
    await retention.round()
    assert await left(sql) == 2
    await advance(store, sql, 30)
    await retention.round()
    assert await left(sql) == 0


async def test_a_queue_is_not_looked_at_before_something_can_expire(
    store: Store, sql: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[int] = []
    look = retention_store.look

    async def spy(engine: AsyncEngine, watches: Sequence[Watch]) -> list[Seen]:
        looked.append(len(watches))
        return await look(engine, watches)

    monkeypatch.setattr(retention_store, "look", spy)
    retention = Retention(store)
    for number in (1, 2, 3):
        await queue(sql, number)
    await send(sql, 2)
    for _ in range(5):
        await retention.round()
    assert looked == [3]
    await advance(store, sql, 61)
    await retention.round()
    assert looked == [3, 3]


@pytest.mark.parametrize("part", ["look", "expire_waiting"])
async def test_a_queue_is_not_forgotten_when_the_database_was_away(
    store: Store, sql: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    retention = Retention(store)
    for number in (1, 2):
        await queue(sql, number)
        await send(sql, number)
    await retention.round()
    await advance(store, sql, 61)

    async def away(*_: object) -> None:
        raise Unavailable

    with monkeypatch.context() as patch:
        patch.setattr(retention_store, part, away)
        patch.setattr("service.upkeep.retention.expire_waiting", away)
        with pytest.raises(Unavailable):
            await retention.round()
    await retention.round()
    assert await left(sql) == 0


async def test_a_leased_message_outlives_its_retention_until_its_lease_ends(
    store: Store, sql: asyncpg.Connection
) -> None:
    number, retention = await queue(sql, 1), Retention(store)
    await send(sql, number, lease="7", visible_at=f"{NOW} + interval '2 minutes'")
    for _ in range(3):
        await advance(store, sql, 39)
        await retention.round()
        assert await left(sql) == 1
    await advance(store, sql, 4)
    await retention.round()
    assert await left(sql) == 0


async def test_a_message_past_its_retention_leaves_within_a_second_of_its_release(
    store: Store, sql: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A look that takes long is followed by a long rest.
    monkeypatch.setattr("service.upkeep.retention._REST_FACTOR", 0)
    number, retention = await queue(sql, 1), Retention(store)
    await send(sql, number, lease="7", visible_at=f"{NOW} + interval '1 hour'")
    await advance(store, sql, 61)
    await retention.round()
    await sql.execute("update message set visible_at = clock_timestamp(), lease = null")
    await advance(store, sql, 1)
    await retention.round()
    assert await left(sql) == 0


async def test_a_message_that_came_back_late_leaves_in_time(store: Store, sql: asyncpg.Connection) -> None:
    number, retention = await queue(sql, 1), Retention(store)
    await send(sql, number)
    await advance(store, sql, 59)
    await sql.execute("update message set visible_at = clock_timestamp(), receive_count = 1")
    await retention.round()
    assert await left(sql) == 1
    await advance(store, sql, 2)
    await retention.round()
    assert await left(sql) == 0


async def test_retention_counts_from_when_a_message_becomes_visible(store: Store, sql: asyncpg.Connection) -> None:
    number, retention = await queue(sql, 1), Retention(store)
    later = f"{NOW} + interval '1 hour'"
    await send(sql, number, visible_at=later, first_visible_at=later)
    for _ in range(4):
        await advance(store, sql, 901)
        await retention.round()
    assert await left(sql) == 1
    await advance(store, sql, 61)
    await retention.round()
    assert await left(sql) == 0


async def test_a_ttl_of_its_own_stands_in_for_the_queues_retention(store: Store, sql: asyncpg.Connection) -> None:
    retention = Retention(store)
    for number, kept in ((1, "1 minute"), (2, "1 hour"), (3, None)):
        await queue(sql, number, kept)
        await send(sql, number, expires_at=f"{NOW} + interval '10 s'")
        await send(sql, number, expires_at=f"{NOW} + interval '10 minutes'")
        await send(sql, number, expires_at=f"{NOW} + interval '10 s'", lease="1", visible_at=f"{NOW} + interval '60 s'")
    await retention.round()
    assert await left(sql) == 9
    await advance(store, sql, 11)
    await retention.round()
    assert await left(sql) == 6
    await advance(store, sql, 60)
    await retention.round()
    assert await left(sql) == 3
    await advance(store, sql, 600)
    await retention.round()
    assert await left(sql) == 0


async def test_messages_that_are_kept_for_ever_are(store: Store, sql: asyncpg.Connection) -> None:
    retention = Retention(store)
    await send(sql, await queue(sql, 1, None), 5, ago="300 days")
    await retention.round()
    assert await left(sql) == 5


async def test_a_changed_retention_holds_for_what_is_there(store: Store, sql: asyncpg.Connection) -> None:
    number, retention = await queue(sql, 1, "1 hour"), Retention(store)
    await send(sql, number, 4, ago="10 minutes")
    await retention.round()
    for kept, remaining in ((None, 4), ("20 minutes", 4), ("5 minutes", 0)):
        await sql.execute("update queue set retention = $1::text::interval, updated_at = clock_timestamp()", kept)
        await advance(store, sql, 1)
        await retention.round()
        assert await left(sql) == remaining


async def test_great_numbers_leave_round_by_round(store: Store, sql: asyncpg.Connection) -> None:
    number, retention = await queue(sql, 1), Retention(store)
    await send(sql, number, 25_000, ago="2 minutes")
    await send(sql, number, 1_500, ago="90 s", expires_at=NOW)
    await send(sql, number, 7)
    await retention.round()
    assert 7 < await left(sql) < 10_000
    await advance(store, sql, 1)
    await retention.round()
    assert await left(sql) == 7


async def test_a_row_that_somebody_holds_stops_nothing(
    store: Store, sql: asyncpg.Connection, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As above: a second is to be enough.
    monkeypatch.setattr("service.upkeep.retention._REST_FACTOR", 0)
    number, retention = await queue(sql, 1), Retention(store)
    await send(sql, number, 5, ago="2 minutes")
    async with connected(url) as other, other.transaction():
        await other.execute("select from message order by id limit 2 for update")
        await retention.round()
        assert await left(sql) == 2
    await advance(store, sql, 1)
    await retention.round()
    assert await left(sql) == 0


async def test_two_processes_do_it_together(store: Store, sql: asyncpg.Connection) -> None:
    for number in range(1, 6):
        await send(sql, await queue(sql, number), 3_000, ago="2 minutes")
    both = Retention(store), Retention(store)
    for _ in range(4):
        await asyncio.gather(*(retention.round() for retention in both))
        await advance(store, sql, 1)
    assert await left(sql) == 0


@pytest.mark.parametrize("reason", ["exhausted_at", "expires_at"])
async def test_dead_letters_of_a_group_keep_their_order_whoever_moves_them(
    store: Store, sql: asyncpg.Connection, url: str, reason: str
) -> None:
    source, dead = await queue(sql, 1, None), await queue(sql, 2, None)
    await sql.execute("update queue set type = 'fifo'")
    await sql.execute(
        "update queue set dead_letter_queue = 'q2', max_receives = 1, dead_letter_expired = true where number = 1"
    )
    # Stored in another order than that of their places, all due at the same moment.
    due = {reason: "now() - interval '1 s'", "receive_count": "1"}
    await send(sql, source, 5_000, message_group="'g'", seq="1 + n * 7 % 5000", **due)
    await sql.execute(
        "insert into fifo_group (queue_number, name, ready_at, last_seq, depth) values (1, 'g', now(), 5000, 5000)"
    )
    places = {row["id"]: row["seq"] for row in await sql.fetch("select id, seq from message")}

    is_left = "select exists (select from message where queue_number = 1)"

    async def move() -> None:
        async with connected(url) as other:
            while await other.fetchval(is_left):
                await dead_letters.move_exhausted(store.engine, Ready())
                await retention_store.expire_own(store.engine, Ready())

    async def meddle() -> None:
        async with connected(url) as other:
            while await other.fetchval(is_left):
                async with other.transaction():
                    await other.execute("select from fifo_group where queue_number = 1 for update")

    await asyncio.gather(move(), move(), move(), meddle())
    moved = await sql.fetch("select id from message where queue_number = $1 order by seq", dead)
    assert [places[row["id"]] for row in moved] == list(range(1, 5_001))
    assert await sql.fetchval("select count(*) from fifo_group") == 1


async def test_messages_of_retired_queues_go_and_then_the_number(store: Store, sql: asyncpg.Connection) -> None:
    await queue(sql, 5)
    await send(sql, 5, 3)
    await sql.execute("insert into retired_queue select n, clock_timestamp() from generate_series(1, 3) as n")
    await send(sql, 1, 2_500)
    await send(sql, 2, 1, lease="1", visible_at=f"{NOW} + interval '1 hour'")
    await round_of_retired(store)
    assert await left(sql) == 3
    assert await sql.fetchval("select count(*) from retired_queue") == 3
    # A send that was under way when the queue was purged.
    await send(sql, 3, 1)
    await advance(store, sql, 61)
    await round_of_retired(store)
    assert await left(sql) == 3
    assert await sql.fetchval("select count(*) from retired_queue") == 0


async def test_spent_receipts_are_forgotten_after_ten_minutes_and_not_before(
    store: Store, sql: asyncpg.Connection
) -> None:
    async def settle(lease: int) -> None:
        await sql.execute(
            "insert into settlement values "
            "((extract(epoch from clock_timestamp())::bigint / 300) % 4, 1, $1, gen_random_uuid(), 1)",
            lease,
        )

    await advance(store, sql, 400 - (await sql.fetchval("select extract(epoch from clock_timestamp())::bigint")) % 300)
    for lease in range(12):
        await settle(lease)
        await round_of_settlements(store)
        await advance(store, sql, 100)
        remembered = {row["lease"] for row in await sql.fetch("select lease from settlement")}
        assert set(range(max(0, lease - 5), lease + 1)) <= remembered
        assert all(lease - old <= 9 for old in remembered)


async def test_no_slot_is_emptied_as_its_turn_comes(store: Store, sql: asyncpg.Connection) -> None:
    into_slot = await sql.fetchval("select extract(epoch from clock_timestamp())::bigint % 300")
    await advance(store, sql, 298 - into_slot if into_slot < 298 else 598 - into_slot)
    for slot in range(4):
        await sql.execute("insert into settlement values ($1, 1, 1, gen_random_uuid(), 1)", slot)
    await round_of_settlements(store)
    assert await sql.fetchval("select count(*) from settlement") == 4


async def test_what_transactions_were_answered_is_forgotten_with_the_receipts(
    store: Store, sql: asyncpg.Connection
) -> None:
    into_slot = await sql.fetchval("select extract(epoch from clock_timestamp())::bigint % 300")
    await advance(store, sql, 100 - into_slot if into_slot < 100 else 400 - into_slot)
    for slot in range(4):
        await sql.execute("insert into transaction_answer values ($1, 1, 1, gen_random_uuid(), '', true, '')", slot)
    await round_of_settlements(store)
    slots = [row["slot"] for row in await sql.fetch("select slot from transaction_answer")]
    current = await sql.fetchval("select (extract(epoch from clock_timestamp())::bigint / 300) % 4")
    assert sorted(slots) == sorted({0, 1, 2, 3} - {(current + 1) % 4})


async def test_a_slot_that_is_read_is_left_for_later(store: Store, sql: asyncpg.Connection, url: str) -> None:
    into_slot = await sql.fetchval("select extract(epoch from clock_timestamp())::bigint % 300")
    await advance(store, sql, 100 - into_slot if into_slot < 100 else 400 - into_slot)
    for slot in range(4):
        await sql.execute("insert into settlement values ($1, 1, 1, gen_random_uuid(), 1)", slot)
    async with connected(url) as other, other.transaction():
        await other.fetch("select * from settlement")
        with pytest.raises(Unavailable):
            await round_of_settlements(store)
    await round_of_settlements(store)
    assert await sql.fetchval("select count(*) from settlement") == 3


async def test_last_use_is_written_to_the_minute(store: Store, sql: asyncpg.Connection) -> None:
    ids = [uuid4(), uuid4()]
    for key_id in ids:
        await sql.execute(
            "insert into api_key select $1, id, 'k', $2, '{send}', '{*}', null, now(), null from project",
            key_id,
            key_id.bytes,
        )

    now = store.clock.now()

    class Keyring:
        def take_used(self) -> dict[object, object]:
            return {ids[0]: now, uuid4(): now}

    await round_of_keys(store, Keyring())  # type: ignore[arg-type]
    written = {row["id"]: row["last_used_at"] for row in await sql.fetch("select id, last_used_at from api_key")}
    assert written[ids[1]] is None
    assert written[ids[0]] == now.replace(second=0, microsecond=0)


async def test_a_chore_that_fails_is_done_again_and_disturbs_no_other() -> None:
    done: dict[str, int] = {"bad": 0, "good": 0}
    enough = asyncio.Event()

    async def bad() -> timedelta:
        done["bad"] += 1
        raise Unavailable if done["bad"] % 2 else ZeroDivisionError

    async def good() -> timedelta:
        done["good"] += 1
        if done["good"] > 100 and done["bad"] > 1:
            enough.set()
        return timedelta(0)

    chores = upkeep.Upkeep({"bad": bad, "good": good})
    chores.open()
    async with asyncio.timeout(10):
        await enough.wait()
    await chores.close()
    stopped_at = done["good"]
    await asyncio.sleep(0)
    assert done["good"] == stopped_at
