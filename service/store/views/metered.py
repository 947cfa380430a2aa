"""The queues with metrics of their own: those whose label asks for it, and those with the most ready messages."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from service.model import Queue, QueueStats
from service.store.database.statements import STATEMENTS
from service.store.database.transaction import by_index, driver, transaction
from service.store.resources import queues
from service.store.views import stats
from service.store.views.long_queues import Tallies

# Each queue makes several series in a monitoring system.
MOST_LABELLED = 1000
FULLEST = 100

_SAMPLE_PAGES = 2000
# Queues that are counted in one transaction, up to stats.EXACT messages each.
_COUNTED_TOGETHER = 50
# After this long without a scrape, queues are no longer counted.
_KEPT_SECONDS = 120.0
_REST_SECONDS = 10.0
# The rest after a count, as a multiple of the time that it took.
_REST_SHARE = 20

_LABELLED = STATEMENTS["metered.labelled"]
_FULLEST = STATEMENTS["metered.fullest"]
_PROJECTS = STATEMENTS["metered.projects"]


@dataclass(frozen=True, slots=True)
class Metered:
    """A queue and how many messages it holds."""

    project: str
    queue: str
    stats: QueueStats


class MeteredQueues:
    """One process's counts for scrapes, which are made in the background, so that a scrape never waits long."""

    def __init__(self, engine: AsyncEngine, tallies: Tallies) -> None:
        self._engine = engine
        self._tallies = tallies
        self._asked_at: float | None = None
        self._counted_at: float | None = None
        self._rest_until = 0.0
        self._counted: list[Metered] = []
        self.omitted = 0

    async def ask(self) -> list[Metered]:
        """Return the last count; at the first scrape, or the first one for a while, count now."""
        fresh = self._is_asked()
        self._asked_at = time.monotonic()
        if not fresh:
            await self._count()
        return self._counted

    async def refresh(self) -> None:
        """Count again if there are scrapes and the last count is old enough."""
        if self._is_asked() and time.monotonic() >= self._rest_until:
            await self._count()

    def since_counted(self) -> float:
        """Return how many seconds ago the last count began."""
        return 0.0 if self._counted_at is None else time.monotonic() - self._counted_at

    def _is_asked(self) -> bool:
        return self._asked_at is not None and time.monotonic() - self._asked_at < _KEPT_SECONDS

    async def _count(self) -> None:
        started = time.monotonic()
        found, names, self.omitted = await transaction(self._engine, _find)
        counted: list[Metered] = []
        for first in range(0, len(found), _COUNTED_TOGETHER):
            part = found[first : first + _COUNTED_TOGETHER]
            of_part = await stats.of(self._engine, self._tallies, part)
            counted += [
                Metered(names[queue.project_id], queue.name, queue_stats)
                for queue, queue_stats in zip(part, of_part, strict=True)
            ]
        self._counted, self._counted_at = counted, started
        ended = time.monotonic()
        self._rest_until = ended + max(_REST_SECONDS, _REST_SHARE * (ended - started))


async def _find(connection: AsyncConnection) -> tuple[list[Queue], dict[int, str], int]:
    """Return the queues to count, the names of their projects, and how many labelled queues are left out."""
    await by_index(connection)
    link = await driver(connection)
    labelled = [row["id"] for row in await link.fetch(_LABELLED, 2 * MOST_LABELLED)]
    fullest = [row["id"] for row in await link.fetch(_FULLEST, _SAMPLE_PAGES, FULLEST)]
    found = list((await queues.by_ids(connection, {*labelled[:MOST_LABELLED], *fullest})).values())
    return found, await _project_names(link, found), max(0, len(labelled) - MOST_LABELLED)


async def _project_names(link: Any, found: Iterable[Queue]) -> dict[int, str]:
    rows = await link.fetch(_PROJECTS, list({queue.project_id for queue in found}))
    return {row["id"]: row["name"] for row in rows}
