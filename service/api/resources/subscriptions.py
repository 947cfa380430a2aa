"""Subscriptions over HTTP."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import Field

from service import model
from service.api.kit.callers import AnyCaller, Manager
from service.api.kit.conditions import IsKnown, Precondition, etag, unchanged
from service.api.kit.documented import CHANGED, NOT_MODIFIED, problems
from service.api.kit.fields import Document, Fields, Time
from service.api.kit.json_requests import JsonRoute
from service.api.kit.lists import ListQuery, Page, PagingOf
from service.api.kit.paths import NO_QUEUE, NO_SUBSCRIPTION, NO_TOPIC, QueueName, SubscriptionName, TopicName
from service.api.kit.state import StoreOf
from service.auth.scopes import require_queue
from service.domain import subscriptions
from service.domain.conditions import ConfigCheck
from service.filters import parse
from service.model import NAME_PATTERN, Caller, SubscriptionConfig

router = APIRouter(route_class=JsonRoute, tags=["topics"])


class SubscriptionFields(Fields):
    """A queue, and the filter for the messages that are copied to it."""

    queue: Annotated[str, Field(pattern=NAME_PATTERN, description="A queue of the same type as the topic.")]
    filter: Annotated[
        dict[str, Any],
        Field(
            description="`headers` maps header names, and `body` JSON Pointers, to lists of conditions, one of which "
            "must hold. A condition is a JSON scalar, or an object with one of `prefix`, `numeric`, `exists` and "
            "`anything_but`. `any` and `all` are lists of filters. An empty filter matches every message."
        ),
    ] = Field(default_factory=dict)


class Subscription(Document):
    """A queue that gets a copy of every published message that matches the filter."""

    name: str
    queue: str
    filter: dict[str, Any]
    created_at: Time
    updated_at: Time


class QueueSubscription(Subscription):
    """A subscription of a queue, with its topic."""

    topic: str


class QueueSubscriptionPage(Page[QueueSubscription]):
    """A page of a queue's subscriptions."""


class SubscriptionPage(Page[Subscription]):
    """A page of a topic's subscriptions."""


def _document(found: model.Subscription) -> Subscription:
    return Subscription(
        name=found.name,
        queue=found.queue,
        filter=found.filter,
        created_at=found.created_at,
        updated_at=found.updated_at,
    )


def _within(caller: Caller, check: ConfigCheck[SubscriptionConfig]) -> ConfigCheck[SubscriptionConfig]:
    """Return `check` extended to raise Forbidden if the key does not cover the subscription's present queue."""

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
    check: Precondition,
) -> Subscription:
    """Create a subscription (201), or replace its queue and filter (200)."""
    require_queue(caller, fields.queue)
    parse(fields.filter)
    key, wanted = (caller.project_id, topic), SubscriptionConfig(fields.queue, fields.filter)
    found, created = await subscriptions.put_subscription(store, key, subscription, wanted, _within(caller, check))
    response.status_code = 201 if created else 200
    return _answer(found, response)


@router.get(
    "/v1/topics/{topic}/subscriptions/{subscription}",
    operation_id="get_subscription",
    summary="Read a subscription",
    response_model=Subscription,
    responses=problems(NO_SUBSCRIPTION) | NOT_MODIFIED,
)
async def get_subscription(
    *,
    topic: TopicName,
    subscription: SubscriptionName,
    caller: AnyCaller,
    store: StoreOf,
    response: Response,
    is_known: IsKnown,
) -> Any:
    """Return a subscription."""
    found = await subscriptions.get_subscription(store, (caller.project_id, topic), subscription)
    require_queue(caller, found.queue)
    if is_known(found.config):
        return unchanged(found.config)
    return _answer(found, response)


@router.delete(
    "/v1/topics/{topic}/subscriptions/{subscription}",
    operation_id="delete_subscription",
    summary="Delete a subscription",
    status_code=204,
    response_class=Response,
    responses=problems({**NO_SUBSCRIPTION, **CHANGED}),
)
async def delete_subscription(
    *,
    topic: TopicName,
    subscription: SubscriptionName,
    caller: Manager,
    store: StoreOf,
    check: Precondition,
) -> None:
    """Delete a subscription. Messages that were copied to the queue are kept."""
    key = caller.project_id, topic
    await subscriptions.delete_subscription(store, key, subscription, _within(caller, check))


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
    paging: PagingOf,
) -> SubscriptionPage:
    """List a topic's subscriptions in the byte order of their names. Only queues that the key covers are included."""
    after = paging.after(query, "subscriptions", caller.project_id, topic, caller.queues) or ""
    key = caller.project_id, topic
    found, last = await subscriptions.list_subscriptions(store, key, caller.queues, after, query.limit)
    return paging.page(SubscriptionPage, [_document(one) for one in found], last)


@router.get(
    "/v1/queues/{queue}/subscriptions",
    operation_id="list_queue_subscriptions",
    summary="List the subscriptions of a queue",
    responses=problems(NO_QUEUE),
)
async def list_queue_subscriptions(
    *,
    queue: QueueName,
    query: Annotated[ListQuery, Query()],
    caller: AnyCaller,
    store: StoreOf,
    paging: PagingOf,
) -> QueueSubscriptionPage:
    """List a queue's subscriptions, for topics that the key covers, in the byte order of the topics' names."""
    after = paging.after(query, "queue-subscriptions", caller.project_id, queue, caller.queues) or ""
    key = caller.project_id, queue
    found, last = await subscriptions.list_feeding(store, key, caller.queues, after, query.limit)
    documents = [QueueSubscription(topic=topic, **dict(_document(one))) for topic, one in found]
    return paging.page(QueueSubscriptionPage, documents, last)
