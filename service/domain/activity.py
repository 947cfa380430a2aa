"""Activity: what was done with the messages of queues in the last hour."""

from collections.abc import Sequence
from datetime import datetime

from service.model import Queue
from service.store.database.transaction import Connection
from service.store.resources import queues
from service.store.resources.queues import queue_not_found
from service.store.store import Store
from service.store.views import activity, stats
from service.store.views.activity import Series, Window
from service.store.views.long_queues import Tallies

# A queue's series, and how many messages it held at the end of each bucket.
Activity = tuple[Series, list[int]]


async def of_queue(
    store: Store, tallies: Tallies, project_id: int, name: str, window: Window
) -> tuple[datetime, Activity]:
    """Return when the window begins, and a queue's activity in it. Raises NotFound."""
    began, found = await of_queues(store, tallies, project_id, [name], window)
    if name not in found:
        raise queue_not_found(name)
    return began, found[name]


async def of_queues(
    store: Store, tallies: Tallies, project_id: int, names: Sequence[str], window: Window
) -> tuple[datetime, dict[str, Activity]]:
    """Return when the window begins, and the activity of each queue in it, in the order of `names`.

    Queues that do not exist are left out.
    """

    async def work(connection: Connection) -> tuple[datetime, list[Queue], list[Series]]:
        found = await queues.named(connection, project_id, names)
        ordered = [found[name] for name in dict.fromkeys(names) if name in found]
        began = await activity.start(connection, window)
        return began, ordered, await activity.of_queues(connection, [queue.id for queue in ordered], window, began)

    began, found, series = await store.transaction(work)
    counted = await stats.of(store.engine, tallies, found)
    pairs = [(seen, seen.totals(now.total)) for seen, now in zip(series, counted, strict=True)]
    return began, dict(zip([queue.name for queue in found], pairs, strict=True))
