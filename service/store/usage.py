"""What projects with a limit on it have stored: messages and octets, over all their queues.

Counted from the tables, so that whatever removes messages need not tell. The processes share what was counted; each
adds what it has sent since. What others have sent since is seen at the next count, which comes the sooner the less
there is to count. Projects that send nothing, or set no such limit, cost nothing.
"""

import asyncio
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from service.errors import QuotaExceeded, Unavailable
from service.model import NO_ID, Draft, ProjectLimits
from service.store.statements import STATEMENTS
from service.store.transactions import by_index, transaction

_log = structlog.get_logger()

_USAGE = STATEMENTS["limits.usage"]
_NUMBERS = STATEMENTS["limits.numbers"]
_COUNT = STATEMENTS["limits.count"]
_NOTE = STATEMENTS["limits.note_usage"]

_CHUNK = 50_000
_QUEUES_AT_ONCE = 100
# Between counts: at least this, and so many times what the last one took; longer while there is much room.
_REST_SECONDS = 0.4
_HASTE_SECONDS = 0.1
_REST_FACTOR = 3
_ROOMY_FACTOR = 12
_NEAR = 0.8
# How long a send waits for the first count; a project that takes longer is counted in the background.
_PATIENCE_SECONDS = 1.5
# What a request has said of the limits holds for what it sends, and not for ever.
_WATCHED_SECONDS = 10.0
_BIN_SECONDS = 0.01
_REMEMBERED = 10_000

_nothing: AbstractContextManager[None] = nullcontext()


@dataclass(slots=True)
class _Sent:
    """What was sent within a moment."""

    at: float
    messages: int
    octets: int


@dataclass(slots=True)
class _Usage:
    """What is known of one project. Times are of time.monotonic()."""

    limits: ProjectLimits
    watched_until: float = 0.0
    messages: int = 0
    octets: int = 0
    counted_at: float | None = None
    took: float = 0.0
    # Sent by this process since then, and being sent.
    since: deque[_Sent] = field(default_factory=deque)
    since_messages: int = 0
    since_octets: int = 0
    counting: asyncio.Task[None] | None = None

    def excess(self, messages: int, octets: int) -> str | None:
        """Return the limit that so much more would go beyond."""
        limits = self.limits
        if limits.messages is not None and self.messages + self.since_messages + messages > limits.messages:
            return "messages"
        if limits.bytes is not None and self.octets + self.since_octets + octets > limits.bytes:
            return "bytes"
        return None

    def is_due(self, now: float, least: float) -> bool:
        """Tell whether to count again."""
        if self.counted_at is None:
            return True
        near = self.excess(int((1 - _NEAR) * (self.limits.messages or 0)), int((1 - _NEAR) * (self.limits.bytes or 0)))
        factor = _REST_FACTOR if near else _ROOMY_FACTOR
        return now - self.counted_at > max(least, factor * self.took)

    def note(self, at: float, messages: int, octets: int) -> None:
        """Take in what has been sent."""
        if self.since and at - self.since[-1].at < _BIN_SECONDS:
            self.since[-1].messages += messages
            self.since[-1].octets += octets
        else:
            self.since.append(_Sent(at, messages, octets))

    def learn(self, counted_at: float, messages: int, octets: int, took: float) -> None:
        """Take in what was counted; what had been sent by then is in it."""
        self.counted_at, self.messages, self.octets, self.took = counted_at, messages, octets, took
        while self.since and self.since[0].at <= counted_at:
            sent = self.since.popleft()
            self.since_messages -= sent.messages
            self.since_octets -= sent.octets


