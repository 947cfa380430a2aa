"""Counts of what this process has done with each queue's messages since it last stored them (`views/activity.py`).

The counts are global to the process, as the metrics are, because messages come and go in many places and each has to
count. Counts made within a transaction take effect when it has committed, because a transaction may be tried again.
"""

import contextlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextvars import ContextVar

from msgspec import Struct

# Counts that could not be stored are kept for this many queues at most.
MOST_QUEUES = 100_000


class ProcessCounts(Struct):
    """Counts of one queue. `growth`: messages that came minus those that left; `attempts`, `succeeded`: of webhooks."""

    sent: int = 0
    received: int = 0
    deleted: int = 0
    dead_lettered: int = 0
    growth: int = 0
    attempts: int = 0
    succeeded: int = 0


Counted = defaultdict[int, ProcessCounts]

_counted: Counted = defaultdict(ProcessCounts)
_uncommitted: ContextVar[Counted | None] = ContextVar("uncommitted", default=None)


def sent(queue_id: int, messages: int) -> None:
    """Count messages that were sent to a queue."""
    counts = _of(queue_id)
    counts.sent += messages
    counts.growth += messages


def received(queue_id: int, messages: int) -> None:
    """Count messages that were leased to a consumer or a webhook."""
    _of(queue_id).received += messages


def deleted(queue_id: int, messages: int) -> None:
    """Count messages that were deleted by request or by a webhook's success."""
    counts = _of(queue_id)
    counts.deleted += messages
    counts.growth -= messages


def purged(queue_id: int, messages: int) -> None:
    """Count messages that a purge has removed."""
    _of(queue_id).growth -= messages


def left(queue_id: int, messages: int, to_id: int | None, *, dead: bool) -> None:
    """Count messages that left a queue, for the queue `to_id` or for good; `dead`: for its dead-letter queue."""
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


def _of(queue_id: int) -> ProcessCounts:
    counted = _uncommitted.get()
    return (_counted if counted is None else counted)[queue_id]


@contextlib.contextmanager
def once_committed() -> Iterator[None]:
    """Hold back what is counted within this block until it has ended without an error.

    The block is one transaction with its commit.
    """
    counted: Counted = defaultdict(ProcessCounts)
    token = _uncommitted.set(counted)
    try:
        yield
    finally:
        _uncommitted.reset(token)
    add(counted)


def take() -> Mapping[int, ProcessCounts]:
    """Return all counts, and start again at zero."""
    taken = dict(_counted)
    _counted.clear()
    return taken


def add(counted: Mapping[int, ProcessCounts]) -> None:
    """Add these counts."""
    for queue_id, more in counted.items():
        if queue_id in _counted or len(_counted) < MOST_QUEUES:
            counts = _counted[queue_id]
            for name in ProcessCounts.__struct_fields__:
                setattr(counts, name, getattr(counts, name) + getattr(more, name))
