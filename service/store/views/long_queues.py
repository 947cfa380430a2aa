"""Counting queues that are too long to be counted while a request waits.

Ready messages are counted in segments by the time at which they became visible. Every change of a message moves it to
now or later, so a segment in the middle hardly changes: messages leave from the oldest segment and come in at the end.
A refresh counts both ends, the delayed and leased messages, and some of the middle in turn, as messages may have been
deleted there.

The cost: when a queue is first asked about, every message is counted once, which takes a tenth of a second of one core
for a million. Each refresh then takes 20 to 50 ms for the two ends, at most 100 ms for the middle, and a third of a
second for each million delayed or leased messages. A long refresh is followed by a longer rest, so with millions of
delayed messages the figures may be older than two seconds. Queues that are not asked about cost nothing.
"""

import time
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from service.model import QueueStats
from service.store.database.clock import EPOCH
from service.store.database.statements import STATEMENTS
from service.store.database.transaction import by_index, transaction

# A queue that was not asked about for this long is no longer counted.
KEPT_SECONDS = 60.0
_KEPT_QUEUES = 1000
_SEGMENT = 50_000
_MIDDLE_SECONDS = 0.1
# Messages of the last second may be in transactions that have not committed: they are counted again each time.
_SETTLED = timedelta(seconds=1)

_AHEAD = STATEMENTS["long_queues.ahead"]
_BETWEEN = STATEMENTS["long_queues.between"]
_BOUND = STATEMENTS["long_queues.bound"]


@dataclass(slots=True)
class _Segment:
    """Ready messages that became visible after one time and up to another."""

    after: datetime
    until: datetime
    ready: int


@dataclass(slots=True)
class _Tally:
    """The counts of one queue. Times in seconds are by time.monotonic()."""

    number: int
    asked_at: float
    stats: QueueStats | None = None
    counted_at: float = 0.0
    rest_until: float = 0.0
    segments: list[_Segment] = field(default_factory=list)
    turn: int = 0


class Tallies:
    """The long queues that were asked about recently."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._tallies: dict[int, _Tally] = {}

    def ask(self, number: int) -> QueueStats | None:
        """Return the last count, or None if there is none yet; keep counting the queue while it is asked about."""
        now = time.monotonic()
        tally = self._tallies.get(number)
        if tally is None:
            if len(self._tallies) < _KEPT_QUEUES:
                self._tallies[number] = _Tally(number, now)
            return None
        tally.asked_at = now
        stats = tally.stats
        if stats is None or stats.oldest_ready_age is None:
            return stats
        return replace(stats, oldest_ready_age=stats.oldest_ready_age + now - tally.counted_at)

    def peek(self, number: int) -> QueueStats | None:
        """Return the last count of a queue that is already being counted, or None."""
        return self.ask(number) if number in self._tallies else None

    async def refresh(self) -> None:
        """Count the queues that are due again."""
        now = time.monotonic()
        for number, tally in list(self._tallies.items()):
            if now - tally.asked_at > KEPT_SECONDS:
                del self._tallies[number]
            elif now >= tally.rest_until:
                await self._count(tally)

    async def _count(self, tally: _Tally) -> None:
        started = time.monotonic()
        [ahead] = await self._run(_AHEAD, tally.number)
        settled = ahead.now - _SETTLED
        await self._count_head(tally)
        await self._count_tail(tally, settled)
        fresh = await self._between(tally.number, settled, ahead.now)
        await self._count_middle(tally)
        ready = sum(segment.ready for segment in tally.segments) + fresh
        age = (ahead.now - ahead.oldest).total_seconds() if ahead.oldest else None
        tally.stats = QueueStats(ready, ahead.delayed, ahead.leased, age, approximate=True)
        tally.counted_at = started
        ended = time.monotonic()
        tally.rest_until = ended + max(0.8, 4 * (ended - started))

    async def _count_head(self, tally: _Tally) -> None:
        """Count the oldest segments again, up to the first that is not empty."""
        while tally.segments:
            await self._recount(tally.number, tally.segments[0])
            if tally.segments[0].ready:
                break
            del tally.segments[0]

    async def _count_tail(self, tally: _Tally, settled: datetime) -> None:
        """Count the messages that became ready since the last time, together with the last segment if it is small."""
        after = tally.segments[-1].until if tally.segments else EPOCH
        if tally.segments and tally.segments[-1].ready < _SEGMENT // 2:
            after = tally.segments.pop().after
        while after < settled:
            bound = await self._run(_BOUND, tally.number, after, settled, _SEGMENT)
            until = bound[0].visible_at if bound else settled
            tally.segments.append(_Segment(after, until, await self._between(tally.number, after, until)))
            after = until

    async def _count_middle(self, tally: _Tally) -> None:
        """Count some segments again, from where the last refresh ended."""
        started, counted = time.monotonic(), 0
        while counted < len(tally.segments) and time.monotonic() - started < _MIDDLE_SECONDS:
            tally.turn = (tally.turn + 1) % len(tally.segments)
            await self._recount(tally.number, tally.segments[tally.turn])
            counted += 1

    async def _recount(self, number: int, segment: _Segment) -> None:
        segment.ready = await self._between(number, segment.after, segment.until)

    async def _between(self, number: int, after: datetime, until: datetime) -> int:
        [row] = await self._run(_BETWEEN, number, after, until)
        return int(row.ready)

    async def _run(self, sql: str, *arguments: Any) -> list[Any]:
        async def work(connection: AsyncConnection) -> list[Any]:
            await by_index(connection)
            return list(await connection.exec_driver_sql(sql, arguments))

        return await transaction(self._engine, work)
