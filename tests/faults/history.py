"""What clients did and saw, and whether a queue that keeps its promises could have answered so.

Everything runs on one machine: the clients' clock and the database's are the same. An answer that never came (`None`)
may stand for anything that the request could have done; the judge only speaks of what no such doubt explains.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from itertools import pairwise

_NONE = timedelta(0)
SPENDS = frozenset({"delete", "release", "reject"})


@dataclass(frozen=True, slots=True)
class Sent:
    """One message of a send. `id` is None when the answer never came or told of a problem that leaves it open."""

    asked: datetime
    answered: datetime
    body: str
    id: str | None
    delay: timedelta = _NONE


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
    """All that happened in one queue, in any order; `drained`: at the end it was emptied by receiving."""

    sent: list[Sent] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    settled: list[Settled] = field(default_factory=list)
    unanswered: list[Unanswered] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
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
        return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()) if count)


class Judge:
    """Looks at one finished history."""

    def __init__(self, history: History) -> None:
        self._history = history

    def violations(self) -> list[Violation]:
        """Return every broken promise that it can prove."""
        rules: tuple[Callable[[], Iterator[Violation]], ...] = (
            self._lost,
            self._invented,
            self._not_unique,
            self._two_holders,
            self._miscounted,
            self._after_delete,
            self._superseded,
            self._refused,
            self._early,
        )
        return [violation for rule in rules for violation in rule()]

    @cached_property
    def _deliveries(self) -> dict[str, list[Received]]:
        """Hold each message's deliveries in the order of their leases."""
        deliveries: defaultdict[str, list[Received]] = defaultdict(list)
        for received in sorted(self._history.received, key=lambda received: received.granted):
            deliveries[received.id].append(received)
        return deliveries

    @cached_property
    def _settles(self) -> dict[str, list[Settled]]:
        """Hold what was asked with each receipt, in order."""
        settles: defaultdict[str, list[Settled]] = defaultdict(list)
        for settled in sorted(self._history.settled, key=lambda settled: settled.asked):
            settles[settled.receipt].append(settled)
        return settles

    def _lost(self) -> Iterator[Violation]:
        """S1: answered, never consumed as far as anybody asked for it, and no longer there."""
        if not self._history.drained:
            return
        for sent in self._history.sent:
            if sent.id is not None and not any(
                settled.verb in {"delete", "reject"} and settled.may_have_happened
                for received in self._deliveries.get(sent.id, ())
                for settled in self._settles.get(received.receipt, ())
            ):
                yield Violation("S1", f"{sent} is gone though nobody deleted it")

    def _invented(self) -> Iterator[Violation]:
        """S2: received what nobody sent, other than it was sent, or more often than it was sent."""
        bodies = {sent.id: sent.body for sent in self._history.sent if sent.id is not None}
        asked = Counter(sent.body for sent in self._history.sent)
        for message_id, deliveries in self._deliveries.items():
            for received in deliveries:
                if received.body not in asked or bodies.get(message_id, received.body) != received.body:
                    yield Violation("S2", f"{received} is not what was sent")
        stored = {sent.id: sent.body for sent in self._history.sent if sent.id is not None}
        stored |= {message_id: deliveries[0].body for message_id, deliveries in self._deliveries.items()}
        for body, messages in Counter(stored.values()).items():
            if body in asked and messages > asked[body]:
                yield Violation("S2", f"{body} was sent {asked[body]} times and is there {messages} times")

    def _not_unique(self) -> Iterator[Violation]:
        """S3: an id for two sends, a receipt for two leases."""
        ids = Counter(sent.id for sent in self._history.sent if sent.id is not None)
        yield from (
            Violation("S3", f"the id {name} was given {count} times") for name, count in ids.items() if count > 1
        )
        receipts = Counter(received.receipt for received in self._history.received)
        for receipt, count in receipts.items():
            if count > 1:
                yield Violation("S3", f"the receipt {receipt} was given {count} times")

    def _two_holders(self) -> Iterator[Violation]:
        """S4: leased again while the lease before certainly stood, or prolonged by less than was asked."""
        for settled in self._history.settled:
            if settled.lease_expires_at is not None and settled.lease_expires_at < settled.asked + settled.by:
                yield Violation("S4", f"{settled} ends too early")
        for before, after in self._successive():
            if after.granted < self._may_end(before, after.granted):
                yield Violation("S4", f"{after} while {before} held it")

    def _may_end(self, received: Received, until: datetime) -> datetime:
        """Return the earliest time at which a lease may have ended, as far as was asked before `until`."""
        settles = [settled for settled in self._settles.get(received.receipt, ()) if settled.asked < until]
        possible = [settled.asked for settled in settles if settled.verb in SPENDS and settled.may_have_happened]
        expiry, certain_at = received.lease_expires_at, received.asked
        extends = [settled for settled in settles if settled.verb == "extend" and settled.may_have_happened]
        for settled in extends:
            if settled.lease_expires_at is not None and settled.answered < until:
                expiry, certain_at = settled.lease_expires_at, settled.asked
        possible += [
            settled.asked + settled.by
            for settled in extends
            if settled.asked >= certain_at and (settled.lease_expires_at is None or settled.answered >= until)
        ]
        return min(expiry, *possible) if possible else expiry

    def _miscounted(self) -> Iterator[Violation]:
        """S5: receive_count did not rise by one, and nothing that happened in between explains it."""
        for deliveries in self._deliveries.values():
            first = deliveries[0]
            if first.receive_count < 1 or first.receive_count - 1 > self._doubts(None, first):
                yield Violation("S5", f"{first} is the first that anybody saw")
        for before, after in self._successive():
            step = after.receive_count - before.receive_count
            if step < 1 or step - 1 > self._doubts(before, after):
                yield Violation("S5", f"{after} follows {before}")

    def _doubts(self, before: Received | None, after: Received) -> int:
        """Return how many deliveries nobody saw there may have been between two that were seen."""
        since = before.granted if before else datetime.min.replace(tzinfo=after.granted.tzinfo)
        # A claim goes on for a moment after its client has gone.
        grace = timedelta(seconds=1)
        unanswered = sum(gone.asked < after.granted and gone.ended + grace > since for gone in self._history.unanswered)
        return unanswered + sum(since < fault.at + grace and fault.at < after.granted for fault in self._history.faults)

    def _after_delete(self) -> Iterator[Violation]:
        """S6: given out after a delete of it was answered."""
        for deliveries in self._deliveries.values():
            deleted = [
                settled.answered
                for received in deliveries
                for settled in self._settles.get(received.receipt, ())
                if settled.verb == "delete" and settled.happened
            ]
            for received in deliveries:
                if deleted and received.granted > min(deleted):
                    yield Violation("S6", f"{received} after its delete was answered at {min(deleted)}")

    def _superseded(self) -> Iterator[Violation]:
        """S7: a receipt still did something when another was already in somebody's hands."""
        for before, after in self._successive():
            for settled in self._settles.get(before.receipt, ()):
                if settled.asked > after.answered and settled.happened:
                    yield Violation("S7", f"{settled} although {after} superseded its lease")

    def _refused(self) -> Iterator[Violation]:
        """S7: a receipt was refused while its lease certainly stood."""
        for deliveries in self._deliveries.values():
            for received in deliveries:
                settles = self._settles.get(received.receipt, ())
                for settled in settles:
                    if settled.status not in {404, 409} or any(
                        other.verb in SPENDS and other.may_have_happened and other.asked < settled.answered
                        for other in settles
                    ):
                        continue
                    if settled.answered < self._may_end(received, settled.answered):
                        yield Violation("S7", f"{settled} was refused while its lease stood: {received}")

    def _early(self) -> Iterator[Violation]:
        """S8: given out before its delay, or that of its release, was over."""
        due = {sent.id: sent.asked + sent.delay for sent in self._history.sent if sent.id is not None}
        for message_id, deliveries in self._deliveries.items():
            first = deliveries[0]
            if message_id in due and first.granted < due[message_id]:
                yield Violation("S8", f"{first} before {due[message_id]}")
        for before, after in self._successive():
            for settled in self._settles.get(before.receipt, ()):
                released = settled.verb == "release" and settled.happened and settled.answered < after.granted
                if released and after.granted < settled.asked + settled.by:
                    yield Violation("S8", f"{after} before {settled} was over")

    def _successive(self) -> Iterator[tuple[Received, Received]]:
        for deliveries in self._deliveries.values():
            yield from pairwise(deliveries)
