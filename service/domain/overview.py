"""A project at a glance: which messages wait longest, what has failed, how much was done."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TypeVar

from service.errors import Unavailable
from service.model import Queue, QueueStats
from service.store.database import health
from service.store.database.health import Database
from service.store.database.transaction import Connection
from service.store.store import Store
from service.store.views import activity, overview, stats
from service.store.views.activity import Series, Window
from service.store.views.long_queues import Tallies
from service.store.views.overview import SHOWN, DeadLetters, Part

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Overview:
    """The overview of a project, or of the part of it that a key covers.

    `oldest`, `dead_letters`: None if looking for them took too long. `activity`: when its window begins, and the series
    of all queues together; None for a part of a project.
    """

    queues: int
    topics: int
    oldest: list[tuple[Queue, QueueStats]] | None
    dead_letters: list[tuple[DeadLetters, QueueStats]] | None
    webhooks: dict[str, int]
    activity: tuple[datetime, Series] | None
    database: Database


@dataclass(frozen=True, slots=True)
class _Seen:
    """The part of an overview that is found quickly, however many messages there are."""

    counts: tuple[int, int]
    webhooks: dict[str, int]
    activity: tuple[datetime, Series] | None
    database: Database


async def get_overview(store: Store, tallies: Tallies, part: Part, window: Window) -> Overview:
    """Return the overview of a part of a project."""
    async with store.reads.turn(part.project_id):
        seen = await store.transaction(lambda connection: _look(connection, part, window))
        oldest = await _in_time(store, partial(overview.oldest, part=part))
        letters = await _in_time(store, partial(overview.dead_letters, part=part))
    shown = {queue.id: queue for queue in (*(oldest or ()), *(found.queue for found in letters or ()))}
    counted = dict(zip(shown, await stats.of(store.engine, tallies, list(shown.values())), strict=True))
    queues, topics = seen.counts
    return Overview(
        queues=queues,
        topics=topics,
        oldest=None if oldest is None else [(queue, counted[queue.id]) for queue in oldest],
        dead_letters=None if letters is None else _fullest([(found, counted[found.queue.id]) for found in letters]),
        webhooks=seen.webhooks,
        activity=seen.activity,
        database=seen.database,
    )


async def _look(connection: Connection, part: Part, window: Window) -> _Seen:
    await overview.begin(connection)
    return _Seen(
        database=await health.database(connection),
        counts=await overview.counts(connection, part),
        webhooks=await overview.webhooks(connection, part),
        activity=await _activity(connection, part, window),
    )


async def _in_time(store: Store, look: Callable[[Connection], Awaitable[T]]) -> T | None:
    """Return what `look` finds, or None if that takes too long, as when an old transaction has kept dead rows."""

    async def work(connection: Connection) -> T:
        await overview.begin(connection)
        return await look(connection)

    try:
        return await store.transaction(work)
    except Unavailable:
        return None


async def _activity(connection: Connection, part: Part, window: Window) -> tuple[datetime, Series] | None:
    """Return the activity of a whole project; None for a part, whose queues have to be asked for one by one."""
    if not part.is_whole:
        return None
    began = await activity.start(connection, window)
    return began, await activity.of_project(connection, part.project_id, window, began)


def _fullest(found: list[tuple[DeadLetters, QueueStats]]) -> list[tuple[DeadLetters, QueueStats]]:
    """Return the queues with the most dead letters, of those that were counted."""
    holding = [(letters, counted) for letters, counted in found if counted.total]
    return sorted(holding, key=lambda pair: -pair[1].total)[:SHOWN]
