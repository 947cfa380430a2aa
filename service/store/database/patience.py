"""The total time that a request may wait for the database, however many transactions it takes."""

import asyncio
from contextvars import ContextVar

# Every request is answered within six seconds, unless it has asked to wait.
REQUEST_SECONDS = 5.0

_ends_at: ContextVar[float | None] = ContextVar("ends_at", default=None)


def begin() -> None:
    """Start the time of one request, for this task and those that it starts."""
    _ends_at.set(asyncio.get_running_loop().time() + REQUEST_SECONDS)


def end() -> None:
    """Remove the limit for this task: it serves a stream, or a receive that waits."""
    _ends_at.set(None)


def seconds(most: float) -> float:
    """Return how long one step may wait: `most`, or what is left of the request's time."""
    ends_at = _ends_at.get()
    if ends_at is None:
        return most
    return max(0.0, min(most, ends_at - asyncio.get_running_loop().time()))
