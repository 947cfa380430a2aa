"""What clients did and saw."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta

_NONE = timedelta(0)


@dataclass(frozen=True, slots=True)
class Sent:
    """One message of a send. `id` is None when the answer never came or told of a problem that leaves it open.

    `group`: of a fifo queue. `place` is that within a batch, all of whose messages have the same times.
    """

    asked: datetime
    answered: datetime
    body: str
    id: str | None
    delay: timedelta = _NONE
    group: str | None = None
    place: int = 0

    def is_before(self, other: "Sent") -> bool:
        """Tell whether its message certainly comes first."""
        same = self.asked == other.asked and self.answered == other.answered
        return self.place < other.place if same else self.answered < other.asked


@dataclass(frozen=True, slots=True)
class Received:
    """One message of a receive, with what the client knew when it had the answer."""

    asked: datetime
    answered: datetime
    by: str
    id: str
    receipt: str
    body: str
    receive_count: int
    lease_expires_at: datetime
    visibility_timeout: timedelta
    place: int = 0

    @property
    def granted(self) -> datetime:
        """Return when the lease began, by the database."""
        return self.lease_expires_at - self.visibility_timeout


@dataclass(frozen=True, slots=True)
class Settled:
    """One delete, extend, release or reject. `status` is None when it may or may not have happened."""

    asked: datetime
    answered: datetime
    verb: str
    receipt: str
    status: int | None
    by: timedelta = _NONE
    lease_expires_at: datetime | None = None

    @property
    def may_have_happened(self) -> bool:
        """Tell whether it changed something as far as anybody knows."""
        return self.status is None or self.status < 300

    @property
    def happened(self) -> bool:
        """Tell whether its client was told so."""
        return self.status is not None and self.status < 300


@dataclass(frozen=True, slots=True)
class Dead:
    """One message that was found in the dead-letter queue at the end."""

    id: str
    body: str
    reason: str
    receive_count: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A receive whose client never saw a whole answer: it may have leased anything."""

    asked: datetime
    ended: datetime


@dataclass(frozen=True, slots=True)
class Fault:
    """Something was killed."""

    at: datetime
    what: str


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken promise, by its name in docs/concepts/guarantees.md."""

    rule: str
    told: str


@dataclass
class History:
    """All that happened in one queue, in any order.

    `drained`: at the end it was emptied by receiving, and its dead-letter queue too. `max_receives`: if it has one.
    """

    sent: list[Sent] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    settled: list[Settled] = field(default_factory=list)
    unanswered: list[Unanswered] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    dead: list[Dead] = field(default_factory=list)
    max_receives: int | None = None
    drained: bool = False

    def exercised(self) -> str:
        """Return how often each thing happened, so that a run that tried nothing is not taken for a good one."""
        counts = Counter(
            {
                "sends": sum(sent.id is not None for sent in self.sent),
                "sends unknown": sum(sent.id is None for sent in self.sent),
                "deliveries": len(self.received),
                "redeliveries": sum(received.receive_count > 1 for received in self.received),
                "receives unanswered": len(self.unanswered),
            }
        )
        counts.update(f"{settled.verb} {settled.status or 'unknown'}" for settled in self.settled)
        counts.update(f"killed {fault.what}" for fault in self.faults)
        counts.update(f"dead {dead.reason}" for dead in self.dead)
        return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()) if count)
