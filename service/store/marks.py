"""Where a claim starts to look, so that it need not pass the dead entries at the head of a queue.

When a transaction elsewhere keeps vacuum from its work, every message that was ever claimed or deleted leaves an
entry in `message_ready`, and a claim from the beginning passes them all: throughput falls to a tenth within a minute.
So each process remembers a mark per queue and looks from there on. A mark that is set too high would hide a message
for ever: one of a sender that commits late, or of a claim that is rolled back. The rule that forbids it:

1.  A scan proposes a candidate: its own time, read before its transaction had a number, with that number (xid).
2.  A later scan whose horizon (the oldest transaction still running in its snapshot) has reached that xid knows that
    all who were under way then have ended, and sees what they left. The mark becomes the candidate, or the lowest
    position which that scan sees, whichever is lower; rows that others have locked are seen too.
3.  Whoever took a number after the candidate's writes times read after it (`send`, `claim`, `release` and `extend`
    see to that), hence at or behind the candidate's position, which was read before its number was taken.

A long reader has no xid and holds nothing back. A long writer anywhere in the cluster holds the horizon back; then the
lowest xid of our own connections serves instead, since nobody else writes messages (`floor`). It is read before the
scan is sent: read after it, it would speak of transactions that the scan could not see.
"""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)

# A belt: from the beginning every so often, whatever the rule says.
FROM_BEGINNING_SECONDS = 60.0
# Ask for the floor when a candidate is older than this and its horizon stands still.
FLOOR_SECONDS = 0.05
_REMEMBERED_QUEUES = 20_000
_HALF = 1 << 31
_EPOCH = 1 << 32


@dataclass(frozen=True, slots=True)
class Scan:
    """What one claim saw of one queue. Positions are times of `visible_at`."""

    upto: datetime
    xid: int
    xmin: int
    lowest: datetime | None


@dataclass(slots=True)
class _Mark:
    began: float
    position: datetime = BEGINNING
    candidate: datetime | None = None
    xid: int = 0
    since: float = 0.0


class Marks:
    """The marks of one process. Times of day are the database's; `at` is this process's monotonic clock."""

    def __init__(self) -> None:
        self._marks: OrderedDict[int, _Mark] = OrderedDict()
        self._latest = BEGINNING
        self._floor = 0
        self._floor_at = 0.0

    def start(self, number: int, at: float) -> datetime:
        """Return where a scan of this queue begins."""
        mark = self._marks.get(number)
        if mark is None or at - mark.began > FROM_BEGINNING_SECONDS:
            self._marks[number] = _Mark(began=at)
            if len(self._marks) > _REMEMBERED_QUEUES:
                self._marks.popitem(last=False)
            return BEGINNING
        return mark.position

    def learn(self, number: int, scan: Scan, at: float) -> None:
        """Take in what a scan saw. Scans of one process follow one another."""
        if scan.upto < self._latest:
            self.reset()
        self._latest = scan.upto
        mark = self._marks.get(number)
        if mark is None:
            return
        if mark.candidate is not None and max(scan.xmin, self._floor) >= mark.xid:
            mark.position = mark.candidate if scan.lowest is None else min(mark.candidate, scan.lowest)
            mark.candidate = None
        if mark.candidate is None and scan.upto > mark.position:
            mark.candidate, mark.xid, mark.since = scan.upto, scan.xid, at

    def wants_floor(self, numbers: list[int], at: float) -> bool:
        """Tell whether a candidate waits for a horizon that stands still."""
        if at - self._floor_at < FLOOR_SECONDS:
            return False
        marks = (self._marks.get(number) for number in numbers)
        return any(mark and mark.candidate and at - mark.since > FLOOR_SECONDS for mark in marks)

    def set_floor(self, next_xid: int, running: list[int], at: float) -> None:
        """Take in our own connections' transactions: `running` are 32-bit numbers, as PostgreSQL shows them."""
        self._floor_at = at
        self._floor = min([next_xid, *(_widen(xid, next_xid) for xid in running)])

    def reset(self) -> None:
        """Forget everything: the next scans look from the beginning."""
        self._marks.clear()
        self._floor = 0


def _widen(xid: int, near: int) -> int:
    """Return the 64-bit number of a transaction, given one that is at most two thousand million away."""
    wide = near - near % _EPOCH + xid
    if wide > near + _HALF:
        return wide - _EPOCH
    return wide + _EPOCH if wide < near - _HALF else wide
