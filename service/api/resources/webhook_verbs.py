"""Actions on webhooks over HTTP: rotate the secret, resume."""

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Response
from pydantic import Field

from service.api.kit.callers import Manager
from service.api.kit.documented import problems
from service.api.kit.fields import Document, Fields, Seconds
from service.api.kit.json_requests import JsonRoute
from service.api.kit.paths import NO_WEBHOOK, QueueName, WebhookName
from service.api.kit.state import StoreOf
from service.api.resources.webhooks import Webhook, answer
from service.domain import webhooks
from service.domain.webhooks import WebhookKey

router = APIRouter(route_class=JsonRoute, tags=["webhooks"])


class Rotation(Fields):
    """The options for rotating a secret."""

    overlap: Annotated[
        timedelta,
        Seconds(0, 604_800),
        Field(description="Seconds during which requests are also signed with the older secrets."),
    ] = timedelta(days=1)


class Rotated(Document):
    """The new secret, which is shown only once."""

    secret: str
    signing: Annotated[int, Field(description="Number of secrets that sign now, including this one; at most 10.")]


_ROTATION = Rotation()


@router.post(
    "/v1/queues/{queue}/webhooks/{webhook}/rotate-secret",
    operation_id="rotate_webhook_secret",
    summary="Rotate a webhook's secret",
    responses=problems(NO_WEBHOOK, body=True),
)
async def rotate_webhook_secret(
    *,
    queue: QueueName,
    webhook: WebhookName,
    rotation: Rotation = _ROTATION,
    caller: Manager,
    store: StoreOf,
) -> Rotated:
    """Sign with a new secret from now on, and also with the older ones until the overlap ends."""
    found, secret = await webhooks.rotate_secret(store, WebhookKey(caller.project_id, queue, webhook), rotation.overlap)
    return Rotated(secret=secret, signing=len(found.secrets))


@router.post(
    "/v1/queues/{queue}/webhooks/{webhook}/resume",
    operation_id="resume_webhook",
    summary="Resume a webhook",
    response_model=Webhook,
    responses=problems(NO_WEBHOOK),
)
async def resume_webhook(
    queue: QueueName, webhook: WebhookName, caller: Manager, store: StoreOf, response: Response
) -> Any:
    """Close the webhook's circuit, and end a pause that the receiver requested. A disabled webhook stays disabled."""
    found = await webhooks.resume_webhook(store, WebhookKey(caller.project_id, queue, webhook))
    return await answer(found, store, response)
