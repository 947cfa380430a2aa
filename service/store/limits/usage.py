"""The limits on what a project stores: messages and bytes, over all its queues.

What is stored is counted from the tables, so that code which removes messages need not report it. The processes share
each count, and each adds what it has sent since. A process sees what others have sent since at the next count, which
comes the sooner the less there is to count. Projects that send nothing, or have no such limit, cost nothing.
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
from service.message import Draft
from service.model import NO_ID, ProjectLimits
from service.store.database.statements import STATEMENTS
from service.store.database.transaction import by_index, transaction

_log = structlog.get_logger()

_USAGE = STATEMENTS["usage.noted"]
_NUMBERS = STATEMENTS["usage.numbers"]
_COUNT = STATEMENTS["usage.count"]
_NOTE = STATEMENTS["usage.note"]

_CHUNK = 50_000
_QUEUES_AT_ONCE = 100
# The pause between counts: at least this, and so many times as long as the last count took; longer with much room left.
_REST_SECONDS = 0.4
_HASTE_SECONDS = 0.1
_REST_FACTOR = 3
_ROOMY_FACTOR = 12
_NEAR = 0.8
# How long a send waits for the first count; a project that takes longer is counted in the background.
_PATIENCE_SECONDS = 1.5
# How long the limits that came with a request apply to sends of the project.
_WATCHED_SECONDS = 10.0
_BIN_SECONDS = 0.01
_REMEMBERED = 10_000

_nothing: AbstractContextManager[None] = nullcontext()


@dataclass(slots=True)
class _Sent:
    """The messages that were sent within one short interval."""

    at: float
    messages: int
    size: int


@dataclass(slots=True)
class _Usage:
    """The state of one project's storage. Times are by time.monotonic()."""

    limits: ProjectLimits
    watched_until: float = 0.0
    messages: int = 0
    size: int = 0
    counted_at: float | None = None
    took: float = 0.0
    # Messages that this process has sent since the count, and those that it is sending now.
    since: deque[_Sent] = field(default_factory=deque)
    since_messages: int = 0
    since_bytes: int = 0
    counting: asyncio.Task[None] | None = None

    def excess(self, messages: int, size: int) -> str | None:
        """Return the limit that this much more would exceed, or None."""
        limits = self.limits
        if limits.messages is not None and self.messages + self.since_messages + messages > limits.messages:
            return "messages"
        if limits.bytes is not None and self.size + self.since_bytes + size > limits.bytes:
            return "bytes"
        return None

    def is_due(self, now: float, least: float) -> bool:
        """Return whether to count again."""
        if self.counted_at is None:
            return True
        near = self.excess(int((1 - _NEAR) * (self.limits.messages or 0)), int((1 - _NEAR) * (self.limits.bytes or 0)))
        factor = _REST_FACTOR if near else _ROOMY_FACTOR
        return now - self.counted_at > max(least, factor * self.took)

    def note(self, at: float, messages: int, size: int) -> None:
        """Note what has been sent."""
        if self.since and at - self.since[-1].at < _BIN_SECONDS:
            self.since[-1].messages += messages
            self.since[-1].size += size
        else:
            self.since.append(_Sent(at, messages, size))

    def learn(self, counted_at: float, messages: int, size: int, took: float) -> None:
        """Replace the count. What was sent before `counted_at` is included in it."""
        self.counted_at, self.messages, self.size, self.took = counted_at, messages, size, took
        while self.since and self.since[0].at <= counted_at:
            sent = self.since.popleft()
            self.since_messages -= sent.messages
            self.since_bytes -= sent.size


class Usage:
    """The projects whose stored messages this process checks against limits."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._usages: dict[int, _Usage] = {}

    async def check(self, project_id: int, limits: ProjectLimits) -> None:
        """Raise QuotaExceeded if the project is full; otherwise check what it sends in the next seconds."""
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
        """Stop checking a project."""
        if project_id in self._usages:
            del self._usages[project_id]

    def room(self, project_id: int, drafts: Sequence[Draft]) -> AbstractContextManager[None]:
        """Return a context to send in: it refuses messages that do not fit, and counts what was sent.

        Entering it raises QuotaExceeded.
        """
        usage = self._usages.get(project_id)
        if usage is None or time.monotonic() > usage.watched_until:
            return _nothing
        return _room(usage, len(drafts), sum(draft.size for draft in drafts))

    def _count(self, project_id: int, usage: _Usage) -> asyncio.Task[None]:
        if usage.counting is None:
            usage.counting = asyncio.get_running_loop().create_task(self._learn(project_id, usage), name="usage")
        return usage.counting

    async def _learn(self, project_id: int, usage: _Usage) -> None:
        """Use the count that another process has just made, or count."""
        try:
            if not await self._adopt(project_id, usage):
                await self._measure(project_id, usage)
        except Unavailable:
            _log.info("usage_uncounted")
        except Exception:  # noqa: BLE001 - the next count may succeed; until then the last one applies
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
        # A count in the future was made before the clock was set back, so its age is unknown.
        if not is_newer or not 0 <= found.age.total_seconds() <= max(_HASTE_SECONDS, _REST_FACTOR * took):
            return False
        usage.learn(counted_at, found.messages, found.bytes, took)
        return True

    async def _measure(self, project_id: int, usage: _Usage) -> None:
        began = time.monotonic()
        [moment] = await self._run(_NUMBERS, project_id)
        left = [(number, NO_ID) for number in moment.numbers]
        messages = size = 0
        counted_at = time.monotonic()
        while left:
            part, left = left[:_QUEUES_AT_ONCE], left[_QUEUES_AT_ONCE:]
            rows = await self._run(_COUNT, [number for number, _ in part], [after for _, after in part], _CHUNK)
            messages += sum(row.messages for row in rows)
            size += sum(row.bytes for row in rows)
            left += [(row.number, row.last) for row in rows if row.messages == _CHUNK]
        took = time.monotonic() - began
        usage.learn(counted_at, messages, size, took)
        await self._run(_NOTE, project_id, messages, size, moment.now, timedelta(seconds=took))

    async def _run(self, sql: str, *arguments: Any) -> list[Any]:
        async def work(connection: AsyncConnection) -> list[Any]:
            await by_index(connection)
            result = await connection.exec_driver_sql(sql, arguments)
            return list(result) if result.returns_rows else []

        return await transaction(self._engine, work)


@contextmanager
def _room(usage: _Usage, messages: int, size: int) -> Iterator[None]:
    _refuse(usage, messages, size)
    usage.since_messages += messages
    usage.since_bytes += size
    try:
        yield
    except BaseException:
        usage.since_messages -= messages
        usage.since_bytes -= size
        raise
    usage.note(time.monotonic(), messages, size)


def _refuse(usage: _Usage, messages: int, size: int) -> None:
    name = usage.excess(messages, size)
    if name is not None:
        detail = "Nothing was stored. Consume messages or purge a queue first; the operator can raise the limit."
        raise QuotaExceeded(name, cast("int", getattr(usage.limits, name)), detail)
