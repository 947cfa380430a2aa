"""Leases that are watched for their end, by streams whose messages are settled by HTTP.

The end of a lease that is settled through this process is reported at once. If another process settles it, or it ends
by itself, one look for all watched leases finds that within a second.
"""

from collections.abc import Callable, Iterable
from itertools import islice
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from service.errors import Problem
from service.model import Action
from service.store.messaging import receipts
from service.store.messaging.receipts import Settle, Settled

# A message and its lease.
LeaseKey = tuple[UUID, int]
# Is called when a lease does not hold its message any more.
Tell = Callable[[LeaseKey], None]

# Leases that one statement looks for.
_PART = 1000


class Watched:
    """The watched leases of one process."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        # Each with its queue's id.
        self._leases: dict[LeaseKey, tuple[int, Tell]] = {}

    def __len__(self) -> int:
        return len(self._leases)

    def add(self, queue_id: int, keys: Iterable[LeaseKey], tell: Tell) -> None:
        """Watch these leases: call `tell` for each one that ends."""
        self._leases |= dict.fromkeys(keys, (queue_id, tell))

    def remove(self, keys: Iterable[LeaseKey]) -> None:
        """Stop watching these leases."""
        for key in keys:
            self._leases.pop(key, None)

    def settled(self, items: Iterable[Settle], outcomes: Iterable[Settled | Problem]) -> None:
        """Report the watched leases that were ended through this process."""
        if not self._leases:
            return
        for item, outcome in zip(items, outcomes, strict=True):
            if item.action is not Action.EXTEND and not isinstance(outcome, Problem):
                self._ended((item.message_id, item.lease))

    async def look(self) -> None:
        """Report the watched leases that have ended in another way. Raises Unavailable."""
        keys = iter(list(self._leases))
        while part := [(key, self._leases[key][0]) for key in islice(keys, _PART) if key in self._leases]:
            there = await receipts.held(self._engine, [(queue_id, *key) for key, queue_id in part])
            for place, (key, _) in enumerate(part):
                if place not in there:
                    self._ended(key)

    def _ended(self, key: LeaseKey) -> None:
        found = self._leases.pop(key, None)
        if found is not None:
            _, tell = found
            tell(key)
