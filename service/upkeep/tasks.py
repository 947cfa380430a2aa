"""Tasks go on, a batch at a time, in whichever process comes first."""

import asyncio
import time
from datetime import timedelta
from functools import partial
from typing import Any

import structlog
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from service.errors import Unavailable
from service.store import tasks
from service.store.ready import Ready
from service.store.store import Store
from service.store.transactions import transaction

_log = structlog.get_logger()

_REST = timedelta(seconds=0.25)
_REST_BETWEEN_BATCHES = timedelta(seconds=0.02)
_ROUND_SECONDS = 1.0
# Of what a batch took.
_REST_SHARE = 0.5
_FORGET_SECONDS = 600.0
_AWAY_REST = timedelta(seconds=2)
_FAILED_REST = timedelta(minutes=1)


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
        """Do the next batch; tell whether there was one. A task that fails holds up no other."""
        ready = Ready()
        due: Row[Any] | None = None

        async def work(connection: AsyncConnection) -> None:
            nonlocal due
            due = await tasks.due(connection)
            if due is not None:
                await tasks.run_batch(connection, due, ready)

        try:
            await transaction(self._store.engine, work)
        except Exception as error:
            if due is None:
                raise
            rest = _FAILED_REST
            if isinstance(error, Unavailable):
                # The database was away, or took too long for it.
                rest = _AWAY_REST
            else:
                _log.exception("task_failed", task=str(due.id), kind=due.kind)
            await transaction(self._store.engine, partial(tasks.put_off, found=due, rest=rest))
        self._store.announce_all(ready)
        return due is not None
