"""Whether a queue that keeps its promises could have answered so.

Everything runs on one machine: the clients' clock and the database's are the same. An answer that never came (`None`)
may stand for anything that the request could have done; the judge only speaks of what no such doubt explains.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import cached_property
from itertools import combinations, pairwise

from tests.faults.history import Dead, History, Received, Sent, Settled, Violation

SPENDS = frozenset({"delete", "release", "reject"})


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
            self._overtaken,
            self._two_holders_of_a_group,
            self._not_once_dead,
            self._dead_too_early,
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

    @cached_property
    def _dead(self) -> dict[str, list[Dead]]:
        """Hold what the dead-letter queue had of each message."""
        dead: defaultdict[str, list[Dead]] = defaultdict(list)
        for letter in self._history.dead:
            dead[letter.id].append(letter)
        return dead

    @cached_property
    def _groups(self) -> list[list[Sent]]:
        """Hold the messages of each group."""
        groups: defaultdict[str, list[Sent]] = defaultdict(list)
        for sent in self._history.sent:
            if sent.group is not None and sent.id is not None:
                groups[sent.group].append(sent)
        return [*groups.values()]

    def _lost(self) -> Iterator[Violation]:
        """S1: answered, never consumed as far as anybody asked for it, and no longer there."""
        if not self._history.drained:
            return
        consumes = {"delete"} if self._history.max_receives else {"delete", "reject"}
        for sent in self._history.sent:
            if (
                sent.id is not None
                and sent.id not in self._dead
                and not any(
                    settled.verb in consumes and settled.may_have_happened
                    for received in self._deliveries.get(sent.id, ())
                    for settled in self._settles.get(received.receipt, ())
                )
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
        for letter in self._history.dead:
            if letter.body not in asked or bodies.get(letter.id, letter.body) != letter.body:
                yield Violation("S2", f"{letter} is not what was sent")
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
        """S6: given out after a delete of it was answered, or then in the dead-letter queue."""
        for message_id, deliveries in self._deliveries.items():
            deleted = [
                settled.answered
                for received in deliveries
                for settled in self._settles.get(received.receipt, ())
                if settled.verb == "delete" and settled.happened
            ]
            for received in deliveries:
                if deleted and received.granted > min(deleted):
                    yield Violation("S6", f"{received} after its delete was answered at {min(deleted)}")
            if deleted and message_id in self._dead:
                yield Violation("S6", f"{self._dead[message_id]} though its delete was answered at {min(deleted)}")

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

    def _overtaken(self) -> Iterator[Violation]:
        """F1: given out for the first time before what was sent earlier; F3: while that was there, given out later."""
        for group in self._groups:
            seen = [(sent, self._deliveries[sent.id]) for sent in group if sent.id and sent.id in self._deliveries]
            for one, other in combinations(seen, 2):
                earlier, later = (one, other) if one[0].is_before(other[0]) else (other, one)
                if earlier[0].is_before(later[0]):
                    yield from self._overtakes(earlier[1], later[1])

    def _overtakes(self, earlier: list[Received], later: list[Received]) -> Iterator[Violation]:
        """Look at the deliveries of two messages that have an order."""
        together = {received.asked: received for received in earlier}
        for received in later:
            companion = together.get(received.asked)
            if companion is not None and companion.granted == received.granted:
                if companion.place > received.place:
                    yield Violation("F1", f"{received} before {companion} in one answer")
            elif received.granted < earlier[0].granted:
                yield Violation("F1", f"{received} before {earlier[0]}, which was sent earlier")
            elif received.granted < earlier[-1].granted:
                yield Violation("F3", f"{received} while an earlier message was there: {earlier[-1]}")

    def _two_holders_of_a_group(self) -> Iterator[Violation]:
        """F2: something of a group given out while a lease of another answer certainly stood."""
        for group in self._groups:
            answers: defaultdict[datetime, list[Received]] = defaultdict(list)
            for sent in group:
                for received in self._deliveries.get(sent.id or "", ()):
                    answers[received.granted].append(received)
            for before, after in combinations(sorted(answers), 2):
                for held in answers[before]:
                    if after < self._may_end(held, after):
                        yield Violation("F2", f"{answers[after]} while {held} held the group")

    def _not_once_dead(self) -> Iterator[Violation]:
        """Q1: dead twice, dead and given out, given out too often, or rejected and not dead."""
        most = self._history.max_receives
        if most is None:
            return
        for message_id, deliveries in self._deliveries.items():
            dead = self._dead.get(message_id, [])
            if len(dead) > 1:
                yield Violation("Q1", f"{dead} are one message")
            if dead and deliveries[-1].granted > dead[0].at:
                yield Violation("Q1", f"{deliveries[-1]} though it is {dead[0]}")
            if deliveries[-1].receive_count > most:
                yield Violation("Q1", f"{deliveries[-1]} is one too many")
            if self._history.drained and not dead and self._is_rejected(deliveries[-1]):
                yield Violation("Q1", f"{deliveries[-1]} was rejected and is nowhere")

    def _is_rejected(self, received: Received) -> bool:
        return any(settled.verb == "reject" and settled.happened for settled in self._settles.get(received.receipt, ()))

    def _dead_too_early(self) -> Iterator[Violation]:
        """Q2: dead with deliveries left and without a reject, or before its last lease may have ended."""
        for letter in self._history.dead:
            deliveries = self._deliveries.get(letter.id, [])
            rejected = any(
                settled.verb == "reject" and settled.may_have_happened
                for received in deliveries
                for settled in self._settles.get(received.receipt, ())
            )
            if letter.receive_count != self._history.max_receives and not rejected:
                yield Violation("Q2", f"{letter} had deliveries left")
            last = next((received for received in deliveries if received.receive_count == letter.receive_count), None)
            if last is not None and letter.at < self._may_end(last, letter.at):
                yield Violation("Q2", f"{letter} while {last} held it")
