"""What was done with the messages of queues in the last hour."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from service.model import Queue
from service.store import activity, queues, stats
from service.store.activity import Series, Window
from service.store.directory import queue_not_found
from service.store.store import Store
from service.store.tallies import Tallies
from service.store.transactions import transaction

# What was done with a queue's messages, and how many it held at the end of each bucket.
Activity = tuple[Series, list[int]]


async def of_queue(
    store: Store, tallies: Tallies, project_id: int, name: str, window: Window
) -> tuple[datetime, Activity]:
    """Return when the window begins, and what was done in a queue. Raises NotFound."""
    began, found = await of_queues(store, tallies, project_id, [name], window)
    if name not in found:
        raise queue_not_found(name)
    return began, found[name]


async def of_queues(
    store: Store, tallies: Tallies, project_id: int, names: Sequence[str], window: Window
) -> tuple[datetime, dict[str, Activity]]:
    """Return when the window begins, and what was done in each of these queues, in the order in which they are named.

    Those that do not exist are left out.
    """

    async def work(connection: AsyncConnection) -> tuple[datetime, list[Queue], list[Series]]:
        found = await queues.named(connection, project_id, names)
        ordered = [found[name] for name in dict.fromkeys(names) if name in found]
        began = await activity.start(connection, window)
        return began, ordered, await activity.of_queues(connection, [queue.id for queue in ordered], window, began)

    began, found, series = await transaction(store.engine, work)
    counted = await stats.of(store.engine, tallies, found)
    pairs = [(seen, seen.totals(now.total)) for seen, now in zip(series, counted, strict=True)]
    return began, dict(zip([queue.name for queue in found], pairs, strict=True))
