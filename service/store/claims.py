"""Leasing messages to those who ask, and letting them wait.

Whoever receives stands in the line of its queue. One worker looks on behalf of all lines that have a reason to be
looked at: somebody came, a message was sent or released, a delay or lease ended, or a second has passed. Its look
*is* the claim, one statement for many lines, so that a message wakes one look and not five thousand. Waiting costs no
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

import asyncpg
import structlog

from service.errors import Problem, Unavailable
from service.model import MAX_ANSWER_BYTES, Queue
from service.store import counting, fifo
from service.store.clock import EPOCH, DatabaseClock
from service.store.connections import Link, settle_down
from service.store.identifiers import Identifiers
from service.store.lane import PATIENCE_SECONDS
from service.store.lines import Ask, Claimed, Line, answer_none
from service.store.marks import Marks, Scan
from service.store.sends import StaleQueue
from service.store.statements import STATEMENTS
from service.telemetry import LANE_BATCH, LEASES_EXPIRED, MESSAGES_RECEIVED, MESSAGES_REDELIVERED

_log = structlog.get_logger()

_CLAIM = STATEMENTS["messages.claim"]
_DUE = STATEMENTS["messages.due"]
_DUE_GROUPS = STATEMENTS["fifo.due"]
_FLOOR = STATEMENTS["messages.floor"]

MAX_CLAIMED = 1000
MAX_ROUND_BYTES = 32 * 1024 * 1024
# What nothing else tells (a lease that another process gave ended, a lost notification) is seen by then.
POLL_SECONDS = 1.0
_SOON = timedelta(seconds=POLL_SECONDS * 1.2)
_PROBE_SECONDS = 0.05
_RETRY_SECONDS = 0.25

by_position = itemgetter("urgency", "position", "id")


@dataclass(slots=True)
class _Look:
    """One line's part of a round. `queue` is the one it was asked for; meanwhile the line's may be a newer one."""

    line: Line
    queue: Queue
    asks: list[Ask]
    turn: int
    wanted: int
    budget: int


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
        max_parked: int,
    ) -> None:
        self._link = link
        self._clock = clock
        self._identifiers = identifiers
        self._give_back = give_back
        self._tell = tell
        self._max_parked = max_parked
        self._lines: dict[int, Line] = {}
        self._due: dict[Line, None] = {}
        self._marks = Marks()
        self._wake: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._draining = False
        self._turn = 0
        self._loop: asyncio.AbstractEventLoop
        self._batch_size = LANE_BATCH.labels(lane="claim")
        # How many receives wait here.
        self.parked = 0

    def open(self) -> None:
        """Start the worker."""
        self._loop = asyncio.get_running_loop()
        self._task = self._loop.create_task(self._work(), name="claims")

    async def close(self) -> None:
        """End the worker; all who still wait get nothing."""
        self.drain()
        if self._task is not None:
            await settle_down(self._task)

    def drain(self) -> None:
        """Answer all who wait with nothing, now, and lease nothing from here on."""
        self._draining = True
        self._due.clear()
        for line in self._lines.values():
            line.dismiss()

    def ask(self, queue: Queue, wanted: int, timeout: timedelta, *, patient: bool) -> Ask:
        """Stand in the queue's line. The future raises StaleQueue when the queue is not what the asker believes."""
        self._turn += 1
        patient = patient and self.parked < self._max_parked
        ask = Ask(self._turn, wanted, timeout, patient, self._loop.create_future())
        if patient:
            self.parked += 1
            ask.answer.add_done_callback(self._unpark)
        if self._draining:
            ask.answer.set_result(None)
            return ask
        line = self._lines.get(queue.id)
        if line is None:
            line = self._lines[queue.id] = Line(queue)
        elif queue.version > line.queue.version:
            line.queue = queue
        line.enter(ask)
        self._look_at(line)
        return ask

    def has_line(self, queue_id: int) -> bool:
        """Tell whether anybody may stand in the queue's line."""
        return queue_id in self._lines

    def _unpark(self, _answer: "asyncio.Future[Claimed | None]") -> None:
        self.parked -= 1

    def leave(self, queue: Queue, ask: Ask) -> None:
        """Stop waiting. What was leased meanwhile is given back."""
        line = self._lines.get(queue.id)
        if line is not None:
            line.leave(ask)
        answer_none(ask)

    def time_over(self, queue: Queue, ask: Ask) -> None:
        """Stop waiting, but not before the database was asked once: till then nobody knows that there is nothing."""
        line = self._lines.get(queue.id)
        if line is None or not line.hurry(ask):
            self.leave(queue, ask)

    def wake(self, queue_id: int) -> None:
        """Look at a queue's line, if anybody stands in it: something may be ready."""
        line = self._lines.get(queue_id)
        if line is not None and line.asks:
            self._look_at(line)

    def expect(self, queue_id: int, visible_at: datetime) -> None:
        """Look when this time of the database comes: something will be ready then."""
        line = self._lines.get(queue_id)
        if line is not None and line.asks:
            self._arm(line, self._clock.seconds_until(visible_at))

    def sweep(self) -> None:
        """Look at every line from the beginning: something may have been missed."""
        self._marks.reset()
        for line in self._lines.values():
            if line.asks:
                self._look_at(line)

    def _look_at(self, line: Line) -> None:
        self._due[line] = None
        self._stir()

    def _stir(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    def _arm(self, line: Line, seconds: float) -> None:
        """Look at the line after so many seconds, or earlier if that was already intended."""
        when = self._loop.time() + max(seconds, 0.0)
        if line.timer is not None and line.rings_at <= when:
            return
        if line.timer is not None:
            line.timer.cancel()
        # The handle does not tell its time where there is nothing to wait for: uvloop's is another kind then.
        line.timer, line.rings_at = self._loop.call_at(when, self._ring, line), when

    def _ring(self, line: Line) -> None:
        line.timer = None
        if line.asks:
            self._look_at(line)
        else:
            self._forget(line)

    def _forget(self, line: Line) -> None:
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
        """Take lines that are due, no more than one answer may carry, and those of each that are served alike."""
        looks: list[_Look] = []
        bytes_at_most = 0
        while self._due and bytes_at_most <= MAX_ROUND_BYTES and len(looks) < MAX_CLAIMED:
            line = next(iter(self._due))
            del self._due[line]
            asks = line.take(MAX_CLAIMED)
            if asks:
                wanted = 0 if line.queue.config.paused else min(sum(ask.wanted for ask in asks), MAX_CLAIMED)
                looks.append(_Look(line, line.queue, asks, self._turn, wanted, len(asks) * MAX_ANSWER_BYTES))
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
        except Exception:  # noqa: BLE001 - the worker outlives whatever happens; those who asked are told
            _log.exception("claim_failed")
            await self._fail(looks, Unavailable())

    async def _fail(self, looks: list[_Look], problem: Problem) -> None:
        """Tell all who took part, and leave the database a moment."""
        for look in looks:
            for ask in look.asks:
                look.line.leave(ask)
                answer_none(ask, problem)
            if look.line.asks:
                self._arm(look.line, _RETRY_SECONDS)
        await asyncio.sleep(_RETRY_SECONDS / 10)

    async def _claim(self, looks: list[_Look]) -> tuple[list[Line], datetime]:
        """Run one claim and hand out what it took.

        Return the lines in which somebody goes on waiting, and the time up to which they hold nothing.
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
        )
        self._clock.observe(rows[0]["upto"])
        taken: dict[int, list[asyncpg.Record]] = defaultdict(list)
        for row in islice(rows, len(looks), None):
            taken[row["ord"]].append(row)
        _count(rows[len(looks) :])
        for place, found in taken.items():
            counting.received(looks[place - 1].queue.id, len(found))
        parked = []
        for info in islice(rows, len(looks)):
            look = looks[info["ord"] - 1]
            got = sorted(taken[info["ord"]], key=by_position)
            exhausted = len(got) < look.wanted and sum(row["size"] for row in got) < look.budget
            rest = self._distribute(look, got, lease) if info["current"] else []
            if await self._finish(look, info, Claimed(look.queue, lease, rest), exhausted=exhausted):
                parked.append(look.line)
        return parked, rows[0]["upto"]

    async def _claim_groups(self, looks: list[_Look]) -> tuple[list[Line], datetime]:
        """Do the same in fifo queues: what comes from one group goes to one asker."""
        marks = await self._starts(looks)
        lease = self._identifiers.lease()
        wanted = [_fifo_look(look, mark) for look, mark in zip(looks, marks, strict=True)]
        await self._link.atomically(partial(fifo.claim, self._link, wanted, lease))
        parked, upto = [], EPOCH
        for look, found in zip(looks, wanted, strict=True):
            info = found.seen
            assert info is not None  # noqa: S101 - the statement answers for every queue it was asked about
            upto = info["upto"]
            rest: list[asyncpg.Record] = []
            for ask, receiver in zip(look.asks, found.receivers, strict=False):
                _count(receiver.rows)
                if not receiver.rows:
                    continue
                counting.received(look.queue.id, len(receiver.rows))
                if not self._serve_one(look, ask, Claimed(look.queue, lease, receiver.rows)):
                    rest += receiver.rows
            exhausted = found.groups < found.limit and not found.left
            if await self._finish(look, info, Claimed(look.queue, lease, rest), exhausted=exhausted):
                parked.append(look.line)
            if found.left:
                # Others passed over the groups that we held and did not take.
                self._tell(look.queue.id)
        self._clock.observe(upto)
        return parked, upto

    async def _starts(self, looks: list[_Look]) -> list[datetime]:
        """Return where the look at each queue begins."""
        at = self._loop.time()
        numbers = [look.queue.number for look in looks]
        if self._marks.wants_floor(numbers, at):
            [row] = await self._link.fetch(_FLOOR)
            self._marks.set_floor(row["next_xid"], row["running"], at)
        return [self._marks.start(number, at) for number in numbers]

    async def _finish(self, look: _Look, info: asyncpg.Record, rest: Claimed, *, exhausted: bool) -> bool:
        """Draw the conclusions of a look, give back what nobody took; tell whether somebody goes on waiting."""
        line, queue = look.line, look.queue
        if not info["current"]:
            line.dismiss(StaleQueue())
            return False
        if not queue.config.paused:
            scan = Scan(info["upto"], info["xid"], info["xmin"], info["lowest"])
            self._marks.learn(queue.number, scan, self._loop.time())
        if rest.rows:
            await self._give_back(rest)
        exhausted = exhausted or queue.config.paused
        if exhausted:
            # Those of other visibility timeouts would find nothing either.
            line.dismiss_impatient(look.turn)
        elif line.asks:
            self._due[line] = None
        if not line.asks and line.timer is None:
            self._forget(line)
        return exhausted and bool(line.asks)

    def _distribute(self, look: _Look, rows: list[asyncpg.Record], lease: int) -> list[asyncpg.Record]:
        """Serve the askers in turn; return what nobody takes."""
        start = 0
        for ask in look.asks:
            if start == len(rows):
                break
            end = _fill(rows, start, ask.wanted)
            if self._serve_one(look, ask, Claimed(look.queue, lease, rows[start:end])):
                start = end
        return rows[start:]

    def _serve_one(self, look: _Look, ask: Ask, claimed: Claimed) -> bool:
        """Give an asker its messages, unless it has gone."""
        if ask.answer.done():
            return False
        look.line.leave(ask)
        ask.answer.set_result(claimed)
        return True

    async def _probe(self, due: str, lines: list[Line], upto: datetime) -> None:
        """See which parked lines have a message that becomes visible soon after that time, and come back in time."""
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
    """Return what to ask of a fifo queue, for as many as one answer of the database can carry a message each."""
    most = max(1, look.budget // look.queue.config.max_message_bytes) if look.wanted else 0
    asks = look.asks[:most]
    share = max(1, min(MAX_ANSWER_BYTES, look.budget // max(len(asks), 1)))
    return fifo.Look(
        look.queue.number, look.queue.version, mark, [fifo.Receiver(ask.wanted, share, ask.timeout, []) for ask in asks]
    )


def _count(rows: list[asyncpg.Record]) -> None:
    if rows:
        MESSAGES_RECEIVED.inc(len(rows))
        MESSAGES_REDELIVERED.inc(sum(row["receive_count"] > 1 for row in rows))
        LEASES_EXPIRED.inc(sum(row["lapsed"] for row in rows))


def _fill(rows: list[asyncpg.Record], start: int, wanted: int) -> int:
    """Return the end of what one answer carries: at least one message, no more than wanted or than 8 MiB."""
    end, size = start, 0
    while end < len(rows) and end - start < wanted:
        size += rows[end]["size"]
        if end > start and size > MAX_ANSWER_BYTES:
            break
        end += 1
    return end
