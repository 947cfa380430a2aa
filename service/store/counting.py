"""What this process has done with each queue's messages since that was last written down (`store/activity.py`).

There is one for the process, as there is of the metrics: messages come and go in many ways, and each has to count. What
is counted in a transaction counts once that has committed: most are tried again when something comes between.
"""

import contextlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextvars import ContextVar

from msgspec import Struct

# Of so many queues at most what could not be written is kept.
MOST_QUEUES = 100_000


class Counts(Struct):
    """Messages of one queue. `growth`: came in minus left; `attempts` and `succeeded`: requests to its webhooks."""

    sent: int = 0
    received: int = 0
    deleted: int = 0
    dead_lettered: int = 0
    growth: int = 0
    attempts: int = 0
    succeeded: int = 0


Counted = defaultdict[int, Counts]

_counted: Counted = defaultdict(Counts)
_uncommitted: ContextVar[Counted | None] = ContextVar("uncommitted", default=None)


def sent(queue_id: int, messages: int) -> None:
    """Count messages that were stored for somebody."""
    counts = _of(queue_id)
    counts.sent += messages
    counts.growth += messages


def received(queue_id: int, messages: int) -> None:
    """Count messages that were leased to a consumer or a webhook."""
    _of(queue_id).received += messages


def deleted(queue_id: int, messages: int) -> None:
    """Count messages that somebody deleted, a webhook's success included."""
    counts = _of(queue_id)
    counts.deleted += messages
    counts.growth -= messages


def purged(queue_id: int, messages: int) -> None:
    """Count messages that a purge has removed."""
    _of(queue_id).growth -= messages


def left(queue_id: int, messages: int, to_id: int | None, *, dead: bool) -> None:
    """Count messages that left a queue, for another one or for good; `dead`: for its dead-letter queue."""
    counts = _of(queue_id)
    counts.growth -= messages
    if to_id is not None:
        _of(to_id).growth += messages
        counts.dead_lettered += messages if dead else 0


def attempted(queue_id: int, *, succeeded: bool) -> None:
    """Count a request to a webhook that has ended."""
    counts = _of(queue_id)
    counts.attempts += 1
    counts.succeeded += succeeded


def _of(queue_id: int) -> Counts:
    counted = _uncommitted.get()
    return (_counted if counted is None else counted)[queue_id]


@contextlib.contextmanager
def once_committed() -> Iterator[None]:
    """Count what is counted within this if it ends well; it is one transaction, its commit included."""
    counted: Counted = defaultdict(Counts)
    token = _uncommitted.set(counted)
    try:
        yield
    finally:
        _uncommitted.reset(token)
    add(counted)


def take() -> Mapping[int, Counts]:
    """Return all that was counted, and begin at nought."""
    taken = dict(_counted)
    _counted.clear()
    return taken


def add(counted: Mapping[int, Counts]) -> None:
    """Count this too."""
    for queue_id, more in counted.items():
        if queue_id in _counted or len(_counted) < MOST_QUEUES:
            counts = _counted[queue_id]
            for name in Counts.__struct_fields__:
                setattr(counts, name, getattr(counts, name) + getattr(more, name))
