"""Reads that may take long: few at once of each project, so that others find a connection in the pool."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from weakref import WeakValueDictionary

from service.errors import Unavailable

# Half of the pool.
_AT_ONCE = 2
_PATIENCE_SECONDS = 4.0


class Reads:
    """Whose turn it is, in one process."""

    def __init__(self) -> None:
        # Of projects that read just now.
        self._turns: WeakValueDictionary[int, asyncio.Semaphore] = WeakValueDictionary()

    @contextlib.asynccontextmanager
    async def turn(self, project_id: int) -> AsyncIterator[None]:
        """Wait until the project may read. Raises Unavailable when that takes too long."""
        turns = self._turns.setdefault(project_id, asyncio.Semaphore(_AT_ONCE))
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await turns.acquire()
        except TimeoutError:
            raise Unavailable("Too many counts and lists of this project are under way. Ask for fewer.") from None
        try:
            yield
        finally:
            turns.release()
