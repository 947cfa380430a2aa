"""Reads that may take long: few at once, for each project and in all, so that the pool has connections for the rest."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from weakref import WeakValueDictionary

from service.errors import Unavailable
from service.store.database import patience

# How many of the pool's six connections such reads of one project may have, and those of all projects together.
_OF_A_PROJECT = 2
_TOGETHER = 3
_PATIENCE_SECONDS = 4.0


class Reads:
    """The turns of one process."""

    def __init__(self) -> None:
        # For projects with reads that run or wait.
        self._turns: WeakValueDictionary[int, asyncio.Semaphore] = WeakValueDictionary()
        self._all = asyncio.Semaphore(_TOGETHER)

    @contextlib.asynccontextmanager
    async def turn(self, project_id: int) -> AsyncIterator[None]:
        """Wait until the project may read. Raises Unavailable if that takes too long."""
        turns = self._turns.setdefault(project_id, asyncio.Semaphore(_OF_A_PROJECT))
        async with contextlib.AsyncExitStack() as held:
            try:
                async with asyncio.timeout(patience.seconds(_PATIENCE_SECONDS)):
                    await held.enter_async_context(turns)
                    await held.enter_async_context(self._all)
            except TimeoutError:
                raise Unavailable(
                    "Too many counts and lists are running. Ask again later, and for fewer at once."
                ) from None
            yield
