"""How long a receiver may ask to be left alone, and when a message is tried again."""

from datetime import UTC, datetime, timedelta

import pytest

from service.model import Retry
from service.push.outcomes import next_delay, pause_of

_NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "given", "seconds"),
    [
        (429, "120", 120),
        (503, "0", 0),
        (503, "Wed, 25 Nov 2026 12:01:00 GMT", 60),
        (503, "Wed, 25 Nov 2026 11:00:00 GMT", 0),
        (429, "99999999", 86400),
        (429, "Wed, 25 Nov 2099 12:01:00 GMT", 86400),
        (500, "120", None),
        (200, "120", None),
        (429, "soon", None),
        (429, "-5", None),
        (429, "1.5", None),
        (429, "\u0661", None),
        (429, "9" * 5000, 86400),
        (429, "0" * 5000 + "7", 7),
        (503, "Wednesday, 25-Nov-26 12:01:00 GMT", 60),
        (503, "Wed Nov 25 12:01:00 2026", 60),
        (503, "Wed Nov  4 12:01:00 2026", 0),
        (503, "Wed, 25 Nov 2026 12:01:00 -0000", 60),
        (503, "Wed, 25 Nov 2026 14:01:00 +0200", 60),
        (429, "Wed, 99 Nov 2026 12:01:00 GMT", None),
        (429, "", None),
    ],
)
def test_retry_after_is_read_where_it_counts_and_rubbish_ignored(status: int, given: str, seconds: int | None) -> None:
    expected = None if seconds is None else timedelta(seconds=seconds)
    assert pause_of(status, {"retry-after": given}, _NOW) == expected


def test_delays_follow_the_list_with_their_jitter_and_end_with_it() -> None:
    retry = Retry((timedelta(seconds=10), timedelta(seconds=100)), 0.2)
    seen = [next_delay(retry, 2) for _ in range(200)]
    assert all(delay is not None and timedelta(seconds=80) <= delay <= timedelta(seconds=120) for delay in seen)
    assert len(set(seen)) > 100
    assert next_delay(retry, 3) is None
    assert next_delay(Retry(()), 1) is None
