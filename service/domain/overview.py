"""A project at a glance: what waits longest, what has failed, how much is done."""

from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from service.model import Queue, QueueStats
from service.store import activity, health, overview, stats
from service.store.activity import Series, Window
from service.store.health import Database
from service.store.overview import SHOWN, DeadLetters, Part
from service.store.store import Store
from service.store.tallies import Tallies
from service.store.transactions import transaction


@dataclass(frozen=True, slots=True)
class Overview:
    """What was found. `activity`: of all queues together, and when it begins; None where only some of them are seen."""

    queues: int
    topics: int
    oldest: list[tuple[Queue, QueueStats]]
    dead_letters: list[tuple[DeadLetters, QueueStats]]
    webhooks: dict[str, int]
    activity: tuple[datetime, Series] | None
    database: Database


async def get_overview(store: Store, tallies: Tallies, part: Part, window: Window) -> Overview:
    """Return what there is to see of a part of a project."""

    async def work(connection: AsyncConnection) -> Overview:
        await overview.begin(connection)
        database = await health.database(connection)
        queues, topics = await overview.counts(connection, part)
        return Overview(
            queues=queues,
            topics=topics,
            oldest=[(queue, _UNCOUNTED) for queue in await overview.oldest(connection, part)],
            dead_letters=[(letters, _UNCOUNTED) for letters in await overview.dead_letters(connection, part)],
            webhooks=await overview.webhooks(connection, part),
            activity=await _activity(connection, part, window),
            database=database,
        )

    return await _counted(store, tallies, await transaction(store.engine, work))


_UNCOUNTED = QueueStats(0, 0, 0, None)


async def _activity(connection: AsyncConnection, part: Part, window: Window) -> tuple[datetime, Series] | None:
    """Return what was done in the whole project; None for a part: its queues' activities are to be asked for."""
    if not part.is_whole:
        return None
    began = await activity.start(connection, window)
    return began, await activity.of_project(connection, part.project_id, window, began)


async def _counted(store: Store, tallies: Tallies, found: Overview) -> Overview:
    """Return it with stats; of dead-letter queues those that hold most."""
    queues = [queue for queue, _ in found.oldest] + [letters.queue for letters, _ in found.dead_letters]
    by_id = {queue.id: queue for queue in queues}
    counted = dict(zip(by_id, await stats.of(store.engine, tallies, list(by_id.values())), strict=True))
    dead_letters = [(letters, counted[letters.queue.id]) for letters, _ in found.dead_letters]
    dead_letters = [pair for pair in dead_letters if pair[1].total > 0]
    dead_letters.sort(key=lambda pair: -pair[1].total)
    return replace(
        found, oldest=[(queue, counted[queue.id]) for queue, _ in found.oldest], dead_letters=dead_letters[:SHOWN]
    )
