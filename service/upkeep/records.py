"""The chore that stores a process's observations every few seconds, and removes those that are too old."""

import time
from collections.abc import Awaitable, Callable
from datetime import timedelta

_REST = timedelta(seconds=5)
_FORGET_SECONDS = 60.0


class Records:
    """The chore for one kind of records.

    `write` stores the new records. `forget` removes a batch of old ones and returns whether there may be more.
    """

    def __init__(self, write: Callable[[], Awaitable[None]], forget: Callable[[], Awaitable[bool]]) -> None:
        self._write = write
        self._forget = forget
        self._forget_at = 0.0

    async def round(self) -> timedelta:
        """Write new records, and once a minute remove old ones."""
        await self._write()
        if time.monotonic() < self._forget_at:
            return _REST
        if await self._forget():
            return timedelta(0)
        self._forget_at = time.monotonic() + _FORGET_SECONDS
        return _REST
