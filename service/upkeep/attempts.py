"""Attempts have a partition for each day: the next ones are made, the oldest dropped."""

from datetime import timedelta

from service.store import attempts
from service.store.store import Store

_REST = timedelta(hours=1)


async def round_of_attempts(store: Store) -> timedelta:
    """Keep the days in order."""
    await attempts.keep_days(store.engine, store.clock.now())
    return _REST
