"""What a project's queues hold, as docs/reference/api.md has it: plain lists, one caller, time in whole ticks.

An event happens a little later than the one before it, by far less than a tick: what is due in the tick of now is due.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

Tick = int
# When something is due: its tick, and the event that said so.
Moment = tuple[Tick, int]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Where a queue's dead letters go."""

    queue: str
    max_receives: int
    expired: bool


@dataclass(eq=False, slots=True)
class Message:
    """One message. `lease` is the receipt of the last delivery, until it is released."""

    id: str
    body: Any
    visible: Moment
    first_visible: Tick
    priority: int = 0
    group: str | None = None
    expires: Tick | None = None
    lease: str | None = None
    # The event of its last delivery, which it shares with what was received beside it.
    delivery: int = 0
    receive_count: int = 0
    last_error: str | None = None
    dead_letter: dict[str, Any] | None = None


@dataclass(eq=False, slots=True)
class Queue:
    """One queue; its messages in the order in which they came."""

    name: str
    fifo: bool
    visibility_timeout: Tick = 3
    delay: Tick = 0
    retention: Tick | None = None
    window: Tick = 2
    dead_letter: DeadLetter | None = None
    paused: bool = False
    messages: list[Message] = field(default_factory=list)
    # The first message of each deduplication id, and until when it counts.
    known: dict[str, tuple[str, Tick]] = field(default_factory=dict)


@dataclass(eq=False, slots=True)
class Lease:
    """What a receipt stands for; `spent`: by which call, and when; `given_again`: the message was, after that."""

    queue: Queue
    message: Message
    spent: tuple[str, Tick] | None = None
    given_again: bool = False


