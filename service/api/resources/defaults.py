"""The default values of configuration fields, over HTTP."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from service import model
from service.api.kit.callers import AnyCaller
from service.api.kit.documented import problems
from service.api.kit.fields import Document
from service.api.kit.state import StoreOf
from service.api.resources.queues import QueueFields, defaults_in_force
from service.api.resources.webhook_fields import Enabled, Exhausted, MaxConcurrency, Mode, RateLimit, Timeout
from service.api.resources.webhooks import RetryDocument

router = APIRouter(tags=["limits"])


class WebhookDefaults(Document):
    """The defaults of a new webhook."""

    mode: Mode
    timeout: Timeout
    max_concurrency: MaxConcurrency
    rate_limit: RateLimit | None
    retry: RetryDocument
    on_exhausted: Exhausted
    enabled: Enabled


class Defaults(Document):
    """The defaults in force."""

    queue: Annotated[QueueFields, Field(description="The defaults of a new queue, within the operator's limits.")]
    webhook: WebhookDefaults


@router.get("/v1/defaults", operation_id="get_defaults", summary="The defaults in force", responses=problems())
async def get_defaults(_: AnyCaller, store: StoreOf) -> Defaults:
    """Return the values that a new queue and a new webhook have for fields that the request omits."""
    webhook = model.WebhookConfig("")
    shown = {name: getattr(webhook, name) for name in WebhookDefaults.model_fields}
    retry = RetryDocument(delays=list(webhook.retry.delays), jitter=webhook.retry.jitter)
    return Defaults.model_construct(
        queue=QueueFields.model_construct(**asdict(defaults_in_force(store))),
        webhook=WebhookDefaults.model_construct(**shown | {"retry": retry}),
    )
