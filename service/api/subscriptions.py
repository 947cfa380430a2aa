"""Subscriptions of a topic over HTTP, and what a message would come to."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field

from service import model
from service.api.callers import AnyCaller, Manager
from service.api.conditions import IfMatch, IfNoneMatch, condition, etag, not_modified
from service.api.documented import CHANGED, NOT_MODIFIED, problems
from service.api.fields import Document, Fields, Time
from service.api.json_requests import JsonRoute
from service.api.lists import ListQuery, Page, page
from service.api.queues import QueueName
from service.api.state import CursorsOf, StoreOf
from service.api.topics import NO_TOPIC, TopicName
from service.auth.scopes import require_queue
from service.domain import subscriptions
from service.filters import parse
from service.model import NAME_PATTERN, Caller, SubscriptionConfig

router = APIRouter(route_class=JsonRoute, tags=["topics"])

SubscriptionName = Annotated[str, Path(pattern=NAME_PATTERN, description="The subscription's name.")]
_NO_SUBSCRIPTION = {
    404: "There is no such topic, or it has no such subscription: topic_not_found, subscription_not_found."
}


class SubscriptionFields(Fields):
    """Which queue gets copies, and of which messages."""

    queue: Annotated[str, Field(pattern=NAME_PATTERN, description="A queue of the topic's type.")]
    filter: Annotated[
        dict[str, Any],
        Field(
            description="`headers` and `body`: for each header's name or JSON Pointer conditions, of which it "
            "has to meet one. A condition is a JSON scalar, or an object with one of `prefix`, `numeric`, `exists` and "
            "`anything_but`. `any` and `all`: lists of filters. Empty: every message."
        ),
    ] = Field(default_factory=dict)


class Subscription(Document):
    """A queue that gets copies of what is published to a topic."""

    name: str
    queue: str
    filter: dict[str, Any]
    created_at: Time
    updated_at: Time


class QueueSubscription(Subscription):
    """A topic whose messages a queue gets copies of."""

    topic: str


class QueueSubscriptionPage(Page[QueueSubscription]):
    """Some of what feeds a queue."""


class SubscriptionPage(Page[Subscription]):
    """Some of a topic's subscriptions."""


def _document(found: model.Subscription) -> Subscription:
    return Subscription(
        name=found.name,
        queue=found.queue,
        filter=found.filter,
        created_at=found.created_at,
        updated_at=found.updated_at,
    )


def _within(caller: Caller, check: subscriptions.Condition) -> subscriptions.Condition:
    """Refuse what is subscribed for a queue that the key does not cover, then what the condition refuses."""

    def looked(old: SubscriptionConfig | None) -> None:
        if old is not None:
            require_queue(caller, old.queue)
        check(old)

    return looked


def _answer(found: model.Subscription, response: Response) -> Subscription:
    response.headers["ETag"] = etag(found.config)
    return _document(found)


@router.put(
    "/v1/topics/{topic}/subscriptions/{subscription}",
    operation_id="put_subscription",
    summary="Subscribe a queue to a topic",
    responses=problems({**NO_TOPIC, **CHANGED, 409: "The queue is subscribed under another name: conflict."}, body=True)
    | {201: {"description": "Created.", "model": Subscription}},
)
async def put_subscription(
    *,
    topic: TopicName,
    subscription: SubscriptionName,
    fields: SubscriptionFields,
    caller: Manager,
    store: StoreOf,
    response: Response,
    if_match: IfMatch = None,
    if_none_match: IfNoneMatch = None,
) -> Subscription:
    """Have a queue get a copy of every message that matches the filter (201), or change that (200)."""
    require_queue(caller, topic)
    require_queue(caller, fields.queue)
    parse(fields.filter)
    key, wanted = (caller.project_id, topic), SubscriptionConfig(fields.queue, fields.filter)
    check = _within(caller, condition(if_match, if_none_match))
    found, created = await subscriptions.put_subscription(store, key, subscription, wanted, check)
    response.status_code = 201 if created else 200
    return _answer(found, response)