class Model:
    """The queues and receipts of one project."""

    def __init__(self) -> None:
        self.now: Tick = 0
        self.queues: dict[str, Queue] = {}
        self.leases: dict[str, Lease] = {}
        self._events = count(1)
        self._event: int | None = None

    def moment(self, ticks: Tick = 0) -> Moment:
        """Return when something is due that is said now."""
        return self.now + ticks, self._event or next(self._events)

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Take what happens inside for one event."""
        self._event = next(self._events)
        yield
        self._event = None

    def send(self, queue: Queue, message_id: str, body: Any, at: Moment, fields: dict[str, Any]) -> None:
        """Store a message; its delay is in `at`, the same for all of a batch."""
        due = at[0] + (queue.delay if fields.get("delay") is None else fields["delay"])
        ttl = fields.get("ttl")
        queue.messages.append(
            Message(
                id=message_id,
                body=body,
                visible=(due, at[1]),
                first_visible=due,
                priority=fields.get("priority") or 0,
                group=fields.get("group"),
                expires=None if ttl is None else due + ttl,
            )
        )

    def is_held(self, message: Message) -> bool:
        """Tell whether somebody's lease stands."""
        return message.lease is not None and message.visible[0] > self.now

    def is_visible(self, message: Message) -> bool:
        """Tell whether its delay or lease is over."""
        return message.visible[0] <= self.now

    def is_exhausted(self, queue: Queue, message: Message) -> bool:
        """Tell whether its last delivery has ended."""
        letter = queue.dead_letter
        return letter is not None and message.receive_count >= letter.max_receives and self.is_visible(message)

    def is_expired(self, queue: Queue, message: Message) -> bool:
        """Tell whether its time is over and nobody holds it."""
        expires = message.expires
        if expires is None and queue.retention is not None:
            expires = message.first_visible + queue.retention
        return expires is not None and expires <= self.now and not self.is_held(message)

    def stats(self, queue: Queue) -> dict[str, int]:
        """Count as `stats` does."""
        held = sum(self.is_held(message) for message in queue.messages)
        ready = sum(self.is_visible(message) for message in queue.messages)
        total = len(queue.messages)
        return {"ready": ready, "delayed": total - ready - held, "leased": held, "total": total}

    def leaving(self) -> list[tuple[Queue, Message, str]]:
        """Return what has to leave its queue within a second, and why."""
        return [
            (queue, message, "max_receives" if self.is_exhausted(queue, message) else "expired")
            for queue in self.queues.values()
            for message in queue.messages
            if self.is_exhausted(queue, message) or self.is_expired(queue, message)
        ]

    def leave(self, queue: Queue, message: Message, reason: str, error: str | None = None) -> None:
        """Move a message to the dead-letter queue; drop it where there is none for this reason."""
        queue.messages.remove(message)
        message.lease = None
        letter = queue.dead_letter
        if letter is None or (reason == "expired" and not letter.expired):
            return
        block = {
            "source_queue": queue.name,
            "reason": reason,
            "receive_count": message.receive_count,
            "attempts": 0,
            "last_error": error or message.last_error,
        }
        self._arrive(self.queues[letter.queue], message, self.moment(), block)

    def redrive(self, dead: Queue, to: str | None) -> tuple[int, int]:
        """Put dead letters back; return how many were moved and skipped."""
        moved, skipped, at = 0, 0, self.moment()
        busy = {group for group, members in self.groups(dead).items() if not self._is_free(members)}
        for message in list(dead.messages):
            if (dead.fifo and message.group in busy) or self.is_held(message) or message.first_visible > self.now:
                continue
            target = self.queues.get(to or (message.dead_letter or {}).get("source_queue", ""))
            if target is None or target is dead:
                skipped += 1
                continue
            moved += 1
            dead.messages.remove(message)
            message.lease = None
            self._arrive(target, message, at, None)
        return moved, skipped

    def _arrive(self, queue: Queue, message: Message, at: Moment, dead_letter: dict[str, Any] | None) -> None:
        """Store a copy: receipts stand for the one that has left."""
        queue.messages.append(
            Message(message.id, message.body, at, at[0], message.priority, message.group, dead_letter=dead_letter)
        )

    def groups(self, queue: Queue) -> dict[str | None, list[Message]]:
        """Return the messages of each group, in order."""
        groups: dict[str | None, list[Message]] = {}
        for message in queue.messages:
            groups.setdefault(message.group, []).append(message)
        return groups

    def _is_free(self, members: list[Message]) -> bool:
        return not any(self.is_held(message) for message in members) and self.is_visible(members[0])

    def runs(self, queue: Queue) -> Iterator[list[Message]]:
        """Yield what somebody may take of each free group of a fifo queue."""
        for members in self.groups(queue).values():
            if self._is_free(members):
                run = []
                for message in members:
                    if not self.is_visible(message):
                        break
                    run.append(message)
                yield run

    def lease(self, queue: Queue, message: Message, receipt: str, at: Moment) -> None:
        """Give a message to somebody until then."""
        message.lease, message.visible, message.delivery = receipt, at, at[1]
        message.receive_count += 1
        for earlier in self.leases.values():
            earlier.given_again = earlier.given_again or earlier.message.id == message.id
        self.leases[receipt] = Lease(queue, message)

    def current(self, receipt: str) -> Lease | None:
        """Return what a receipt still holds."""
        lease = self.leases.get(receipt)
        if lease is None or self.queues.get(lease.queue.name) is not lease.queue:
            return None
        return lease if lease.message.lease == receipt and lease.message in lease.queue.messages else None

    def retakes(self, receipt: str, verb: str) -> bool:
        """Return whether a call would take hold of a fifo group again that its caller has let go."""
        lease = self.current(receipt)
        return lease is not None and verb == "extend" and lease.queue.fifo and not self.is_held(lease.message)

    def serves(self, receipt: str, verb: str) -> bool:
        """Return whether a call with a receipt is done: a group that another one holds is not taken again."""
        lease = self.current(receipt)
        if lease is None or not self.retakes(receipt, verb):
            return lease is not None
        members = self.groups(lease.queue)[lease.message.group]
        return not any(self.is_held(other) and other.delivery != lease.message.delivery for other in members)

    def refusal(self, receipt: str, verb: str) -> set[str]:
        """Return how a call with a receipt that holds nothing may be answered."""
        lease = self.leases.get(receipt)
        if lease is None or self.queues.get(lease.queue.name) is not lease.queue:
            return {"receipt_not_found"}
        if lease.spent is None or lease.spent[0] != verb or verb == "extend":
            return {"lease_lost"}
        # Remembered for ten minutes, which a tick is longer than, or until it is given out again; perhaps for longer.
        return {"ok"} if lease.spent[1] == self.now and not lease.given_again else {"ok", "lease_lost"}

    def settle(
        self, receipt: str, verb: str, ticks: Tick = 0, error: str | None = None, *, counted: bool = True
    ) -> None:
        """Do what a call with a current receipt does."""
        lease = self.leases[receipt]
        queue, message = lease.queue, lease.message
        if verb == "extend":
            message.visible = self.moment(ticks)
            return
        lease.spent = verb, self.now
        letter = queue.dead_letter
        last = letter is not None and message.receive_count >= letter.max_receives
        if verb == "delete":
            queue.messages.remove(message)
            message.lease = None
        elif verb == "reject":
            self.leave(queue, message, "rejected", error)
        elif counted and last:
            self.leave(queue, message, "max_receives", error)
        else:
            message.lease, message.visible = None, self.moment(ticks)
            message.last_error = error or message.last_error
            message.receive_count -= not counted