class Usage:
    """The projects whose stored messages this process keeps within limits."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._usages: dict[int, _Usage] = {}

    async def check(self, project_id: int, limits: ProjectLimits) -> None:
        """Refuse whatever is sent to a full project, and watch what is sent now. Raises QuotaExceeded."""
        usage = self._usages.get(project_id)
        if usage is None:
            if len(self._usages) >= _REMEMBERED:
                del self._usages[next(iter(self._usages))]
            usage = self._usages[project_id] = _Usage(limits)
        usage.limits = limits
        now = time.monotonic()
        usage.watched_until = now + _WATCHED_SECONDS
        if usage.counted_at is None or (usage.excess(1, 0) is not None and usage.is_due(now, _HASTE_SECONDS)):
            await asyncio.wait({self._count(project_id, usage)}, timeout=_PATIENCE_SECONDS)
        elif usage.is_due(now, _REST_SECONDS):
            self._count(project_id, usage)
        _refuse(usage, 1, 0)

    def forget(self, project_id: int) -> None:
        """Watch a project no longer."""
        if project_id in self._usages:
            del self._usages[project_id]

    def room(self, project_id: int, drafts: Sequence[Draft]) -> AbstractContextManager[None]:
        """Return what to send within: it refuses what does not fit, and counts what was sent. Raises QuotaExceeded."""
        usage = self._usages.get(project_id)
        if usage is None or time.monotonic() > usage.watched_until:
            return _nothing
        return _room(usage, len(drafts), sum(draft.size for draft in drafts))

    def _count(self, project_id: int, usage: _Usage) -> asyncio.Task[None]:
        if usage.counting is None:
            usage.counting = asyncio.get_running_loop().create_task(self._learn(project_id, usage), name="usage")
        return usage.counting

    async def _learn(self, project_id: int, usage: _Usage) -> None:
        """Take what another process has counted a moment ago, or count."""
        try:
            if not await self._adopt(project_id, usage):
                await self._measure(project_id, usage)
        except Unavailable:
            _log.info("usage_uncounted")
        except Exception:  # noqa: BLE001 - the next count may succeed; till then the last one stands
            _log.exception("usage_failed")
        finally:
            usage.counting = None

    async def _adopt(self, project_id: int, usage: _Usage) -> bool:
        rows = await self._run(_USAGE, project_id)
        if not rows:
            return False
        [found] = rows
        counted_at = time.monotonic() - found.age.total_seconds()
        took = found.took.total_seconds()
        is_newer = usage.counted_at is None or counted_at > usage.counted_at + _HASTE_SECONDS / 2
        # A count of the future is one from before the clock was set back: nobody knows how old it is.
        if not is_newer or not 0 <= found.age.total_seconds() <= max(_HASTE_SECONDS, _REST_FACTOR * took):
            return False
        usage.learn(counted_at, found.messages, found.bytes, took)
        return True

    async def _measure(self, project_id: int, usage: _Usage) -> None:
        began = time.monotonic()
        [moment] = await self._run(_NUMBERS, project_id)
        left = [(number, NO_ID) for number in moment.numbers]
        messages = octets = 0
        counted_at = time.monotonic()
        while left:
            part, left = left[:_QUEUES_AT_ONCE], left[_QUEUES_AT_ONCE:]
            rows = await self._run(_COUNT, [number for number, _ in part], [after for _, after in part], _CHUNK)
            messages += sum(row.messages for row in rows)
            octets += sum(row.bytes for row in rows)
            left += [(row.number, row.last) for row in rows if row.messages == _CHUNK]
        took = time.monotonic() - began
        usage.learn(counted_at, messages, octets, took)
        await self._run(_NOTE, project_id, messages, octets, moment.now, timedelta(seconds=took))

    async def _run(self, sql: str, *arguments: Any) -> list[Any]:
        async def work(connection: AsyncConnection) -> list[Any]:
            await by_index(connection)
            result = await connection.exec_driver_sql(sql, arguments)
            return list(result) if result.returns_rows else []

        return await transaction(self._engine, work)


@contextmanager
def _room(usage: _Usage, messages: int, octets: int) -> Iterator[None]:
    _refuse(usage, messages, octets)
    usage.since_messages += messages
    usage.since_octets += octets
    try:
        yield
    except BaseException:
        usage.since_messages -= messages
        usage.since_octets -= octets
        raise
    usage.note(time.monotonic(), messages, octets)


def _refuse(usage: _Usage, messages: int, octets: int) -> None:
    name = usage.excess(messages, octets)
    if name is not None:
        detail = "Nothing was stored. Consume messages or purge a queue first; the operator can raise the limit."
        raise QuotaExceeded(name, cast("int", getattr(usage.limits, name)), detail)
