"""Tasks go on, a batch at a time, in whichever process comes first."""

import asyncio
import time
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from service.store import tasks
from service.store.ready import Ready
from service.store.store import Store
from service.store.transactions import transaction

_REST = timedelta(seconds=0.25)
_REST_BETWEEN_BATCHES = timedelta(seconds=0.02)
_ROUND_SECONDS = 1.0
# Of what a batch took.
_REST_SHARE = 0.5
_FORGET_SECONDS = 600.0


class Tasks:
    """What one process does for the tasks of all."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._forget_at = 0.0

    async def round(self) -> timedelta:
        """Do batches as long as some are due, for a while; then let others have the database."""
        if time.monotonic() >= self._forget_at:
            await transaction(self._store.engine, tasks.remove_old)
            self._forget_at = time.monotonic() + _FORGET_SECONDS
        ends = time.monotonic() + _ROUND_SECONDS
        began = time.monotonic()
        while await self._batch() and (now := time.monotonic()) < ends:
            # Those who send and receive meanwhile want the database too.
            await asyncio.sleep(_REST_SHARE * (now - began))
            began = time.monotonic()
        return _REST_BETWEEN_BATCHES if await transaction(self._store.engine, tasks.running) else _REST

    async def _batch(self) -> bool:
        ready = Ready()

        async def work(connection: AsyncConnection) -> bool:
            return await tasks.run_batch(connection, ready)

        done = await transaction(self._store.engine, work)
        self._store.announce_all(ready)
        return done
