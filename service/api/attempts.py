"""Attempts of webhooks over HTTP: what came of requests, and one to try."""

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from service import model
from service.api.callers import Browser, Manager
from service.api.documented import problems
from service.api.fields import Document, Time
from service.api.json_requests import JsonRoute
from service.api.lists import ListQuery, Page, page
from service.api.queues import QueueName
from service.api.state import CursorsOf, StoreOf, TestWebhookOf
from service.api.stored_messages import MessageId
from service.api.webhooks import NO_WEBHOOK, WebhookName
from service.auth.scopes import require_queue
from service.domain import attempts
from service.domain.webhooks import WebhookKey, get_webhook
from service.store.messages import identity

router = APIRouter(route_class=JsonRoute, tags=["webhooks"])


class Attempt(Document):
    """One request to a webhook that has ended."""

    id: str
    message_id: str
    number: Annotated[int, Field(description="Counts the message's attempts, over all webhooks of its queue, from 1.")]
    started_at: Time
    duration: Annotated[float, Field(description="Seconds.")]
    outcome: Literal["succeeded", "failed"]
    status: Annotated[int | None, Field(description="What was answered; null when nothing was.")]
    error: Annotated[
        str | None,
        Field(description="Where nothing was answered: `timeout`, `dns_error`, `tls_error` and others."),
    ]
    response_excerpt: Annotated[str, Field(description="The first 1,024 bytes of the answer, as text.")]


class AttemptPage(Page[Attempt]):
    """Some of a webhook's attempts."""


class MessageAttempt(Attempt):
    """One request that was to deliver a message."""

    queue: Annotated[str, Field(description="Where the message was then.")]
    webhook: Annotated[str | None, Field(description="Null: it is gone.")]


class MessageAttemptPage(Page[MessageAttempt]):
    """Some of the attempts to deliver a message."""


class AttemptQuery(ListQuery):
    """Which attempts to list."""

    outcome: Annotated[Literal["succeeded", "failed"] | None, Field(description="Only those that ended so.")] = None


@router.post(
    "/v1/queues/{queue}/webhooks/{webhook}/test",
    operation_id="test_webhook",
    summary="Send a test message to a webhook",
    responses=problems(NO_WEBHOOK),
)
async def test_webhook(
    queue: QueueName, webhook: WebhookName, caller: Manager, store: StoreOf, test: TestWebhookOf
) -> Attempt:
    """Post one signed message, `{"type": "restante.test", ...}`, whatever the webhook's state; tell what came of it.

    It is not stored, not tried again, and not among the attempts that are listed.
    """
    require_queue(caller, queue)
    key = WebhookKey(caller.project_id, queue, webhook)
    return _attempt(await test(*await get_webhook(store, key)))


@router.get(
    "/v1/queues/{queue}/webhooks/{webhook}/attempts",
    operation_id="list_webhook_attempts",
    summary="List a webhook's attempts",
    responses=problems(NO_WEBHOOK),
)
async def list_webhook_attempts(
    *,
    queue: QueueName,
    webhook: WebhookName,
    query: Annotated[AttemptQuery, Query()],
    caller: Browser,
    store: StoreOf,
    cursors: CursorsOf,
    request: Request,
    response: Response,
) -> AttemptPage:
    """List the requests of the last seven days that have ended, the last one first."""
    require_queue(caller, queue)
    listing = ("attempts", caller.project_id, queue, webhook, query.outcome)
    before = UUID(cursors.open(query.cursor, *listing)) if query.cursor is not None else None
    succeeded = None if query.outcome is None else query.outcome == "succeeded"
    key = WebhookKey(caller.project_id, queue, webhook)
    found, last = await attempts.list_attempts(store, key, before, query.limit, succeeded=succeeded)
    documents = [_attempt(attempt) for attempt in found]
    cursor = cursors.seal(str(last), *listing) if last is not None else None
    return page(AttemptPage, documents, cursor, request, response)


@router.get(
    "/v1/queues/{queue}/messages/{message_id}/attempts",
    operation_id="list_message_attempts",
    summary="List the attempts to deliver a message",
    responses=problems(
        {404: "There is no such queue, or no message could have this id: queue_not_found, message_not_found."}
    ),
)
async def list_message_attempts(
    *,
    queue: QueueName,
    message_id: MessageId,
    query: Annotated[ListQuery, Query()],
    caller: Browser,
    store: StoreOf,
    cursors: CursorsOf,
    request: Request,
    response: Response,
) -> MessageAttemptPage:
    """List the requests of the last seven days that were to deliver a message, the last one first.

    Those from the queues where it was before too, and whether or not it is still there.
    """
    require_queue(caller, queue)
    listing = ("message attempts", caller.project_id, message_id, caller.queues)
    before = UUID(cursors.open(query.cursor, *listing)) if query.cursor is not None else None
    found, last = await attempts.list_message_attempts(
        store, caller, queue, identity(message_id), before=before, limit=query.limit
    )
    documents = [MessageAttempt(**_fields(one.attempt), queue=one.queue, webhook=one.webhook) for one in found]
    cursor = cursors.seal(str(last), *listing) if last is not None else None
    return page(MessageAttemptPage, documents, cursor, request, response)


def _attempt(attempt: model.Attempt) -> Attempt:
    return Attempt(**_fields(attempt))


def _fields(attempt: model.Attempt) -> dict[str, Any]:
    return {
        "id": attempt.id.hex,
        "message_id": str(attempt.message_id),
        "number": attempt.number,
        "started_at": attempt.started_at,
        "duration": attempt.duration.total_seconds(),
        "outcome": "succeeded" if attempt.succeeded else "failed",
        "status": attempt.status,
        "error": attempt.error,
        "response_excerpt": attempt.excerpt.decode("utf-8", "replace"),
    }
