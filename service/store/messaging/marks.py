"""Marks: the position at which a claim starts to look in a queue, so that it need not pass dead index entries.

While a transaction elsewhere keeps vacuum from its work, every message that was ever claimed or deleted leaves an entry
in the index `message_ready`, and a claim from the beginning passes them all: throughput falls to a tenth within a
minute. So each process remembers a mark for each queue and looks from there on. A mark that is too high would hide a
message: one whose sender commits late, or whose claim is rolled back. This rule prevents it:

1.  A scan proposes a candidate: its own time, read before its transaction got a number, and that number (xid).
2.  A later scan whose horizon (the oldest transaction still running in its snapshot) has reached that xid knows that
    every transaction that was running then has ended, and it sees what they left. The mark becomes the candidate or the
    lowest position that this scan sees, whichever is lower. Rows that other transactions have locked are seen, too.
3.  A transaction that got its number after the candidate's writes times that it read after getting it; `send`, `claim`,
    `release` and `extend` ensure that. These times are at or after the candidate's position, which was read before the
    candidate's number was assigned.

A long reader has no xid and holds nothing back. A long writer anywhere in the cluster holds the horizon back. Then the
lowest xid of this service's connections is used instead (the floor), since nothing else writes messages. It is read
before the scan is sent: if it were read afterwards, it could count transactions as ended that the scan could not see.
"""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)

# As a safety net, a queue is scanned from the beginning once in this time.
FROM_BEGINNING_SECONDS = 60.0
# The floor is asked for if a candidate has waited for the horizon for longer than this.
FLOOR_SECONDS = 0.05
_REMEMBERED_QUEUES = 20_000
_HALF = 1 << 31
_EPOCH = 1 << 32


@dataclass(frozen=True, slots=True)
class Scan:
    """One claim's observation of one queue. Positions are values of `visible_at`."""

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
    """The marks of one process. Dates are by the database's clock, `at` by this process's monotonic clock."""

    def __init__(self) -> None:
        self._marks: OrderedDict[int, _Mark] = OrderedDict()
        self._latest = BEGINNING
        self._floor = 0
        self._floor_at = 0.0

    def start(self, number: int, at: float) -> datetime:
        """Return the position where a scan of this queue begins."""
        mark = self._marks.get(number)
        if mark is None or at - mark.began > FROM_BEGINNING_SECONDS:
            self._marks[number] = _Mark(began=at)
            if len(self._marks) > _REMEMBERED_QUEUES:
                self._marks.popitem(last=False)
            return BEGINNING
        return mark.position

    def learn(self, number: int, scan: Scan, at: float) -> None:
        """Learn from what a scan saw. Scans of one process follow one another."""
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
        """Return whether a candidate has waited too long for the horizon, so that the floor should be asked for."""
        if at - self._floor_at < FLOOR_SECONDS:
            return False
        marks = (self._marks.get(number) for number in numbers)
        return any(mark and mark.candidate and at - mark.since > FLOOR_SECONDS for mark in marks)

    def set_floor(self, next_xid: int, running: list[int], at: float) -> None:
        """Learn of the running transactions of this service; `running` are 32-bit numbers, as PostgreSQL shows them."""
        self._floor_at = at
        self._floor = min([next_xid, *(_widen(xid, next_xid) for xid in running)])

    def reset(self) -> None:
        """Forget all marks, so that the next scans begin at the beginning."""
        self._marks.clear()
        self._floor = 0


def _widen(xid: int, near: int) -> int:
    """Return the 64-bit number of a transaction, given a number that is at most 2^31 away from it."""
    wide = near - near % _EPOCH + xid
    if wide > near + _HALF:
        return wide - _EPOCH
    return wide + _EPOCH if wide < near - _HALF else wide
