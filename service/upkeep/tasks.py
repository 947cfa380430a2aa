"""The chore that processes tasks in batches. Any process can continue any task."""

import asyncio
import time
from datetime import timedelta
from functools import partial

import structlog

from service.errors import StorageFull, Unavailable
from service.store.database.ready import Ready
from service.store.database.transaction import Connection
from service.store.store import Store
from service.store.work import tasks
from service.store.work.due import DueTask

_log = structlog.get_logger()

_REST = timedelta(seconds=0.25)
_REST_BETWEEN_BATCHES = timedelta(seconds=0.02)
_ROUND_SECONDS = 1.0
# The pause after a batch, as a fraction of its duration.
_REST_SHARE = 0.5
_FORGET_SECONDS = 600.0
_AWAY_REST = timedelta(seconds=2)
_FAILED_REST = timedelta(minutes=1)
# The kinds of tasks that store copies of messages before they remove the originals, and so need disk space.
_THAT_STORE = {"redrive", "move", "retry"}


class Tasks:
    """The chore, on behalf of one process."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._forget_at = 0.0

    async def round(self) -> timedelta:
        """Process batches that are due, for a limited time."""
        if time.monotonic() >= self._forget_at:
            await self._store.transaction(tasks.remove_old)
            self._forget_at = time.monotonic() + _FORGET_SECONDS
        ends = time.monotonic() + _ROUND_SECONDS
        began = time.monotonic()
        while await self._batch() and (now := time.monotonic()) < ends:
            # Leave the database to senders and consumers in between.
            await asyncio.sleep(_REST_SHARE * (now - began))
            began = time.monotonic()
        return _REST_BETWEEN_BATCHES if await self._store.transaction(tasks.running) else _REST

    async def _batch(self) -> bool:
        """Process the next batch, and return whether there was one. A task that fails does not delay others."""
        ready = Ready()
        due: DueTask | None = None

        async def work(connection: Connection) -> None:
            nonlocal due
            due = await tasks.due(connection)
            if due is not None:
                if due.kind in _THAT_STORE:
                    self._store.storage.check()
                await tasks.run_batch(connection, due, ready)

        try:
            await self._store.transaction(work)
        except Exception as error:
            if due is None:
                raise
            rest = _FAILED_REST
            if isinstance(error, Unavailable | StorageFull):
                # The database is unreachable, too slow or has no disk space.
                rest = _AWAY_REST
            else:
                _log.exception("task_failed", task=str(due.id), kind=due.kind)
            await self._store.transaction(partial(tasks.put_off, found=due, rest=rest))
        self._store.announce_all(ready)
        return due is not None
