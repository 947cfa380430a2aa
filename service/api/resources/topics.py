"""Topics over HTTP."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import Field

from service import model
from service.api.kit.callers import AnyCaller, Manager
from service.api.kit.conditions import IsKnown, Precondition, etag, unchanged
from service.api.kit.documented import CHANGED, NOT_MODIFIED, problems
from service.api.kit.fields import Document, Fields, Seconds, Time
from service.api.kit.json_requests import JsonRoute
from service.api.kit.lists import Page, PagingOf, SearchQuery
from service.api.kit.paths import NO_TOPIC, TopicName
from service.api.kit.state import StoreOf
from service.domain import topics
from service.model import TopicConfig

router = APIRouter(route_class=JsonRoute, tags=["topics"])


_DEFAULTS = TopicConfig()

TopicType = Annotated[
    Literal["standard", "fifo"], Field(description="The type of subscribed queues. It cannot be changed.")
]
PublishWindow = Annotated[
    timedelta,
    Seconds(0, 86_400),
    Field(description="Seconds that a deduplication id is remembered; 0 turns deduplication off."),
]
ByContent = Annotated[
    bool, Field(description="Use a hash of body and content type if a message has no deduplication id.")
]


class TopicFields(Fields):
    """The complete configuration of a topic. Omitted fields take their defaults, except that `type` is kept."""

    type: TopicType = "standard"
    deduplication_window: PublishWindow = _DEFAULTS.deduplication_window
    deduplicate_by_content: ByContent = False


class TopicChanges(Fields):
    """The fields of a topic's configuration to replace; null sets the default."""

    type: TopicType | None = None
    deduplication_window: PublishWindow | None = None
    deduplicate_by_content: ByContent | None = None


class Topic(Document):
    """A topic."""

    name: str
    type: str
    deduplication_window: PublishWindow
    deduplicate_by_content: bool
    created_at: Time
    updated_at: Time


class TopicPage(Page[Topic]):
    """A page of a project's topics."""


_NO_FIELDS = TopicFields()
_NO_CHANGES = TopicChanges()


def _document(topic: model.Topic) -> Topic:
    return Topic(
        name=topic.name,
        type=topic.config.type,
        deduplication_window=topic.config.deduplication_window,
        deduplicate_by_content=topic.config.deduplicate_by_content,
        created_at=topic.created_at,
        updated_at=topic.updated_at,
    )


def _answer(topic: model.Topic, response: Response) -> Topic:
    response.headers["ETag"] = etag(topic.config)
    return _document(topic)


def _change(wanted: dict[str, Any]) -> Callable[[TopicConfig], TopicConfig]:
    return lambda old: replace(old, **wanted)


@router.put(
    "/v1/topics/{topic}",
    operation_id="put_topic",
    summary="Create or configure a topic",
    responses=problems({**CHANGED, 409: "The type cannot be changed: conflict."}, body=True)
    | {201: {"description": "Created.", "model": Topic}},
)
async def put_topic(
    *,
    topic: TopicName,
    fields: TopicFields = _NO_FIELDS,
    caller: Manager,
    store: StoreOf,
    response: Response,
    check: Precondition,
) -> Topic:
    """Create a topic (201), or replace its configuration (200). The request is idempotent."""
    wanted = dict(fields)
    if "type" not in fields.model_fields_set:
        del wanted["type"]
    stored, created = await topics.put_topic(store, caller.project_id, topic, _change(wanted), check)
    response.status_code = 201 if created else 200
    return _answer(stored, response)


@router.patch(
    "/v1/topics/{topic}",
    operation_id="patch_topic",
    summary="Change a topic's configuration",
    responses=problems({**NO_TOPIC, **CHANGED, 409: "The type cannot be changed: conflict."}, body=True),
)
async def patch_topic(
    *,
    topic: TopicName,
    changes: TopicChanges = _NO_CHANGES,
    caller: Manager,
    store: StoreOf,
    response: Response,
    check: Precondition,
) -> Topic:
    """Replace the given fields; null sets the default."""
    given = {name: getattr(changes, name) for name in changes.model_fields_set}
    wanted = {name: getattr(_DEFAULTS, name) if value is None else value for name, value in given.items()}
    return _answer(await topics.patch_topic(store, caller.project_id, topic, _change(wanted), check), response)


@router.get(
    "/v1/topics/{topic}",
    operation_id="get_topic",
    summary="Read a topic",
    response_model=Topic,
    responses=problems(NO_TOPIC) | NOT_MODIFIED,
)
async def get_topic(
    *, topic: TopicName, caller: AnyCaller, store: StoreOf, response: Response, is_known: IsKnown
) -> Any:
    """Return a topic's configuration."""
    stored = await topics.get_topic(store, caller.project_id, topic)
    if is_known(stored.config):
        return unchanged(stored.config)
    return _answer(stored, response)


@router.delete(
    "/v1/topics/{topic}",
    operation_id="delete_topic",
    summary="Delete a topic",
    status_code=204,
    response_class=Response,
    responses=problems({**NO_TOPIC, **CHANGED}),
)
async def delete_topic(topic: TopicName, caller: Manager, store: StoreOf, check: Precondition) -> None:
    """Delete a topic with its subscriptions. The subscribed queues and their messages are kept."""
    await topics.delete_topic(store, caller.project_id, topic, check)


@router.get("/v1/topics", operation_id="list_topics", summary="List topics", responses=problems())
async def list_topics(
    *,
    query: Annotated[SearchQuery, Query()],
    caller: AnyCaller,
    store: StoreOf,
    paging: PagingOf,
) -> TopicPage:
    """List the project's topics in the byte order of their names. Only topics that the key covers are listed."""
    after = paging.after(query, "topics", caller.project_id, query.search) or ""
    found, last = await topics.list_topics(store, caller.project_id, query.search, after=after, limit=query.limit)
    documents = [_document(topic) for topic in found if caller.covers(topic.name)]
    return paging.page(TopicPage, documents, last)
