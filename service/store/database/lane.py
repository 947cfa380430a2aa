"""Lanes: requests that come while a statement runs share the next statement.

A statement for each request costs PostgreSQL a hundred microseconds; a share of a common one costs three to six. There
are no timers: an idle lane answers a single caller in one statement's time, and a busy one takes all that wait.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, TypeVar

import asyncpg
import structlog

from service import tracing
from service.errors import Problem, Unavailable
from service.store.database.connections import settle_down
from service.telemetry import LANE_BATCH

_log = structlog.get_logger()

WorkItem = TypeVar("WorkItem")
WorkResult = TypeVar("WorkResult")

MAX_ITEMS = 1000
MAX_BYTES = 1024 * 1024
# After a failure that took longer than this, the requests that came meanwhile fail as well: the next attempt may take
# as long again, and no request may wait more than six seconds for the database.
PATIENCE_SECONDS = 1.0

RunBatch = Callable[[Sequence[WorkItem]], Awaitable[Sequence[WorkResult | Problem]]]


def _weightless(_item: Any) -> int:
    return 0


class Lane(Generic[WorkItem, WorkResult]):
    """A list of items and one worker that runs as many of them at once as fit one statement.

    `run` gets items in the order in which they came, and returns an outcome or a problem for each. If PostgreSQL
    refuses a batch because of its data, the batch is halved until the faulty item stands alone.
    """

    def __init__(
        self, name: str, run: RunBatch[WorkItem, WorkResult], *, weigh: Callable[[WorkItem], int] = _weightless
    ) -> None:
        self._name = name
        self._run = run
        self._weigh = weigh
        self._waiting: deque[tuple[WorkItem, asyncio.Future[WorkResult]]] = deque()
        self._wake: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._create_future: Callable[[], asyncio.Future[Any]]
        self._batch_size = LANE_BATCH.labels(lane=name)

    def open(self) -> None:
        """Start the worker."""
        loop = asyncio.get_running_loop()
        self._create_future = loop.create_future
        self._task = loop.create_task(self._work(), name=f"lane-{self._name}")

    async def close(self) -> None:
        """End the worker. Items that still wait raise Unavailable, because the service stops."""
        if self._task is not None:
            await settle_down(self._task)
        self._dismiss(Unavailable("The service is shutting down. Send the request again."))

    def submit(self, item: WorkItem) -> asyncio.Future[WorkResult]:
        """Put an item in the lane; return the future of its outcome, which raises its problem."""
        future = self._create_future()
        self._waiting.append((item, future))
        if tracing.active is not None:
            future.add_done_callback(tracing.active.statement(self._name))
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)
        return future

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            if not self._waiting:
                self._wake = loop.create_future()
                await self._wake
            batch = self._take()
            self._batch_size.observe(len(batch))
            began = loop.time()
            if not await self._serve(batch) and loop.time() - began > PATIENCE_SECONDS:
                self._dismiss(Unavailable())

    def _take(self) -> list[tuple[WorkItem, asyncio.Future[WorkResult]]]:
        """Take the items of one statement, at least one if any waits, without those whose callers have gone."""
        batch: list[tuple[WorkItem, asyncio.Future[WorkResult]]] = []
        weight = 0
        while self._waiting and len(batch) < MAX_ITEMS and weight < MAX_BYTES:
            pair = self._waiting.popleft()
            if not pair[1].done():
                batch.append(pair)
                weight += self._weigh(pair[0])
        return batch

    def _dismiss(self, problem: Problem) -> None:
        """Answer all waiting items with a problem."""
        while self._waiting:
            _settle(self._waiting.popleft()[1], problem)

    async def _serve(self, batch: list[tuple[WorkItem, asyncio.Future[WorkResult]]]) -> bool:
        """Run a batch and give each item its outcome; return whether the database was available."""
        if not batch:
            return True
        reached = True
        try:
            outcomes = await self._run([item for item, _ in batch])
        except Problem as problem:
            outcomes, reached = [problem] * len(batch), False
        except asyncpg.PostgresError as error:
            if len(batch) > 1:
                middle = len(batch) // 2
                first = await self._serve(batch[:middle])
                return await self._serve(batch[middle:]) and first
            _log.exception("statement_refused", lane=self._name, error=str(error))
            outcomes = [Unavailable("The database refused this request; nothing was done.")]
        except Exception:  # noqa: BLE001 - the worker must survive every error; the callers are answered
            _log.exception("lane_failed", lane=self._name)
            outcomes = [Unavailable()] * len(batch)
        for (_, future), outcome in zip(batch, outcomes, strict=True):
            _settle(future, outcome)
        return reached


def _settle(future: asyncio.Future[WorkResult], outcome: WorkResult | Problem) -> None:
    """Give a caller its outcome, unless it has gone."""
    if future.done():
        return
    if isinstance(outcome, Problem):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
