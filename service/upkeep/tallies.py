"""Long queues that somebody asks about are counted in the background."""

from datetime import timedelta

from service.store.tallies import Tallies

_REST = timedelta(seconds=0.25)


async def round_of_tallies(tallies: Tallies) -> timedelta:
    """Count anew what somebody has asked about lately."""
    await tallies.refresh()
    return _REST
