"""A project at a glance: what waits longest, what has failed, how much is done."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from service.errors import Unavailable
from service.model import Queue, QueueStats
from service.store import activity, health, overview, stats
from service.store.activity import Series, Window
from service.store.health import Database
from service.store.overview import SHOWN, DeadLetters, Part
from service.store.store import Store
from service.store.tallies import Tallies
from service.store.transactions import transaction

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Overview:
    """What was found.

    `oldest`, `dead_letters`: None where that took too long. `activity`: of all queues together, and when it begins;
    None where only some of them are seen.
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
    """What is found at once, however many messages there are."""

    counts: tuple[int, int]
    webhooks: dict[str, int]
    activity: tuple[datetime, Series] | None
    database: Database


async def get_overview(store: Store, tallies: Tallies, part: Part, window: Window) -> Overview:
    """Return what there is to see of a part of a project."""
    async with store.reads.turn(part.project_id):
        seen = await transaction(store.engine, lambda connection: _look(connection, part, window))
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


async def _look(connection: AsyncConnection, part: Part, window: Window) -> _Seen:
    await overview.begin(connection)
    return _Seen(
        database=await health.database(connection),
        counts=await overview.counts(connection, part),
        webhooks=await overview.webhooks(connection, part),
        activity=await _activity(connection, part, window),
    )


async def _in_time(store: Store, look: Callable[[AsyncConnection], Awaitable[T]]) -> T | None:
    """Return what is found, None if that takes too long: where a transaction has kept dead rows for hours, it does."""

    async def work(connection: AsyncConnection) -> T:
        await overview.begin(connection)
        return await look(connection)

    try:
        return await transaction(store.engine, work)
    except Unavailable:
        return None


async def _activity(connection: AsyncConnection, part: Part, window: Window) -> tuple[datetime, Series] | None:
    """Return what was done in the whole project; None for a part: its queues' activities are to be asked for."""
    if not part.is_whole:
        return None
    began = await activity.start(connection, window)
    return began, await activity.of_project(connection, part.project_id, window, began)


def _fullest(found: list[tuple[DeadLetters, QueueStats]]) -> list[tuple[DeadLetters, QueueStats]]:
    """Return the queues that hold most, of those that were counted."""
    holding = [(letters, counted) for letters, counted in found if counted.total]
    return sorted(holding, key=lambda pair: -pair[1].total)[:SHOWN]
