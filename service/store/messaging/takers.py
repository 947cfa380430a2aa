"""Takers: a claim serves many receives at once, and writes into each message who gets it."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

from service.message import Holder, Leased, Via
from service.store.database.clock import EPOCH
from service.store.database.identifiers import LEASE_RANDOM_BITS

# The numbers are stored in messages: never change one.
_NUMBERS = {Via.RECEIVE: 1, Via.WEBSOCKET: 2, Via.EVENTS: 3, Via.SOCKET_IO: 4}
_VIAS = {number: via for via, number in _NUMBERS.items()}


class Taker(NamedTuple):
    """A key (None: the root key) and the way in which it asks."""

    key: UUID | None
    via: Via

    @property
    def stored(self) -> tuple[UUID | None, int]:
        """Return the columns of a message: `taken_by` and `taken_via`."""
        return self.key, _NUMBERS[self.via]


def holder_of(row: Mapping[str, Any]) -> Holder:
    """Return who holds a leased message, from its columns and the names `key_name` and `webhook`."""
    # The number of a lease contains the time when it was given.
    since = EPOCH + timedelta(milliseconds=row["lease"] >> LEASE_RANDOM_BITS)
    if row["pushed_by"] is not None:
        return Holder("webhook", since, webhook=row["webhook"])
    if row["taken_under"] != row["lease"]:
        # Leased by an older version of the service, which does not store the taker.
        return Holder(None, since)
    return Holder(_VIAS[row["taken_via"]], since, key_id=row["taken_by"], key_name=row["key_name"])


def share_columns(shares: Sequence[Sequence[Taker]]) -> tuple[list[Any], ...]:
    """Return the parameters of `receives.claim` for the takers of each queue's messages, in order.

    The last taker of a queue takes all further messages. The messages of a webhook have no taker.
    """
    numbers: dict[Taker, int] = {}
    first: list[int] = []
    last: list[int] = []
    places: list[int] = []
    for takers in shares:
        first.append(len(places))
        places += [numbers.setdefault(taker, len(numbers) + 1) for taker in takers]
        last.append(len(places))
    stored = [taker.stored for taker in numbers]
    return first, last, places, [key for key, _ in stored], [via for _, via in stored]


def handed_over(
    number: int, messages: Sequence[Leased], meant: Sequence[Taker], taker: Taker
) -> Iterator[tuple[Any, ...]]:
    """Yield the parameters of `receives.hand_over` for messages that were claimed for other takers than `taker`."""
    for message, other in zip(messages, meant, strict=True):
        if other != taker:
            yield number, message.id, *taker.stored
