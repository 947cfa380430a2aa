"""What came of an attempt, and what follows from it."""

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from uuid import UUID

from service.model import Attempt, Retry

# The process ended before the receiver answered: no failure of its, and no attempt that counts.
INTERRUPTED = "interrupted"

_LONGEST_PAUSE = timedelta(hours=24)
_PAUSING = frozenset({429, 503})
_GONE = 410
_is_number = re.compile(r"\d{1,9}\Z", re.ASCII).match


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an attempt: a status, or a named error where there was none."""

    status: int | None = None
    error: str | None = None
    excerpt: bytes = b""
    pause: timedelta | None = None

    @property
    def succeeded(self) -> bool:
        """Tell whether the receiver took the message."""
        return self.error is None and self.status is not None and 200 <= self.status < 300

    @property
    def is_gone(self) -> bool:
        """Tell whether the receiver wants no more."""
        return self.status == _GONE

    @property
    def label(self) -> str:
        """Return the kind of outcome, of which there are few."""
        return self.error if self.error is not None else f"{self.status // 100}xx" if self.status else "none"

    @property
    def sentence(self) -> str:
        """Return what a message remembers of it."""
        return self.error if self.error is not None else f"answered {self.status}"

    def attempt(self, identity: UUID, message_id: UUID, number: int, started_at: datetime, seconds: float) -> Attempt:
        """Return what is kept of it."""
        duration = timedelta(seconds=seconds)
        came = self.status, self.error, self.succeeded, self.excerpt
        return Attempt(identity, message_id, number, started_at, duration, *came)


def pause_of(status: int, headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """Return how long a receiver asks to be left alone: seconds or an HTTP date, at most a day; rubbish is ignored."""
    given = headers.get("retry-after", "").strip()
    if status not in _PAUSING or not given:
        return None
    if _is_number(given):
        return min(timedelta(seconds=int(given)), _LONGEST_PAUSE)
    try:
        left = parsedate_to_datetime(given) - now
    except (TypeError, ValueError, OverflowError):
        return None
    return min(max(left, timedelta(0)), _LONGEST_PAUSE)


def next_delay(retry: Retry, number: int) -> timedelta | None:
    """Return how long to wait after this many attempts; None: that was the last."""
    if number > len(retry.delays):
        return None
    return retry.delays[number - 1] * random.uniform(1 - retry.jitter, 1 + retry.jitter)  # noqa: S311 - no secret
