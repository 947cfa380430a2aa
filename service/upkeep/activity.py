"""What was done with messages is written down every few seconds, and forgotten after an hour."""

import time
from datetime import timedelta

from service.store import activity
from service.store.store import Store

_REST = timedelta(seconds=5)
_FORGET_SECONDS = 60.0


class Activity:
    """What one process does about what it has counted."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._forget_at = 0.0

    async def round(self) -> timedelta:
        """Write down what was counted since the last round; now and then remove what is old."""
        await activity.write(self._store.engine)
        if time.monotonic() < self._forget_at:
            return _REST
        if await activity.remove_old(self._store.engine):
            return timedelta(0)
        self._forget_at = time.monotonic() + _FORGET_SECONDS
        return _REST
