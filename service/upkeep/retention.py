"""Remove messages whose retention or ttl has ended, usually within a second.

This is only housekeeping, because a claim never returns an expired message even if it still exists. A queue is checked
again when its next message may expire; messages sent from now on cannot expire before now + retention.
"""

import heapq
import time
from datetime import datetime, timedelta

from service.store.database.clock import EPOCH
from service.store.database.ready import Ready
from service.store.store import Store
from service.store.work import retention
from service.store.work.retention import NEVER, SLACK, Seen, Watch, expire_moved, expire_returned, expire_waiting

_REST = timedelta(seconds=0.4)
_QUEUES_A_ROUND = 1000
_BATCHES_A_QUEUE = 10
# Every check has to skip messages that are delayed or leased, so the pause is proportional to the duration of a check.
_REST_FACTOR = 10


class Retention:
    """The chore, which remembers when to check each queue."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._learned_until = EPOCH
        self._watches: dict[int, Watch] = {}
        self._due: list[tuple[datetime, int]] = []

    async def round(self) -> timedelta:
        """Remove expired messages of the queues that are due, up to a limit for each round."""
        await self._schedule_changed()
        now = self._store.clock.now()
        watches = self._take(now)
        left = {watch.number: watch for watch in watches}
        try:
            found = {seen.number: seen for seen in await retention.look(self._store.engine, watches)} if watches else {}
            for watch in watches:
                if watch.number in found:
                    await self._check(watch, found[watch.number], now)
                else:
                    del self._watches[watch.number]
                del left[watch.number]
        finally:
            # The queues that were not reached must stay scheduled.
            for watch in left.values():
                self._watch(watch, now)
        ready = Ready()
        expired = await retention.expire_own(self._store.engine, ready)
        self._store.announce_all(ready)
        more = expired == retention.BATCH or len(watches) == _QUEUES_A_ROUND
        return timedelta(0) if more else _REST

    async def _schedule_changed(self) -> None:
        """Schedule queues that are new or were changed, including changes that were committed late."""
        if self._store.clock.now() < self._learned_until - SLACK:
            # The clock was set back, so new changes may have earlier times.
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
        """Return the queues that are due. An entry whose time differs from that of its watch is outdated."""
        taken: list[Watch] = []
        while self._due and self._due[0][0] <= now and len(taken) < _QUEUES_A_ROUND:
            due, number = heapq.heappop(self._due)
            watch = self._watches.get(number)
            if watch is not None and watch.due == due:
                taken.append(watch)
                watch.due = NEVER
        return taken

    async def _check(self, watch: Watch, seen: Seen, now: datetime) -> None:
        """Remove expired messages of a queue, and schedule its next check."""
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

    async def _batches(self, expire: retention.Expire, watch: Watch, seen: Seen, now: datetime) -> None:
        """Remove expired messages in batches, up to _BATCHES_A_QUEUE."""
        for _ in range(_BATCHES_A_QUEUE):
            ready = Ready()
            removed = await expire(self._store.engine, watch, seen.retention, now, ready)
            self._store.announce_all(ready)
            if not removed:
                break
