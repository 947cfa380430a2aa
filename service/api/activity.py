"""What was done with messages in the last hour, over HTTP."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from service.api.callers import AnyCaller
from service.api.documented import problems
from service.api.fields import Document, Time
from service.api.queues import NO_QUEUE, QueueName
from service.api.state import StoreOf, TalliesOf
from service.auth.scopes import require_queue
from service.domain import activity
from service.errors import invalid
from service.model import NAME_PATTERN
from service.store.activity import Series, Window

router = APIRouter(tags=["activity"])

_MAX_QUEUES = 100
_STEP = 10
_HOUR = 3600

Counts = Annotated[list[int], Field(description="Of each bucket, the oldest first; the last one is under way.")]


class ActivityQuery(BaseModel):
    """Which buckets to answer with."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    resolution: Annotated[
        int, Field(ge=_STEP, le=600, multiple_of=_STEP, description="Seconds of a bucket, a multiple of 10.")
    ] = 60
    period: Annotated[
        int, Field(ge=_STEP, le=_HOUR, description="Seconds of all buckets, a multiple of `resolution`.")
    ] = _HOUR

    def window(self) -> Window:
        """Return the window that is asked for. Raises InvalidRequest."""
        if self.period % self.resolution:
            detail = f"Must be a multiple of the resolution, which is {self.resolution} seconds."
            raise invalid("/query/period", "out_of_range", detail)
        return Window(timedelta(seconds=self.resolution), self.period // self.resolution)


class ManyQuery(ActivityQuery):
    """Which buckets of which queues."""

    queue: Annotated[
        list[Annotated[str, Field(pattern=NAME_PATTERN)]],
        Field(min_length=1, max_length=_MAX_QUEUES, description="A queue's name; repeatable."),
    ]


class Activity(Document):
    """What was done with messages. `sent`: stored; a move or redrive does not count as one."""

    sent: Counts
    received: Annotated[Counts, Field(description="Leased to a consumer or webhook, first time or again.")]
    deleted: Annotated[Counts, Field(description="Deleted by somebody, a webhook's success included; not by a purge.")]
    dead_lettered: Annotated[Counts, Field(description="Moved to the dead-letter queue.")]


class QueueActivity(Activity):
    """What was done with a queue's messages."""

    start: Annotated[Time, Field(description="When the first bucket begins.")]
    resolution: Annotated[int, Field(description="Seconds of a bucket.")]
    total: Annotated[Counts, Field(description="Messages stored at the end of each bucket.")]


class OneOfMany(Activity):
    """What was done with the messages of one of several queues."""

    queue: str
    total: Annotated[Counts, Field(description="Messages stored at the end of each bucket.")]


class ActivityOfQueues(Document):
    """What was done with the messages of several queues."""

    start: Annotated[Time, Field(description="When the first bucket begins.")]
    resolution: Annotated[int, Field(description="Seconds of a bucket.")]
    items: list[OneOfMany]


def counts_of(series: Series) -> dict[str, list[int]]:
    """Return what every kind of activity shows of a series."""
    return {name: getattr(series, name) for name in Activity.model_fields}


@router.get(
    "/v1/queues/{queue}/activity",
    operation_id="get_queue_activity",
    summary="What was done in a queue in the last hour",
    responses=problems(NO_QUEUE),
)
async def get_queue_activity(
    *,
    queue: QueueName,
    query: Annotated[ActivityQuery, Query()],
    caller: AnyCaller,
    store: StoreOf,
    tallies: TalliesOf,
) -> QueueActivity:
    """Return counts over time, of all processes, up to ten seconds late."""
    require_queue(caller, queue)
    start, (series, total) = await activity.of_queue(store, tallies, caller.project_id, queue, query.window())
    return QueueActivity(start=start, resolution=query.resolution, total=total, **counts_of(series))


@router.get(
    "/v1/activity",
    operation_id="get_activity",
    summary="What was done in several queues in the last hour",
    responses=problems(),
)
async def get_activity(
    *, query: Annotated[ManyQuery, Query()], caller: AnyCaller, store: StoreOf, tallies: TalliesOf
) -> ActivityOfQueues:
    """Return counts over time in the order asked, each queue once; those that do not exist are left out."""
    for name in query.queue:
        require_queue(caller, name)
    start, found = await activity.of_queues(store, tallies, caller.project_id, query.queue, query.window())
    items = [OneOfMany(queue=name, total=total, **counts_of(series)) for name, (series, total) in found.items()]
    return ActivityOfQueues(start=start, resolution=query.resolution, items=items)
