"""How many messages a queue holds: exact while it is short, counted in the background when it is long."""

import time

import asyncpg
import pytest

from service.model import QueueStats
from service.store.store import Store
from service.store.views.long_queues import Tallies
from tests.in_process import Service, bare_queue, messages

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
async def _queue(sql: asyncpg.Connection) -> None:
    await bare_queue(sql, 7)


NOW = "clock_timestamp()"
PAST = "clock_timestamp() - interval '1 hour' + n * interval '1 ms'"
AHEAD = "clock_timestamp() + interval '1 hour'"


async def counted(tallies: Tallies) -> QueueStats:
    """Count once more, and return what is known."""
    tallies.ask(7)
    for tally in tallies._tallies.values():
        tally.rest_until = 0
    await tallies.refresh()
    stats = tallies.ask(7)
    assert stats is not None
    return stats


async def test_a_tally_follows_what_comes_and_what_goes(
    store: Store, sql: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.store.views.long_queues._SEGMENT", 1000)
    monkeypatch.setattr("service.store.views.long_queues._MIDDLE_SECONDS", 0.0)
    tallies = Tallies(store.engine)
    await messages(sql, 7, 12_345, visible_at=PAST)
    await messages(sql, 7, 20, visible_at=AHEAD)
    await messages(sql, 7, 30, visible_at=AHEAD, lease="n")
    stats = await counted(tallies)
    assert (stats.ready, stats.delayed, stats.leased, stats.total, stats.approximate) == (12_345, 20, 30, 12_395, True)
    assert stats.oldest_ready_age is not None
    assert 3590 < stats.oldest_ready_age < 3700
    for _ in range(3):
        await sql.execute(
            "update message set lease = 1, visible_at = clock_timestamp() + interval '1 hour' where id in "
            "(select id from message where visible_at < clock_timestamp() order by visible_at limit 2500)"
        )
        await messages(sql, 7, 700)
        stats = await counted(tallies)
    assert (stats.ready, stats.leased) == (12_345 - 7_500 + 2_100, 7_530)
    await sql.execute("delete from message where lease is not null")
    await sql.execute("update message set visible_at = clock_timestamp() where visible_at > clock_timestamp()")
    stats = await counted(tallies)
    assert (stats.ready, stats.delayed, stats.leased) == (6_965, 0, 0)


async def test_what_was_deleted_in_the_middle_is_noticed_in_turn(
    store: Store, sql: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.store.views.long_queues._SEGMENT", 500)
    # All of the middle in one go, however slow the machine is.
    monkeypatch.setattr("service.store.views.long_queues._MIDDLE_SECONDS", 60.0)
    tallies = Tallies(store.engine)
    await messages(sql, 7, 20_000, visible_at=PAST)
    assert (await counted(tallies)).ready == 20_000
    await sql.execute(
        "delete from message where id in (select id from message order by visible_at offset 9000 limit 3000)"
    )
    assert (await counted(tallies)).ready == 17_000


async def test_a_queue_that_is_emptied_is_empty(store: Store, sql: asyncpg.Connection) -> None:
    tallies = Tallies(store.engine)
    await messages(sql, 7, 11_000, visible_at=PAST)
    await counted(tallies)
    await sql.execute("delete from message")
    stats = await counted(tallies)
    assert (stats.total, stats.oldest_ready_age) == (0, None)


async def test_a_queue_that_nobody_asks_about_any_more_is_forgotten(
    store: Store, sql: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    tallies = Tallies(store.engine)
    await messages(sql, 7, 1)
    await counted(tallies)
    monkeypatch.setattr("service.store.views.long_queues.KEPT_SECONDS", -1.0)
    await tallies.refresh()
    assert tallies.peek(7) is None


@pytest.mark.alone
async def test_up_to_ten_thousand_messages_are_exact_and_at_once(service: Service) -> None:
    number = await service.queue()
    for count, total in ((9_999, 9_999), (1, 10_000)):
        await messages(service.sql, number, count)
        stats = (await service.root.get("/v1/queues/q")).json()["stats"]
        assert (stats["ready"], stats["total"], stats["approximate"]) == (total, total, False)


@pytest.mark.alone
async def test_a_longer_queue_is_within_two_percent_after_two_seconds_and_never_slow(service: Service) -> None:
    number = await service.queue()
    await messages(service.sql, number, 100_000, visible_at=PAST)
    for added in (0, 30_000):
        await messages(service.sql, number, added)
        changed, seconds, stats = time.monotonic(), [], {}
        while time.monotonic() - changed < 2:
            started = time.monotonic()
            stats = (await service.root.get("/v1/queues/q")).json()["stats"]
            seconds.append(time.monotonic() - started)
            assert stats["approximate"] is True
        assert abs(stats["ready"] - 100_000 - added) < 0.02 * (100_000 + added)
        assert sorted(seconds)[len(seconds) // 2] < 0.02
    await service.sql.execute("delete from message where visible_at < clock_timestamp() - interval '1 minute'")
    await service.sql.execute("delete from message where id in (select id from message limit 29000)")
    await service.root.post("/v1/queues/q/purge")
    assert (await service.root.get("/v1/queues/q")).json()["stats"]["total"] == 0
