"""Webhook attempts over HTTP: past requests and their outcomes, and test requests."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import Field

from service import model
from service.api.kit.callers import Browser, Manager
from service.api.kit.documented import problems
from service.api.kit.fields import Document, Time
from service.api.kit.json_requests import JsonRoute
from service.api.kit.lists import ListQuery, Page, PagingOf
from service.api.kit.paths import MESSAGE, NO_WEBHOOK, MessageId, QueueName, WebhookName
from service.api.kit.state import StoreOf, TestWebhookOf
from service.domain import attempts
from service.domain.webhooks import WebhookKey, get_webhook
from service.store.views.stored_messages import identity

router = APIRouter(route_class=JsonRoute, tags=["webhooks"])


class Attempt(Document):
    """A completed request to a webhook."""

    id: str
    message_id: str
    number: Annotated[int, Field(description="The message's attempts, counted from 1 over all webhooks of its queue.")]
    started_at: Time
    duration: Annotated[float, Field(description="Seconds.")]
    outcome: Literal["succeeded", "failed"]
    status: Annotated[int | None, Field(description="HTTP status of the response; null if there was none.")]
    error: Annotated[
        str | None,
        Field(description="If there was no response: `timeout`, `dns_error`, `tls_error` or another error."),
    ]
    response_excerpt: Annotated[str, Field(description="The first 1,024 bytes of the response body, as text.")]


class AttemptPage(Page[Attempt]):
    """A page of a webhook's attempts."""


class MessageAttempt(Attempt):
    """A completed request to deliver a message."""

    queue: Annotated[str, Field(description="The message's queue at that time.")]
    webhook: Annotated[str | None, Field(description="The webhook's name; null if it was deleted.")]


class MessageAttemptPage(Page[MessageAttempt]):
    """A page of the attempts to deliver a message."""


class AttemptQuery(ListQuery):
    """Filters for the list of attempts."""

    outcome: Annotated[Literal["succeeded", "failed"] | None, Field(description="Only attempts with this outcome.")] = (
        None
    )


@router.post(
    "/v1/queues/{queue}/webhooks/{webhook}/test",
    operation_id="test_webhook",
    summary="Send a test message to a webhook",
    responses=problems({**NO_WEBHOOK, 429: "Too many webhook tests are running: too_many_tests; or rate_limited."}),
)
async def test_webhook(
    queue: QueueName, webhook: WebhookName, caller: Manager, store: StoreOf, test: TestWebhookOf
) -> Attempt:
    """Post one signed message, `{"type": "restante.test", ...}`, and return the outcome.

    The webhook's state does not matter. The attempt is not retried and does not appear in the list of attempts.
    """
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
    paging: PagingOf,
) -> AttemptPage:
    """List the completed requests of the last seven days, newest first."""
    before = paging.after_id(query, "attempts", caller.project_id, queue, webhook, query.outcome)
    succeeded = None if query.outcome is None else query.outcome == "succeeded"
    key = WebhookKey(caller.project_id, queue, webhook)
    found, last = await attempts.list_attempts(store, key, before, query.limit, succeeded=succeeded)
    documents = [_attempt(attempt) for attempt in found]
    return paging.page(AttemptPage, documents, last)


@router.get(
    f"{MESSAGE}/attempts",
    operation_id="list_message_attempts",
    summary="List the attempts to deliver a message",
    responses=problems(
        {404: "There is no such queue, or this is not a valid message id: queue_not_found, message_not_found."}
    ),
)
async def list_message_attempts(
    *,
    queue: QueueName,
    message_id: MessageId,
    query: Annotated[ListQuery, Query()],
    caller: Browser,
    store: StoreOf,
    paging: PagingOf,
) -> MessageAttemptPage:
    """List the completed requests of the last seven days to deliver a message, newest first.

    The list includes requests made while the message was in other queues. The message need not exist any more.
    """
    before = paging.after_id(query, "message attempts", caller.project_id, message_id, caller.queues)
    found, last = await attempts.list_message_attempts(
        store, caller, queue, identity(message_id), before=before, limit=query.limit
    )
    documents = [MessageAttempt(**_fields(one.attempt), queue=one.queue, webhook=one.webhook) for one in found]
    return paging.page(MessageAttemptPage, documents, last)


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
