"""Leasing messages to receives, which wait for them in lines.

A receive waits in the line of its queue. One worker serves all lines that have a reason to be served: a receive came, a
message was sent or released, a delay or lease ended, or a second has passed. Its look at the queues *is* the claim, one
statement for many lines, so that a message causes one look however many receives wait. A waiting receive uses no
connection.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from operator import itemgetter
from typing import Any

import asyncpg
import structlog

from service import tracing
from service.errors import Problem, Unavailable
from service.message import Leased
from service.model import MAX_ANSWER_BYTES, Queue
from service.store.database import process_counts
from service.store.database.clock import EPOCH, DatabaseClock
from service.store.database.connections import Link, settle_down
from service.store.database.identifiers import Identifiers
from service.store.database.lane import PATIENCE_SECONDS
from service.store.database.statements import STATEMENTS
from service.store.messaging import fifo
from service.store.messaging.leased import leased
from service.store.messaging.marks import Marks, Scan
from service.store.messaging.sends import StaleQueue
from service.store.messaging.takers import Taker, handed_over, share_columns
from service.store.messaging.waiting import Ask, Claimed, WaitingLine, answer_none, takers_of
from service.telemetry import LANE_BATCH, LEASES_EXPIRED, MESSAGES_RECEIVED, MESSAGES_REDELIVERED

_log = structlog.get_logger()

_CLAIM = STATEMENTS["receives.claim"]
_DUE = STATEMENTS["receives.due"]
_DUE_GROUPS = STATEMENTS["fifo.due"]
_FLOOR = STATEMENTS["receives.floor"]
_HAND_OVER = STATEMENTS["receives.hand_over"]

MAX_CLAIMED = 1000
MAX_ROUND_BYTES = 32 * 1024 * 1024
# Within this time a line notices what it is not told of, such as the end of another process's lease or a lost
# notification.
POLL_SECONDS = 1.0
_SOON = timedelta(seconds=POLL_SECONDS * 1.2)
_PROBE_SECONDS = 0.05
_RETRY_SECONDS = 0.25

by_position = itemgetter("urgency", "position", "id")


@dataclass(slots=True)
class _Look:
    """One line's part of a round. `queue` is the one that was asked; the line may get a newer version meanwhile."""

    line: WaitingLine
    queue: Queue
    asks: list[Ask]
    turn: int
    wanted: int
    budget: int
    # The takers of its messages, one by one; the last one takes all further messages.
    takers: list[Taker]


GiveBack = Callable[[Claimed], Awaitable[None]]


