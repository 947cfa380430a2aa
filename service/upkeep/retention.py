"""Messages leave when their retention or ttl is over, within a second unless there are very many.

A claim never gives out an expired message, whether or not it has been removed; this is house-keeping. A queue is looked
at again when its first message may expire: what is sent from now on cannot expire before now + retention.
"""

import heapq
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from service.store import retention
from service.store.clock import EPOCH
from service.store.ready import Ready
from service.store.retention import NEVER, SLACK, Seen, Watch, expire_moved, expire_returned, expire_waiting
from service.store.store import Store

Expire = Callable[[AsyncEngine, Watch, timedelta, datetime, Ready], Awaitable[int]]

_REST = timedelta(seconds=0.4)
_QUEUES_A_ROUND = 1000
_BATCHES_A_QUEUE = 10
# Messages that are kept, being delayed or leased, are passed over each time: rest in proportion to what that took.
_REST_FACTOR = 10


class Retention:
    """What one process remembers of the queues whose messages expire."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._learned_until = EPOCH
        self._watches: dict[int, Watch] = {}
        self._due: list[tuple[datetime, int]] = []

    async def round(self) -> timedelta:
        """Remove what has expired, so far as a round goes."""
        await self._learn()
        now = self._store.clock.now()
        watches = self._take(now)
        left = {watch.number: watch for watch in watches}
        try:
            found = {seen.number: seen for seen in await retention.look(self._store.engine, watches)} if watches else {}
            for watch in watches:
                if watch.number in found:
                    await self._see_to(watch, found[watch.number], now)
                else:
                    del self._watches[watch.number]
                del left[watch.number]
        finally:
            # Nobody else remembers those that were not come to.
            for watch in left.values():
                self._watch(watch, now)
        ready = Ready()
        expired = await retention.expire_own(self._store.engine, ready)
        self._store.announce_all(ready)
        more = expired == retention.BATCH or len(watches) == _QUEUES_A_ROUND
        return timedelta(0) if more else _REST

    async def _learn(self) -> None:
        """Take in queues that are new or were changed, late commits included."""
        if self._store.clock.now() < self._learned_until - SLACK:
            # The clock was set back: changes have earlier times now.
            self._learned_until = EPOCH
        latest = self._learned_until
        for number, changed_at in await retention.queues(self._store.engine, self._learned_until - SLACK):
            latest = max(latest, changed_at)
            watch = self._watches.get(number)
            if watch is None or watch.changed_at != changed_at:
                self._watches[number] = watch = Watch(number, changed_at)
                self._watch(watch, EPOCH)
        self._learned_until = latest

    def _watch(self, watch: Watch, due: datetime) -> None:
        watch.due = due
        heapq.heappush(self._due, (due, watch.number))

    def _take(self, now: datetime) -> list[Watch]:
        """Return the queues to look at now. An entry with another time than its watch was overtaken by a change."""
        taken: list[Watch] = []
        while self._due and self._due[0][0] <= now and len(taken) < _QUEUES_A_ROUND:
            due, number = heapq.heappop(self._due)
            watch = self._watches.get(number)
            if watch is not None and watch.due == due:
                taken.append(watch)
                watch.due = NEVER
        return taken

    async def _see_to(self, watch: Watch, seen: Seen, now: datetime) -> None:
        """Remove what has expired in a queue, and note when to look again."""
        returned_due = max(min(seen.returned_due, watch.kept_until), watch.rest_until)
        due = min(seen.waiting_due, returned_due, seen.moved_due, now + seen.retention)
        if seen.waiting_due <= now:
            await self._batches(expire_waiting, watch, seen, now)
        if seen.moved_due <= now:
            await self._batches(expire_moved, watch, seen, now)
        if returned_due <= now:
            started = time.monotonic()
            await self._batches(expire_returned, watch, seen, now)
            watch.rest_until = now + timedelta(seconds=_REST_FACTOR * (time.monotonic() - started))
        self._watch(watch, max(due, now + _REST))

    async def _batches(self, expire: Expire, watch: Watch, seen: Seen, now: datetime) -> None:
        """Remove some batches, or all there is."""
        for _ in range(_BATCHES_A_QUEUE):
            ready = Ready()
            removed = await expire(self._store.engine, watch, seen.retention, now, ready)
            self._store.announce_all(ready)
            if not removed:
                break
