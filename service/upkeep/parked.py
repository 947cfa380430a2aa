"""Processes share what a project's limit on waiting receives leaves: shares are renewed, and given up when unused."""

from datetime import timedelta

from service.store.store import Store

_REST = timedelta(seconds=0.2)


async def round_of_parked(store: Store) -> timedelta:
    """Renew this process' shares."""
    await store.shares.renew()
    return _REST
