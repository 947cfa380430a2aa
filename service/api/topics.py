"""Topics over HTTP."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field

from service import model
from service.api.callers import AnyCaller, Manager
from service.api.conditions import IfMatch, IfNoneMatch, condition, etag, not_modified
from service.api.documented import CHANGED, NOT_MODIFIED, problems
from service.api.fields import Document, Fields, Seconds, Time
from service.api.json_requests import JsonRoute
from service.api.lists import ListQuery, Page, page
from service.api.state import CursorsOf, StoreOf
from service.auth.scopes import require_queue
from service.domain import topics
from service.model import NAME_PATTERN, TopicConfig

router = APIRouter(route_class=JsonRoute, tags=["topics"])

TopicName = Annotated[str, Path(pattern=NAME_PATTERN, description="The topic's name.")]
NO_TOPIC = {404: "There is no such topic in this project: topic_not_found."}

_DEFAULTS = TopicConfig()

Type = Annotated[Literal["standard", "fifo"], Field(description="Of its subscribed queues; it cannot be changed.")]
Window = Annotated[
    timedelta,
    Seconds(0, 86_400),
    Field(description="How long a publish is remembered by its deduplication id; 0: not at all."),
]
ByContent = Annotated[bool, Field(description="True: body and content type stand in for a missing deduplication id.")]


class TopicFields(Fields):
    """A topic's whole configuration. What is left out takes its default; only the type stays what it is."""

    type: Type = "standard"
    deduplication_window: Window = _DEFAULTS.deduplication_window
    deduplicate_by_content: ByContent = False


class TopicChanges(Fields):
    """The fields of a topic's configuration to replace; null sets the default."""

    type: Type | None = None
    deduplication_window: Window | None = None
    deduplicate_by_content: ByContent | None = None


class Topic(Document):
    """A topic."""

    name: str
    type: str
    deduplication_window: Window
    deduplicate_by_content: bool
    created_at: Time
    updated_at: Time


class TopicPage(Page[Topic]):
    """Some of a project's topics."""


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
    if_match: IfMatch = None,
    if_none_match: IfNoneMatch = None,
) -> Topic:
    """Create a topic (201), or give it the whole configuration (200). Doing it again changes nothing."""
    require_queue(caller, topic)
    wanted = dict(fields)
    if "type" not in fields.model_fields_set:
        del wanted["type"]
    check = condition(if_match, if_none_match)
    stored, created = await topics.put_topic(store, caller.project_id, topic, _change(wanted), check)
    response.status_code = 201 if created else 200
    return _answer(stored, response)


@router.patch(
    "/v1/topics/{topic}",
    operation_id="patch_topic",
    summary="Change some of a topic's configuration",
    responses=problems({**NO_TOPIC, **CHANGED, 409: "The type cannot be changed: conflict."}, body=True),
)
async def patch_topic(
    *,
    topic: TopicName,
    changes: TopicChanges = _NO_CHANGES,
    caller: Manager,
    store: StoreOf,
    response: Response,
    if_match: IfMatch = None,
    if_none_match: IfNoneMatch = None,
) -> Topic:
    """Replace the fields given; null sets the default."""
    require_queue(caller, topic)
    given = {name: getattr(changes, name) for name in changes.model_fields_set}
    wanted = {name: getattr(_DEFAULTS, name) if value is None else value for name, value in given.items()}
    check = condition(if_match, if_none_match)
    return _answer(await topics.patch_topic(store, caller.project_id, topic, _change(wanted), check), response)


@router.get(
    "/v1/topics/{topic}",
    operation_id="get_topic",
    summary="Read a topic",
    response_model=Topic,
    responses=problems(NO_TOPIC) | NOT_MODIFIED,
)
async def get_topic(
    *, topic: TopicName, caller: AnyCaller, store: StoreOf, response: Response, if_none_match: IfNoneMatch = None
) -> Any:
    """Return a topic's configuration."""
    require_queue(caller, topic)
    stored = await topics.get_topic(store, caller.project_id, topic)
    if not_modified(stored.config, if_none_match):
        return Response(status_code=304, headers={"ETag": etag(stored.config)})
    return _answer(stored, response)


@router.delete(
    "/v1/topics/{topic}",
    operation_id="delete_topic",
    summary="Delete a topic",
    status_code=204,
    response_class=Response,
    responses=problems({**NO_TOPIC, **CHANGED}),
)
async def delete_topic(
    topic: TopicName, caller: Manager, store: StoreOf, if_match: IfMatch = None, if_none_match: IfNoneMatch = None
) -> None:
    """Delete a topic with its subscriptions. The queues stay, with all that they have got."""
    require_queue(caller, topic)
    await topics.delete_topic(store, caller.project_id, topic, condition(if_match, if_none_match))


@router.get("/v1/topics", operation_id="list_topics", summary="List topics", responses=problems())
async def list_topics(
    *,
    query: Annotated[ListQuery, Query()],
    caller: AnyCaller,
    store: StoreOf,
    cursors: CursorsOf,
    request: Request,
    response: Response,
) -> TopicPage:
    """List the project's topics in the byte order of their names, as far as the key covers them."""
    listing = ("topics", caller.project_id)
    after = cursors.open(query.cursor, *listing) if query.cursor is not None else ""
    found, last = await topics.list_topics(store, caller.project_id, after, query.limit)
    documents = [_document(topic) for topic in found if caller.covers(topic.name)]
    return page(TopicPage, documents, cursors.seal(last, *listing) if last is not None else None, request, response)
