"""The database's clock: in statements, and estimated in the process, so that ids and due times need no round trip."""

import time
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

# An observation counts for at least one and at most two of these. A clock that was set back is followed within this
# time.
_PERIOD_SECONDS = 2.0

# One time for a whole statement: what it finds is in the state in which it is shown, and what it makes has one age.
_MOMENT = select(func.clock_timestamp().label("now")).cte("moment").prefix_with("materialized", dialect="postgresql")
NOW = select(_MOMENT.c.now).scalar_subquery()


class DatabaseClock:
    """The database's time, never ahead of it: each answer's time is at most as late as the moment we see the answer."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()
        self._best = self._offset
        self._period_ends = 0.0

    def observe(self, at: datetime) -> None:
        """Take in a time that the database has just answered with."""
        local = time.monotonic()
        offset = at.timestamp() - local
        if local >= self._period_ends:
            self._offset, self._best = max(offset, self._best) if self._period_ends else offset, offset
            self._period_ends = local + _PERIOD_SECONDS
            return
        self._best = max(offset, self._best)
        self._offset = max(self._offset, offset)

    def microseconds(self) -> int:
        """Return the database's time in microseconds since 1970."""
        return int((time.monotonic() + self._offset) * 1_000_000)

    def now(self) -> datetime:
        """Return the database's time."""
        return EPOCH + timedelta(microseconds=self.microseconds())

    def seconds_until(self, at: datetime) -> float:
        """Return how far ahead a time of the database is, negative when it is past."""
        return at.timestamp() - time.monotonic() - self._offset
