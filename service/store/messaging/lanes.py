"""The lanes of one process: each kind of write shares its statements, on a held connection of its own."""

from collections.abc import Iterator, Mapping
from functools import partial
from itertools import cycle
from typing import Any

from service.errors import Problem
from service.store.database.connections import Link
from service.store.database.lane import Lane
from service.store.messaging import publishes, receipts, sends, transactions
from service.store.messaging.deduplication import SentOnce, Unique, store_once
from service.store.messaging.publishes import Publish, Published
from service.store.messaging.receipts import Announce, Bundle, Settled
from service.store.messaging.rooms import Rooms
from service.store.messaging.sends import Parcel, VisibleAt
from service.store.messaging.transactions import Done, Transact

_TRANSACTIONS = ("transact-1", "transact-2", "transact-3")
# The names of the connections that the lanes hold.
LINKS = ("send", "send-bounded", "send-once", "settle", "publish", *_TRANSACTIONS)


class Lanes:
    """`bounded` is for sends to queues with `max_length`, `once` for sends with a deduplication id."""

    def __init__(self, links: Mapping[str, Link], announce: Announce) -> None:
        self.rooms = Rooms()
        self.sends: Lane[Parcel, VisibleAt] = Lane("send", partial(sends.store, links["send"]), weigh=sends.weigh)
        self.bounded: Lane[Parcel, VisibleAt] = Lane(
            "send-bounded", partial(self.rooms.store, links["send-bounded"]), weigh=sends.weigh
        )
        self.once: Lane[Unique, list[SentOnce]] = Lane(
            "send-once", partial(store_once, links["send-once"]), weigh=sends.weigh
        )
        self.settles: Lane[Bundle, list[Settled | Problem]] = Lane(
            "settle", partial(receipts.settle_bundles, links["settle"], announce), weigh=receipts.weigh
        )
        self.publishes: Lane[Publish, list[Published]] = Lane(
            "publish", partial(publishes.publish, links["publish"], announce), weigh=publishes.weight
        )
        self._transactions: list[Lane[Transact, Done]] = [
            Lane(name, partial(transactions.transact, links[name], announce), weigh=transactions.weigh)
            for name in _TRANSACTIONS
        ]
        self._turns = cycle(self._transactions)

    @property
    def transactions(self) -> Lane[Transact, Done]:
        """Return the lane of the next transaction: they take turns."""
        return next(self._turns)

    def open(self) -> None:
        """Start every lane."""
        for lane in self._all():
            lane.open()

    async def close(self) -> None:
        """Finish what is running in every lane."""
        for lane in self._all():
            await lane.close()

    def _all(self) -> Iterator[Lane[Any, Any]]:
        yield from (self.sends, self.bounded, self.once, self.settles)
        yield from self._transactions
        yield self.publishes
