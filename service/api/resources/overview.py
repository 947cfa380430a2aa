"""The overview of a project, over HTTP."""

from dataclasses import asdict
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from service import model
from service.api.kit.callers import AnyCaller
from service.api.kit.documented import problems
from service.api.kit.fields import Document, Time
from service.api.kit.state import StoreOf, TalliesOf
from service.api.resources.activity import Activity, counts_of
from service.api.resources.queues import QueueStats, QueueTypeField, stats_of
from service.domain import overview
from service.store.views.activity import Window
from service.store.views.overview import DeadLetters, Part

router = APIRouter(tags=["activity"])

_MINUTE = 60
_LATE = "null if they could not be determined within a second"
_LAST_HOUR = Window(timedelta(seconds=_MINUTE), 60)


class WaitingQueue(Document):
    """A queue with ready messages."""

    queue: str
    type: QueueTypeField
    paused: bool
    stats: QueueStats


class DeadLetterQueue(Document):
    """A dead-letter queue that holds messages."""

    queue: str
    sources: Annotated[list[str], Field(description="Up to 10 queues that use it as their dead-letter queue.")]
    stats: QueueStats
    growth: Annotated[int, Field(description="Messages added in the last hour minus messages removed.")]


class WebhookCounts(Document):
    """The number of webhooks in each state, and of their requests in the last hour."""

    active: int
    paused: Annotated[int, Field(description="Paused at the request of the receiver (Retry-After).")]
    circuit_open: int
    disabled: int
    attempts: int
    succeeded: int


class ProjectActivity(Activity):
    """Activity of all queues of a project."""

    start: Annotated[Time, Field(description="Start of the first bucket.")]
    resolution: Annotated[int, Field(description="Length of a bucket in seconds.")]


class Database(Document):
    """The state of the database."""

    latency: Annotated[float, Field(description="Seconds that a round trip took.")]
    oldest_transaction_age: Annotated[
        float | None,
        Field(description="Seconds; null if none is open. A long-running transaction keeps vacuum from removing rows."),
    ]
    size: Annotated[int, Field(description="Size on disk in bytes, of all projects.")]


class Overview(Document):
    """The overview of a project, limited to the queues that the key covers."""

    queues: int
    topics: int
    oldest: Annotated[
        list[WaitingQueue] | None,
        Field(description=f"Up to 10 queues, the one with the longest-waiting ready message first; {_LATE}."),
    ]
    dead_letters: Annotated[
        list[DeadLetterQueue] | None, Field(description=f"Up to 10 dead-letter queues, the fullest first; {_LATE}.")
    ]
    webhooks: WebhookCounts
    activity: Annotated[ProjectActivity | None, Field(description="Null for a key that does not cover all queues.")]
    database: Annotated[
        Database | None, Field(description="Only for the root key, because it concerns all projects; otherwise null.")
    ]


def _waiting(queue: model.Queue, stats: model.QueueStats) -> WaitingQueue:
    shown = {"queue": queue.name, "type": queue.config.type, "paused": queue.config.paused, "stats": stats_of(stats)}
    return WaitingQueue(**shown)


def _dead_letters(letters: DeadLetters, stats: model.QueueStats) -> DeadLetterQueue:
    return DeadLetterQueue(
        queue=letters.queue.name, sources=letters.sources, stats=stats_of(stats), growth=letters.growth
    )


@router.get("/v1/overview", operation_id="get_overview", summary="Get an overview of the project", responses=problems())
async def get_overview(caller: AnyCaller, store: StoreOf, tallies: TalliesOf) -> Overview:
    """Return the longest-waiting messages, dead letters, webhook states and activity, without counting all messages."""
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
