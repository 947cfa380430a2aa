"""Messages go to their dead-letter queue within a second of their last lease's end, whether or not anybody polls."""

import time
from datetime import timedelta

from service.store import dead_letters
from service.store.ready import Ready
from service.store.store import Store

_REST = timedelta(seconds=0.3)
_ROUND_SECONDS = 0.5


async def round_of_dead_letters(store: Store) -> timedelta:
    """Move what is exhausted; in queues whose rules have changed, find what that is."""
    started = time.monotonic()
    more = True
    while more and time.monotonic() - started < _ROUND_SECONDS:
        more = await dead_letters.mark_exhausted(store.engine) == dead_letters.MARKED_BATCH
        ready = Ready()
        more = await dead_letters.move_exhausted(store.engine, ready) == dead_letters.BATCH or more
        store.announce_all(ready)
    return timedelta(0) if more else _REST