class Claims:
    """The lines of one process and the worker that serves them."""

    def __init__(
        self,
        link: Link,
        clock: DatabaseClock,
        identifiers: Identifiers,
        give_back: GiveBack,
        *,
        tell: Callable[[int], None],
        max_waiting: int,
    ) -> None:
        self._link = link
        self._clock = clock
        self._identifiers = identifiers
        self._give_back = give_back
        self._tell = tell
        self._max_waiting = max_waiting
        self._lines: dict[int, WaitingLine] = {}
        self._due: dict[WaitingLine, None] = {}
        self._marks = Marks()
        self._wake: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._draining = False
        self._turn = 0
        self._loop: asyncio.AbstractEventLoop
        self._batch_size = LANE_BATCH.labels(lane="claim")
        # How many receives wait in this process.
        self.waiting = 0

    def open(self) -> None:
        """Start the worker."""
        self._loop = asyncio.get_running_loop()
        self._task = self._loop.create_task(self._work(), name="claims")

    async def close(self) -> None:
        """End the worker; receives that still wait get nothing."""
        self.drain()
        if self._task is not None:
            await settle_down(self._task)

    def drain(self) -> None:
        """Answer all waiting receives with nothing, now, and lease nothing from here on."""
        self._draining = True
        self._due.clear()
        for line in self._lines.values():
            line.dismiss()

    def ask(self, queue: Queue, wanted: int, timeout: timedelta, taker: Taker, *, may_wait: bool) -> Ask:
        """Enter the queue's line.

        The answer raises StaleQueue if the queue was changed or deleted since the caller looked it up.
        """
        self._turn += 1
        may_wait = may_wait and self.waiting < self._max_waiting
        ask = Ask(self._turn, wanted, timeout, taker, may_wait, self._loop.create_future())
        if tracing.active is not None:
            ask.answer.add_done_callback(tracing.active.statement("claim"))
        if may_wait:
            self.waiting += 1
            ask.answer.add_done_callback(self._stopped_waiting)
        if self._draining:
            ask.answer.set_result(None)
            return ask
        line = self._lines.get(queue.id)
        if line is None:
            line = self._lines[queue.id] = WaitingLine(queue)
        elif queue.version > line.queue.version:
            line.queue = queue
        line.enter(ask)
        self._look_at(line)
        return ask

    def has_line(self, queue_id: int) -> bool:
        """Return whether the queue has a line, in which receives may be waiting."""
        return queue_id in self._lines

    def _stopped_waiting(self, _answer: "asyncio.Future[Claimed | None]") -> None:
        self.waiting -= 1

    def leave(self, queue: Queue, ask: Ask) -> None:
        """Stop waiting. Messages that were leased meanwhile are given back."""
        line = self._lines.get(queue.id)
        if line is not None:
            line.leave(ask)
        answer_none(ask)

    def time_over(self, queue: Queue, ask: Ask) -> None:
        """Stop waiting as soon as the database was asked once: only then is it known that there is no message."""
        line = self._lines.get(queue.id)
        if line is None or not line.hurry(ask):
            self.leave(queue, ask)

    def wake(self, queue_id: int) -> None:
        """Serve a queue's line, if a receive waits in it, because a message may be ready."""
        line = self._lines.get(queue_id)
        if line is not None and line.asks:
            self._look_at(line)

    def expect(self, queue_id: int, visible_at: datetime) -> None:
        """Serve a queue's line at this time of the database's clock, because a message will be ready then."""
        line = self._lines.get(queue_id)
        if line is not None and line.asks:
            self._arm(line, self._clock.seconds_until(visible_at))

    def sweep(self) -> None:
        """Serve every line, and look from the beginning of its queue, because something may have been missed."""
        self._marks.reset()
        for line in self._lines.values():
            if line.asks:
                self._look_at(line)

    def _look_at(self, line: WaitingLine) -> None:
        self._due[line] = None
        self._stir()

    def _stir(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    def _arm(self, line: WaitingLine, seconds: float) -> None:
        """Serve the line after `seconds`, or earlier if that is already planned."""
        when = self._loop.time() + max(seconds, 0.0)
        if line.timer is not None and line.rings_at <= when:
            return
        if line.timer is not None:
            line.timer.cancel()
        # The time is kept beside the handle: uvloop's handle does not have it if there is nothing to wait for.
        line.timer, line.rings_at = self._loop.call_at(when, self._ring, line), when

    def _ring(self, line: WaitingLine) -> None:
        line.timer = None
        if line.asks:
            self._look_at(line)
        else:
            self._forget(line)

    def _forget(self, line: WaitingLine) -> None:
        if self._lines.get(line.queue.id) is line:
            del self._lines[line.queue.id]

    async def _work(self) -> None:
        while True:
            if not self._due:
                self._wake = self._loop.create_future()
                await self._wake
                self._wake = None
            looks = self._plan()
            if looks:
                await self._serve(looks)

    def _plan(self) -> list[_Look]:
        """Take lines that are due, up to what one answer may carry, with the asks of each that can share a claim."""
        looks: list[_Look] = []
        bytes_at_most = 0
        while self._due and bytes_at_most <= MAX_ROUND_BYTES and len(looks) < MAX_CLAIMED:
            line = next(iter(self._due))
            del self._due[line]
            asks = line.take(MAX_CLAIMED)
            if asks:
                wanted = 0 if line.queue.config.paused else min(sum(ask.wanted for ask in asks), MAX_CLAIMED)
                budget = len(asks) * MAX_ANSWER_BYTES
                looks.append(_Look(line, line.queue, asks, self._turn, wanted, budget, takers_of(asks)))
                bytes_at_most += line.queue.config.max_message_bytes
        for look in looks:
            look.budget = min(look.budget, MAX_ROUND_BYTES // len(looks))
        return looks

    async def _serve(self, looks: list[_Look]) -> None:
        self._batch_size.observe(sum(len(look.asks) for look in looks))
        began = self._loop.time()
        standard = [look for look in looks if not look.queue.is_fifo]
        ordered = [look for look in looks if look.queue.is_fifo]
        try:
            if standard:
                await self._probe(_DUE, *await self._claim(standard))
            if ordered:
                await self._probe(_DUE_GROUPS, *await self._claim_groups(ordered))
        except Problem as problem:
            if self._loop.time() - began > PATIENCE_SECONDS:
                for line in (*self._due, *(look.line for look in looks)):
                    line.dismiss(problem)
            await self._fail(looks, problem)
        except Exception:  # noqa: BLE001 - the worker must survive every error; the receives are answered
            _log.exception("claim_failed")
            await self._fail(looks, Unavailable())

    async def _fail(self, looks: list[_Look], problem: Problem) -> None:
        """Answer the asks that took part with the problem, and give the database a moment."""
        for look in looks:
            for ask in look.asks:
                look.line.leave(ask)
                answer_none(ask, problem)
            if look.line.asks:
                self._arm(look.line, _RETRY_SECONDS)
        await asyncio.sleep(_RETRY_SECONDS / 10)

    async def _claim(self, looks: list[_Look]) -> tuple[list[WaitingLine], datetime]:
        """Run one claim and hand out the messages.

        Returns the lines in which receives still wait, and the time up to which their queues have no message.
        """
        marks = await self._starts(looks)
        lease = self._identifiers.lease()
        rows = await self._link.fetch(
            _CLAIM,
            [look.queue.number for look in looks],
            [look.queue.version for look in looks],
            marks,
            [look.wanted for look in looks],
            [look.budget for look in looks],
            [look.asks[0].timeout for look in looks],
            lease,
            [None] * len(looks),
            *share_columns([look.takers for look in looks]),
        )
        self._clock.observe(rows[0]["upto"])
        taken: dict[int, list[asyncpg.Record]] = defaultdict(list)
        for row in islice(rows, len(looks), None):
            taken[row["ord"]].append(row)
        for place, found in taken.items():
            process_counts.received(looks[place - 1].queue.id, len(found))
        waiting: list[WaitingLine] = []
        others: list[tuple[Any, ...]] = []
        for info in islice(rows, len(looks)):
            look = looks[info["ord"] - 1]
            got = [leased(row) for row in sorted(taken[info["ord"]], key=by_position)]
            _count(got)
            exhausted = len(got) < look.wanted and sum(message.size for message in got) < look.budget
            rest = self._distribute(look, got, lease, others) if info["current"] else []
            if await self._finish(look, info, Claimed(look.queue, lease, rest), exhausted=exhausted):
                waiting.append(look.line)
        if others:
            await self._link.fetch(_HAND_OVER, *map(list, zip(*others, strict=True)), lease)
        return waiting, rows[0]["upto"]

    async def _claim_groups(self, looks: list[_Look]) -> tuple[list[WaitingLine], datetime]:
        """Do the same in fifo queues, where the messages of one group go to one receive."""
        marks = await self._starts(looks)
        lease = self._identifiers.lease()
        wanted = [_fifo_look(look, mark) for look, mark in zip(looks, marks, strict=True)]
        await self._link.atomically(partial(fifo.claim, self._link, wanted, lease))
        waiting, upto = [], EPOCH
        for look, found in zip(looks, wanted, strict=True):
            info = found.seen
            assert info is not None  # noqa: S101 - the statement answers for every queue it was asked about
            upto = info["upto"]
            rest: list[Leased] = []
            for ask, receiver in zip(look.asks, found.receivers, strict=False):
                _count(receiver.messages)
                if not receiver.messages:
                    continue
                process_counts.received(look.queue.id, len(receiver.messages))
                if not self._serve_one(look, ask, Claimed(look.queue, lease, receiver.messages)):
                    rest += receiver.messages
            exhausted = found.groups < found.limit and not found.left
            if await self._finish(look, info, Claimed(look.queue, lease, rest), exhausted=exhausted):
                waiting.append(look.line)
            if found.left:
                # Other processes passed over the groups that this claim locked and did not take.
                self._tell(look.queue.id)
        self._clock.observe(upto)
        return waiting, upto

    async def _starts(self, looks: list[_Look]) -> list[datetime]:
        """Return the position where the claim begins in each queue."""
        at = self._loop.time()
        numbers = [look.queue.number for look in looks]
        if self._marks.wants_floor(numbers, at):
            [row] = await self._link.fetch(_FLOOR)
            self._marks.set_floor(row["next_xid"], row["running"], at)
        return [self._marks.start(number, at) for number in numbers]

    async def _finish(self, look: _Look, info: asyncpg.Record, rest: Claimed, *, exhausted: bool) -> bool:
        """Finish a look: update the mark and the line, and give `rest` back; return whether receives still wait."""
        line, queue = look.line, look.queue
        if not info["current"]:
            line.dismiss(StaleQueue())
            return False
        if not queue.config.paused:
            scan = Scan(info["upto"], info["xid"], info["xmin"], info["lowest"])
            self._marks.learn(queue.number, scan, self._loop.time())
        if rest.messages:
            await self._give_back(rest)
        exhausted = exhausted or queue.config.paused
        if exhausted:
            # Asks with another visibility timeout were not in the look, but would find nothing either.
            line.finish_look(look.turn)
        elif line.asks:
            self._due[line] = None
        if not line.asks and line.timer is None:
            self._forget(line)
        return exhausted and bool(line.asks)

    def _distribute(
        self, look: _Look, messages: list[Leased], lease: int, others: list[tuple[Any, ...]]
    ) -> list[Leased]:
        """Answer the asks in turn; return the messages that are left over.

        Adds to `others` the messages that were claimed for another taker than the one that gets them.
        """
        start = 0
        for ask in look.asks:
            if start == len(messages):
                break
            end = _fill(messages, start, ask.wanted)
            if self._serve_one(look, ask, Claimed(look.queue, lease, messages[start:end])):
                if len(look.takers) > 1:
                    others += handed_over(look.queue.number, messages[start:end], look.takers[start:end], ask.taker)
                start = end
        return messages[start:]

    def _serve_one(self, look: _Look, ask: Ask, claimed: Claimed) -> bool:
        """Answer an ask with its messages; return False if it is answered already because its receive has ended."""
        if ask.answer.done():
            return False
        look.line.leave(ask)
        ask.answer.set_result(claimed)
        return True

    async def _probe(self, due: str, lines: list[WaitingLine], upto: datetime) -> None:
        """Find the waiting lines with a message that becomes visible soon after `upto`, and serve them at its time."""
        now = self._loop.time()
        fresh = [line for line in lines if now - line.probed_at >= _PROBE_SECONDS]
        for line in lines:
            self._arm(line, POLL_SECONDS if now - line.probed_at >= _PROBE_SECONDS else _PROBE_SECONDS)
        if not fresh:
            return
        for line in fresh:
            line.probed_at = now
        by_number = {line.queue.number: line for line in fresh}
        for row in await self._link.fetch(due, list(by_number), upto, _SOON):
            self._arm(by_number[row["number"]], self._clock.seconds_until(row["visible_at"]))


def _fifo_look(look: _Look, mark: datetime) -> fifo.Look:
    """Return a fifo queue's part of a claim, for as many asks as one result can carry a message each."""
    most = max(1, look.budget // look.queue.config.max_message_bytes) if look.wanted else 0
    asks = look.asks[:most]
    share = max(1, min(MAX_ANSWER_BYTES, look.budget // max(len(asks), 1)))
    receivers = [fifo.Receiver(ask.wanted, share, ask.timeout, [], taker=ask.taker) for ask in asks]
    return fifo.Look(look.queue.number, look.queue.version, mark, receivers)


def _count(messages: list[Leased]) -> None:
    if messages:
        MESSAGES_RECEIVED.inc(len(messages))
        MESSAGES_REDELIVERED.inc(sum(message.receive_count > 1 for message in messages))
        LEASES_EXPIRED.inc(sum(message.lapsed for message in messages))


def _fill(messages: list[Leased], start: int, wanted: int) -> int:
    """Return where one answer's messages end: at least one message, at most `wanted`, and at most 8 MiB."""
    end, size = start, 0
    while end < len(messages) and end - start < wanted:
        size += messages[end].size
        if end > start and size > MAX_ANSWER_BYTES:
            break
        end += 1
    return end
