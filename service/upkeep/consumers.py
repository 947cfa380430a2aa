"""Who takes messages is written down every few seconds, and forgotten after an hour."""

import time
from datetime import timedelta

from service.store import consumers
from service.store.store import Store

_REST = timedelta(seconds=5)
_FORGET_SECONDS = 60.0


class Consumers:
    """What one process does about those who ask it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._forget_at = 0.0

    async def round(self) -> timedelta:
        """Write down who asks; now and then remove who has not asked for long."""
        await self._store.consumers.write()
        if time.monotonic() >= self._forget_at and not await consumers.remove_old(self._store.engine):
            self._forget_at = time.monotonic() + _FORGET_SECONDS
        return _REST
