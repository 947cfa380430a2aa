"""Message activity of the last hour, over HTTP."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from service.api.kit.callers import AnyCaller
from service.api.kit.documented import problems
from service.api.kit.fields import Document, Time
from service.api.kit.paths import NO_QUEUE, QueueName
from service.api.kit.queries import WHOLE_NUMBER
from service.api.kit.state import StoreOf, TalliesOf
from service.auth.scopes import require_queue
from service.domain import activity
from service.errors import invalid
from service.model import NAME_PATTERN
from service.store.views.activity import Series, Window

router = APIRouter(tags=["activity"])

_MAX_QUEUES = 100
_STEP = 10
_HOUR = 3600

BucketCounts = Annotated[
    list[int], Field(description="The count of each bucket, oldest first; the last bucket is not complete.")
]


class ActivityQuery(BaseModel):
    """The number and length of the buckets."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    resolution: Annotated[
        int,
        Field(ge=_STEP, le=600, multiple_of=_STEP, description="Length of a bucket in seconds, a multiple of 10."),
        WHOLE_NUMBER,
    ] = 60
    period: Annotated[
        int,
        Field(ge=_STEP, le=_HOUR, description="Length of all buckets together in seconds, a multiple of `resolution`."),
        WHOLE_NUMBER,
    ] = _HOUR

    def window(self) -> Window:
        """Return the requested time window. Raises InvalidRequest."""
        if self.period % self.resolution:
            detail = f"Must be a multiple of `resolution`, which is {self.resolution} seconds."
            raise invalid("/query/period", "out_of_range", detail)
        return Window(timedelta(seconds=self.resolution), self.period // self.resolution)


class ManyQuery(ActivityQuery):
    """The queues, and the number and length of the buckets."""

    queue: Annotated[
        list[Annotated[str, Field(pattern=NAME_PATTERN)]],
        Field(min_length=1, max_length=_MAX_QUEUES, description="A queue's name; repeatable."),
    ]


class Activity(Document):
    """Message counts over time. `sent` counts stored messages; moved and redriven messages do not count again."""

    sent: BucketCounts
    received: Annotated[
        BucketCounts, Field(description="Deliveries to consumers and webhooks, including redeliveries.")
    ]
    deleted: Annotated[
        BucketCounts,
        Field(description="Messages deleted by consumers, by id, or after a webhook's success; not by a purge."),
    ]
    dead_lettered: Annotated[BucketCounts, Field(description="Messages moved to the dead-letter queue.")]


class QueueActivity(Activity):
    """Activity of a queue."""

    start: Annotated[Time, Field(description="Start of the first bucket.")]
    resolution: Annotated[int, Field(description="Length of a bucket in seconds.")]
    total: Annotated[BucketCounts, Field(description="Messages stored at the end of each bucket.")]


class OneOfMany(Activity):
    """Activity of one of several queues."""

    queue: str
    total: Annotated[BucketCounts, Field(description="Messages stored at the end of each bucket.")]


class ActivityOfQueues(Document):
    """Activity of several queues."""

    start: Annotated[Time, Field(description="Start of the first bucket.")]
    resolution: Annotated[int, Field(description="Length of a bucket in seconds.")]
    items: list[OneOfMany]


def counts_of(series: Series) -> dict[str, list[int]]:
    """Return the counts of a series that every kind of activity has."""
    return {name: getattr(series, name) for name in Activity.model_fields}


@router.get(
    "/v1/queues/{queue}/activity",
    operation_id="get_queue_activity",
    summary="Get a queue's activity of the last hour",
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
    """Return message counts over time, from all service processes. They can lag by up to ten seconds."""
    start, (series, total) = await activity.of_queue(store, tallies, caller.project_id, queue, query.window())
    return QueueActivity(start=start, resolution=query.resolution, total=total, **counts_of(series))


@router.get(
    "/v1/activity",
    operation_id="get_activity",
    summary="Get several queues' activity of the last hour",
    responses=problems(),
)
async def get_activity(
    *, query: Annotated[ManyQuery, Query()], caller: AnyCaller, store: StoreOf, tallies: TalliesOf
) -> ActivityOfQueues:
    """Return message counts over time for each queue, in the order of the request. Unknown queues are omitted."""
    for name in query.queue:
        require_queue(caller, name)
    start, found = await activity.of_queues(store, tallies, caller.project_id, query.queue, query.window())
    items = [OneOfMany(queue=name, total=total, **counts_of(series)) for name, (series, total) in found.items()]
    return ActivityOfQueues(start=start, resolution=query.resolution, items=items)
