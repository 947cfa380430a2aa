"""What a process has seen is written down every few seconds, and forgotten once nobody can ask for it any more."""

import time
from collections.abc import Awaitable, Callable
from datetime import timedelta

_REST = timedelta(seconds=5)
_FORGET_SECONDS = 60.0


class Records:
    """What one process does about one kind of what it has seen.

    `write`: writes down what is new. `forget`: removes a batch of what is old, and tells whether there may be more.
    """

    def __init__(self, write: Callable[[], Awaitable[None]], forget: Callable[[], Awaitable[bool]]) -> None:
        self._write = write
        self._forget = forget
        self._forget_at = 0.0

    async def round(self) -> timedelta:
        """Write; now and then remove what is old."""
        await self._write()
        if time.monotonic() < self._forget_at:
            return _REST
        if await self._forget():
            return timedelta(0)
        self._forget_at = time.monotonic() + _FORGET_SECONDS
        return _REST
