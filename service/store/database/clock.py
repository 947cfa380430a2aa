"""The database's clock: in statements, and as an estimate in the process, so that ids and timers need no round trip."""

import time
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

# An observation is used for at least one and at most two of these periods, so the estimate follows a clock that was set
# back within two of them.
_PERIOD_SECONDS = 2.0

# One time for a whole statement, so that the rows it finds match the states it shows, and those it writes share a time.
_MOMENT = select(func.clock_timestamp().label("now")).cte("moment").prefix_with("materialized", dialect="postgresql")
NOW = select(_MOMENT.c.now).scalar_subquery()


class DatabaseClock:
    """An estimate of the database's time, never ahead of it: the time in a result is earlier than its arrival here."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()
        self._best = self._offset
        self._period_ends = 0.0

    def observe(self, at: datetime) -> None:
        """Learn from a time that the database has just returned."""
        local = time.monotonic()
        offset = at.timestamp() - local
        if local >= self._period_ends:
            self._offset, self._best = max(offset, self._best) if self._period_ends else offset, offset
            self._period_ends = local + _PERIOD_SECONDS
            return
        self._best = max(offset, self._best)
        self._offset = max(self._offset, offset)

    def microseconds(self) -> int:
        """Return the estimated time in microseconds since 1970."""
        return int((time.monotonic() + self._offset) * 1_000_000)

    def now(self) -> datetime:
        """Return the estimated time."""
        return EPOCH + timedelta(microseconds=self.microseconds())

    def seconds_until(self, at: datetime) -> float:
        """Return the seconds until this time of the database's clock, negative if it is past."""
        return at.timestamp() - time.monotonic() - self._offset
