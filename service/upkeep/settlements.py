"""Spent receipts are forgotten after ten to fifteen minutes."""

from datetime import timedelta

from service.store.settlements import empty_next_slot
from service.store.store import Store

_REST = timedelta(seconds=30)


async def round_of_settlements(store: Store) -> timedelta:
    """Empty the slot that is written next."""
    await empty_next_slot(store.engine)
    return _REST
