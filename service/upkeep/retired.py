"""The messages of purged and deleted queues go in the background: nobody can see them any more."""

import time
from datetime import timedelta
from uuid import UUID

from service.store import retired
from service.store.store import Store
from service.telemetry import MESSAGES_REMOVED

_REST = timedelta(seconds=1)
_ROUND_SECONDS = 2.0


async def round_of_retired(store: Store) -> timedelta:
    """Remove messages for a while, then let the others have the database for as long."""
    started = time.monotonic()
    for number in await retired.numbers(store.engine):
        after: UUID | None = retired.BEGINNING
        while after is not None and time.monotonic() - started < _ROUND_SECONDS:
            removed, after = await retired.remove(store.engine, number, after)
            MESSAGES_REMOVED.inc(removed)
        if after is None:
            await retired.forget(store.engine, number)
    return max(_REST, timedelta(seconds=time.monotonic() - started))