@router.get(
    "/v1/topics/{topic}/subscriptions/{subscription}",
    operation_id="get_subscription",
    summary="Read a subscription",
    response_model=Subscription,
    responses=problems(_NO_SUBSCRIPTION) | NOT_MODIFIED,
)
async def get_subscription(
    *,
    topic: TopicName,
    subscription: SubscriptionName,
    caller: AnyCaller,
    store: StoreOf,
    response: Response,
    if_none_match: IfNoneMatch = None,
) -> Any:
    """Return a subscription."""
    require_queue(caller, topic)
    found = await subscriptions.get_subscription(store, (caller.project_id, topic), subscription)
    require_queue(caller, found.queue)
    if not_modified(found.config, if_none_match):
        return Response(status_code=304, headers={"ETag": etag(found.config)})
    return _answer(found, response)


@router.delete(
    "/v1/topics/{topic}/subscriptions/{subscription}",
    operation_id="delete_subscription",
    summary="End a subscription",
    status_code=204,
    response_class=Response,
    responses=problems({**_NO_SUBSCRIPTION, **CHANGED}),
)
async def delete_subscription(
    *,
    topic: TopicName,
    subscription: SubscriptionName,
    caller: Manager,
    store: StoreOf,
    if_match: IfMatch = None,
    if_none_match: IfNoneMatch = None,
) -> None:
    """Copy nothing more to the queue; what it has got stays."""
    require_queue(caller, topic)
    check = _within(caller, condition(if_match, if_none_match))
    await subscriptions.delete_subscription(store, (caller.project_id, topic), subscription, check)


@router.get(
    "/v1/topics/{topic}/subscriptions",
    operation_id="list_subscriptions",
    summary="List a topic's subscriptions",
    responses=problems(NO_TOPIC),
)
async def list_subscriptions(
    *,
    topic: TopicName,
    query: Annotated[ListQuery, Query()],
    caller: AnyCaller,
    store: StoreOf,
    cursors: CursorsOf,
    request: Request,
    response: Response,
) -> SubscriptionPage:
    """List a topic's subscriptions in the byte order of their names, as far as the key covers their queues."""
    require_queue(caller, topic)
    listing = ("subscriptions", caller.project_id, topic, caller.queues)
    after = cursors.open(query.cursor, *listing) if query.cursor is not None else ""
    key = caller.project_id, topic
    found, last = await subscriptions.list_subscriptions(store, key, caller.queues, after, query.limit)
    cursor = cursors.seal(last, *listing) if last is not None else None
    return page(SubscriptionPage, [_document(one) for one in found], cursor, request, response)


@router.get(
    "/v1/queues/{queue}/subscriptions",
    operation_id="list_queue_subscriptions",
    summary="List the subscriptions of a queue",
    responses=problems({404: "There is no such queue in this project: queue_not_found."}),
)
async def list_queue_subscriptions(
    *,
    queue: QueueName,
    query: Annotated[ListQuery, Query()],
    caller: AnyCaller,
    store: StoreOf,
    cursors: CursorsOf,
    request: Request,
    response: Response,
) -> QueueSubscriptionPage:
    """List what feeds a queue, in the byte order of the topics' names, as far as the key covers the topics."""
    require_queue(caller, queue)
    listing = ("queue-subscriptions", caller.project_id, queue, caller.queues)
    after = cursors.open(query.cursor, *listing) if query.cursor is not None else ""
    key = caller.project_id, queue
    found, last = await subscriptions.list_feeding(store, key, caller.queues, after, query.limit)
    documents = [QueueSubscription(topic=topic, **dict(_document(one))) for topic, one in found]
    cursor = cursors.seal(last, *listing) if last is not None else None
    return page(QueueSubscriptionPage, documents, cursor, request, response)
