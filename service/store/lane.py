"""Lanes: what comes while a statement runs shares the next one.

One statement a request costs a hundred microseconds of PostgreSQL; shared, it costs three to six. There are no
timers: an idle lane answers a single caller in one statement's time, a busy one takes everything that waits.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, TypeVar

import asyncpg
import structlog

from service.errors import Problem, Unavailable
from service.store.connections import settle_down
from service.telemetry import LANE_BATCH

_log = structlog.get_logger()

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")

MAX_ITEMS = 1000
MAX_BYTES = 1024 * 1024
# After a failure that took longer, whoever waited meanwhile is told as well: the next attempt may take as long again,
# and no request waits more than six seconds for the database.
PATIENCE_SECONDS = 1.0

Run = Callable[[Sequence[Item]], Awaitable[Sequence[Outcome | Problem]]]


def _weightless(_item: Any) -> int:
    return 0


class Lane(Generic[Item, Outcome]):
    """A queue of items and one worker that runs as many of them at once as one statement may take.

    `run` gets items in the order they came and returns one outcome for each, or a problem for the one it belongs to.
    When PostgreSQL refuses the whole for its data, the items are halved until the one at fault stands alone.
    """

    def __init__(self, name: str, run: Run[Item, Outcome], *, weigh: Callable[[Item], int] = _weightless) -> None:
        self._name = name
        self._run = run
        self._weigh = weigh
        self._waiting: deque[tuple[Item, asyncio.Future[Outcome]]] = deque()
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
        """End the worker. Whoever still waits is told that the service stops."""
        if self._task is not None:
            await settle_down(self._task)
        self._dismiss(Unavailable("The service is shutting down. Send the request again."))

    def submit(self, item: Item) -> asyncio.Future[Outcome]:
        """Put an item in the lane; the future holds its outcome, or raises its problem."""
        future = self._create_future()
        self._waiting.append((item, future))
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

    def _take(self) -> list[tuple[Item, asyncio.Future[Outcome]]]:
        """Take what one statement may carry, at least one item; callers that have gone are left out."""
        batch: list[tuple[Item, asyncio.Future[Outcome]]] = []
        weight = 0
        while self._waiting and len(batch) < MAX_ITEMS and weight < MAX_BYTES:
            pair = self._waiting.popleft()
            if not pair[1].done():
                batch.append(pair)
                weight += self._weigh(pair[0])
        return batch

    def _dismiss(self, problem: Problem) -> None:
        """Send everybody away who waits."""
        while self._waiting:
            _settle(self._waiting.popleft()[1], problem)

    async def _serve(self, batch: list[tuple[Item, asyncio.Future[Outcome]]]) -> bool:
        """Give each its outcome; tell whether the database was there."""
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
        except Exception:  # noqa: BLE001 - the worker outlives whatever happens; those who asked are told
            _log.exception("lane_failed", lane=self._name)
            outcomes = [Unavailable()] * len(batch)
        for (_, future), outcome in zip(batch, outcomes, strict=True):
            _settle(future, outcome)
        return reached


def _settle(future: asyncio.Future[Outcome], outcome: Outcome | Problem) -> None:
    """Give a caller its outcome, unless it has gone."""
    if future.done():
        return
    if isinstance(outcome, Problem):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
