"""What was sent is forgotten once its deduplication window is over; a repeat does not wait for that."""

import time
from datetime import timedelta

from service.store import deduplication
from service.store.store import Store

_REST = timedelta(seconds=5)
# Finding little among many queues takes as long as finding much: rest in proportion.
_REST_FACTOR = 10


async def round_of_deduplication(store: Store) -> timedelta:
    """Remove a batch of what is over."""
    started = time.monotonic()
    if await deduplication.expire(store.engine) == deduplication.BATCH:
        return timedelta(0)
    return max(_REST, timedelta(seconds=_REST_FACTOR * (time.monotonic() - started)))
