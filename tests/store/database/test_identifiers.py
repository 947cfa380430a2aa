"""Ids carry the time of the send, and are found by it."""

from datetime import UTC, datetime
from uuid import UUID

from hypothesis import example, given
from hypothesis import strategies as st

from service.store.database.clock import EPOCH, MICROSECOND
from service.store.database.identifiers import first_id, sent_at

_LAST = (datetime.max.replace(tzinfo=UTC) - EPOCH) // MICROSECOND
_ticks = st.integers(0, _LAST * 4096 // 1000)


def _id(tick: int, rest: int) -> UUID:
    """Return the id of a message sent at this tick, a 4096th of a millisecond."""
    return UUID(int=(tick >> 12) << 80 | 7 << 76 | (tick & 0xFFF) << 64 | 1 << 63 | rest)


@example(tick=4093, rest=0, away=0)
@given(tick=_ticks, rest=st.integers(0, 2**62 - 1), away=st.integers(-3, 3))
def test_ids_from_the_first_one_of_a_time_on_are_those_sent_then_or_later(tick: int, rest: int, away: int) -> None:
    message_id = _id(tick, rest)
    time = sent_at(message_id) + away
    assert (message_id >= first_id(time)) == (sent_at(message_id) >= time)


def test_a_time_before_all_ids_has_the_first_id_of_all() -> None:
    assert first_id(-1) == first_id(0) <= _id(0, 0)
