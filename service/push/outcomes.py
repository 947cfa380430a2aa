"""The outcome of an attempt, and the delay before the next one."""

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from uuid import UUID

from service.model import Attempt, Retry

# The error if the process ended before the receiver responded. It is not the receiver's failure and does not count.
INTERRUPTED = "interrupted"

_LONGEST_PAUSE = timedelta(hours=24)
_PAUSING = frozenset({429, 503})
_GONE = 410
_not_shown = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")
_is_number = re.compile(r"\d+\Z", re.ASCII).match
# A number with this many digits exceeds the longest pause.
_DIGITS = len(str(int(_LONGEST_PAUSE.total_seconds()))) + 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of an attempt: the status of the response, or a named error if there was no response."""

    status: int | None = None
    error: str | None = None
    excerpt: bytes = b""
    pause: timedelta | None = None

    @property
    def succeeded(self) -> bool:
        """Return whether the receiver accepted the message."""
        return self.error is None and self.status is not None and 200 <= self.status < 300

    @property
    def is_gone(self) -> bool:
        """Return whether the receiver wants no more messages."""
        return self.status == _GONE

    @property
    def label(self) -> str:
        """Return the kind of outcome, as a metric label with few values."""
        return self.error if self.error is not None else f"{self.status // 100}xx" if self.status else "none"

    @property
    def sentence(self) -> str:
        """Return the message's `last_error`: the error, or the status and the beginning of the response."""
        if self.error is not None:
            return self.error
        said = _not_shown.sub(" ", self.excerpt.decode("utf-8", "replace")).strip()
        return f"answered {self.status}: {said}" if said else f"answered {self.status}"

    def attempt(self, identity: UUID, message_id: UUID, number: int, started_at: datetime, seconds: float) -> Attempt:
        """Return the record of the attempt. `seconds`: its duration."""
        duration = timedelta(seconds=seconds)
        came = self.status, self.error, self.succeeded, self.excerpt
        return Attempt(identity, message_id, number, started_at, duration, *came)


def pause_of(status: int, headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """Return the pause that a receiver requests with Retry-After, at most a day; None if it is missing or invalid.

    Retry-After is a number of seconds or an HTTP date. A date without a time zone, or with `-0000`, is in UTC.
    """
    given = headers.get("retry-after", "").strip()
    if status not in _PAUSING or not given:
        return None
    if _is_number(given):
        return min(timedelta(seconds=int(given.lstrip("0")[:_DIGITS] or "0")), _LONGEST_PAUSE)
    try:
        at = parsedate_to_datetime(given)
        left = (at if at.tzinfo is not None else at.replace(tzinfo=UTC)) - now
    except (TypeError, ValueError, OverflowError):
        return None
    return min(max(left, timedelta(0)), _LONGEST_PAUSE)


def next_delay(retry: Retry, number: int) -> timedelta | None:
    """Return the delay after this many attempts, None after the last one."""
    if number > len(retry.delays):
        return None
    return retry.delays[number - 1] * random.uniform(1 - retry.jitter, 1 + retry.jitter)  # noqa: S311 - not security-relevant
