"""A project at a glance, over HTTP."""

from dataclasses import asdict
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from service import model
from service.api.activity import Activity, counts_of
from service.api.callers import AnyCaller
from service.api.documented import problems
from service.api.fields import Document, Time
from service.api.queues import QueueStats, Type, stats_of
from service.api.state import StoreOf, TalliesOf
from service.domain import overview
from service.store.activity import Window
from service.store.overview import DeadLetters, Part

router = APIRouter(tags=["activity"])

_MINUTE = 60
_LATE = "null: they could not be found within a second"
_LAST_HOUR = Window(timedelta(seconds=_MINUTE), 60)


class WaitingQueue(Document):
    """A queue in which a message waits."""

    queue: str
    type: Type
    paused: bool
    stats: QueueStats


class DeadLetterQueue(Document):
    """A queue that others name as their dead-letter queue, and that holds messages."""

    queue: str
    sources: Annotated[list[str], Field(description="Up to 10 queues that name it.")]
    stats: QueueStats
    growth: Annotated[int, Field(description="Messages that came in the last hour, minus those that left.")]


class WebhookCounts(Document):
    """How many webhooks are in each state, and their requests in the last hour."""

    active: int
    paused: Annotated[int, Field(description="Their receivers asked for that.")]
    circuit_open: int
    disabled: int
    attempts: int
    succeeded: int


class ProjectActivity(Activity):
    """What was done with the messages of all queues."""

    start: Annotated[Time, Field(description="When the first bucket begins.")]
    resolution: Annotated[int, Field(description="Seconds of a bucket.")]


class Database(Document):
    """How the database is."""

    latency: Annotated[float, Field(description="Seconds of a round trip.")]
    oldest_transaction_age: Annotated[
        float | None, Field(description="Seconds; null: none is open. A high one keeps dead rows from going.")
    ]
    size: Annotated[int, Field(description="Bytes on its disk, of all projects.")]


class Overview(Document):
    """What needs somebody's attention, as far as the key's patterns cover it."""

    queues: int
    topics: int
    oldest: Annotated[
        list[WaitingQueue] | None,
        Field(description=f"Up to 10 queues, the longest-waiting ready message first; {_LATE}."),
    ]
    dead_letters: Annotated[
        list[DeadLetterQueue] | None, Field(description=f"Up to 10, those that hold most first; {_LATE}.")
    ]
    webhooks: WebhookCounts
    activity: Annotated[ProjectActivity | None, Field(description="Null for a key that is bound to some queues.")]
    database: Annotated[
        Database | None, Field(description="For the root key alone: what it tells is of all projects together.")
    ]


def _waiting(queue: model.Queue, stats: model.QueueStats) -> WaitingQueue:
    shown = {"queue": queue.name, "type": queue.config.type, "paused": queue.config.paused, "stats": stats_of(stats)}
    return WaitingQueue(**shown)


def _dead_letters(letters: DeadLetters, stats: model.QueueStats) -> DeadLetterQueue:
    return DeadLetterQueue(
        queue=letters.queue.name, sources=letters.sources, stats=stats_of(stats), growth=letters.growth
    )


@router.get("/v1/overview", operation_id="get_overview", summary="A project at a glance", responses=problems())
async def get_overview(caller: AnyCaller, store: StoreOf, tallies: TalliesOf) -> Overview:
    """Return what waits longest, what has failed and how much is done, without counting everything there is."""
    found = await overview.get_overview(store, tallies, Part(caller.project_id, caller.queues), _LAST_HOUR)
    activity = None
    if found.activity is not None:
        start, series = found.activity
        activity = ProjectActivity(start=start, resolution=_MINUTE, **counts_of(series))
    return Overview(
        queues=found.queues,
        topics=found.topics,
        oldest=None if found.oldest is None else [_waiting(*pair) for pair in found.oldest],
        dead_letters=None if found.dead_letters is None else [_dead_letters(*pair) for pair in found.dead_letters],
        webhooks=WebhookCounts(**found.webhooks),
        activity=activity,
        database=Database(**asdict(found.database)) if caller.is_operator else None,
    )
