"""Webhooks over HTTP."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import Field

from service import model
from service.api.kit.callers import Manager
from service.api.kit.conditions import IfMatch, IfNoneMatch, IsKnown, Precondition, condition, etag, unchanged
from service.api.kit.documented import CHANGED, NOT_MODIFIED, problems
from service.api.kit.fields import LEFT_OUT, Document, Fields, Seconds, Time
from service.api.kit.json_requests import JsonRoute
from service.api.kit.lists import ListQuery, Page, PagingOf, SearchQuery
from service.api.kit.paths import NO_QUEUE, NO_WEBHOOK, QueueName, WebhookName
from service.api.kit.state import ResolverOf, StoreOf
from service.api.resources.webhook_fields import (
    Delays,
    Enabled,
    Exhausted,
    Jitter,
    MaxConcurrency,
    Mode,
    RateLimit,
    SecretText,
    Timeout,
    Url,
    WebhookHeaders,
)
from service.domain import webhooks
from service.domain.webhooks import WebhookKey
from service.egress.addresses import Refused
from service.egress.resolver import Resolver
from service.egress.urls import BadUrl, parse
from service.errors import invalid
from service.model import Caller, OnExhausted, Retry, WebhookConfig, WebhookMode
from service.store.resources.webhooks import WebhookFilter, WebhookState
from service.store.store import Store
from service.store.views.attempts import WebhookHealth

router = APIRouter(route_class=JsonRoute, tags=["webhooks"])


_DEFAULTS = WebhookConfig("")


class RetryFields(Fields):
    """The delays between attempts."""

    delays: Delays = Field(default_factory=lambda: list(Retry().delays))
    jitter: Jitter = Retry().jitter

    def retry(self) -> Retry:
        """Return the model's type."""
        return Retry(tuple(self.delays), self.jitter)


class WebhookFields(Fields):
    """The complete configuration of a webhook. Omitted fields take their defaults, except that `secret` is kept."""

    url: Url
    mode: Mode = _DEFAULTS.mode
    headers: WebhookHeaders = Field(default_factory=dict)
    timeout: Timeout = _DEFAULTS.timeout
    max_concurrency: MaxConcurrency = _DEFAULTS.max_concurrency
    rate_limit: RateLimit | None = None
    retry: RetryFields = RetryFields()
    on_exhausted: Exhausted = _DEFAULTS.on_exhausted
    enabled: Enabled = True
    secret: SecretText | None = None


class WebhookChanges(Fields):
    """The fields of a webhook's configuration to replace; null sets the default.

    `url` has no default and cannot be null; a `secret` of null keeps the present one.
    """

    url: Url = LEFT_OUT
    mode: Mode | None = None
    headers: WebhookHeaders | None = None
    timeout: Timeout | None = None
    max_concurrency: MaxConcurrency | None = None
    rate_limit: RateLimit | None = None
    retry: RetryFields | None = None
    on_exhausted: Exhausted | None = None
    enabled: Enabled | None = None
    secret: SecretText | None = None


class RetryDocument(Document):
    """The delays between attempts."""

    delays: list[Annotated[timedelta, Seconds(0, 31_536_000)]]
    jitter: float


class Webhook(Document):
    """A webhook. Only the response to its creation has its secret."""

    name: str
    url: str
    mode: WebhookMode
    headers: Annotated[dict[str, None], Field(description="The names of the headers; their values are not shown.")]
    timeout: Timeout
    max_concurrency: int
    rate_limit: float | None
    retry: RetryDocument
    on_exhausted: OnExhausted
    enabled: bool
    state: Annotated[
        str,
        Field(description="`active`, `paused`, `circuit_open` (until a success or a resume) or `disabled`."),
    ]
    state_reason: Annotated[
        str | None,
        Field(
            description="Why it is not active: `retry_after`, `gone` (it answered 410), `enabled is false`, or, if the "
            "circuit is open, the last failure, such as `answered 500: …` or `connection_error`."
        ),
    ]
    until: Annotated[Time | None, Field(description="When the webhook gets messages again.")]
    success_rate: Annotated[
        float | None,
        Field(
            description="The fraction of the last thousand attempts that succeeded, 0 to 1. In lists of over a hundred "
            "webhooks, fewer attempts are considered."
        ),
    ]
    latency: Annotated[float | None, Field(description="The median duration of these attempts in seconds.")]
    created_at: Time
    updated_at: Time


class NewWebhook(Webhook):
    """A newly created webhook, with its secret."""

    secret: str


class WebhookPage(Page[Webhook]):
    """A page of a queue's webhooks."""


class QueueWebhook(Webhook):
    """A webhook with its queue."""

    queue: str


class QueueWebhookPage(Page[QueueWebhook]):
    """A page of a project's webhooks."""


class WebhookQuery(SearchQuery):
    """Filters for the list of webhooks."""

    state: Annotated[WebhookState | None, Field(description="Only webhooks in this state.")] = None


_NO_CHANGES = WebhookChanges()


def _config(fields: WebhookFields) -> WebhookConfig:
    given = {name: getattr(fields, name) for name in WebhookFields.model_fields if name not in {"secret", "retry"}}
    given["headers"] = tuple(fields.headers.items())
    return WebhookConfig(**given, retry=fields.retry.retry())


def _changed(changes: WebhookChanges) -> dict[str, Any]:
    """Return the fields to replace, with the types of the model."""
    wanted = {name: getattr(changes, name) for name in changes.model_fields_set - {"secret"}}
    if wanted.get("headers") is not None:
        wanted["headers"] = tuple(wanted["headers"].items())
    if wanted.get("retry") is not None:
        wanted["retry"] = wanted["retry"].retry()
    return {name: getattr(_DEFAULTS, name) if value is None else value for name, value in wanted.items()}


async def _check_url(resolver: Resolver, url: str, caller: Caller) -> None:
    try:
        await resolver.vet(parse(url), str(caller.project_id))
    except BadUrl as error:
        raise invalid("/url", "wrong_form", str(error)) from None
    except Refused as error:
        raise invalid("/url", "address_refused", str(error)) from None


async def answer(found: model.Webhook, store: Store, response: Response) -> dict[str, Any]:
    """Return a webhook in the form of a response, and set the ETag header."""
    response.headers["ETag"] = etag(found.config)
    [health] = await webhooks.health_of(store, [found])
    return _document(found, health, store.clock.now())


def _document(found: model.Webhook, health: WebhookHealth, now: datetime) -> dict[str, Any]:
    config, (state, reason) = found.config, _state(found, now)
    ends = [until for until in (found.paused_until, found.open_until) if until is not None and until > now]
    return {
        "name": found.name,
        "url": config.url,
        "mode": config.mode,
        "headers": dict.fromkeys(name for name, _ in config.headers),
        "timeout": config.timeout,
        "max_concurrency": config.max_concurrency,
        "rate_limit": config.rate_limit,
        "retry": {"delays": list(config.retry.delays), "jitter": config.retry.jitter},
        "on_exhausted": config.on_exhausted,
        "enabled": config.enabled,
        "state": state,
        "state_reason": reason,
        "until": max(ends, default=None) if config.enabled else None,
        "success_rate": health.success_rate,
        "latency": None if health.latency is None else health.latency.total_seconds(),
        "created_at": found.created_at,
        "updated_at": found.updated_at,
    }


def _state(found: model.Webhook, now: datetime) -> tuple[WebhookState, str | None]:
    """Return a webhook's state and the reason for it."""
    if not found.config.enabled:
        return "disabled", "gone" if found.gone else "enabled is false"
    if found.paused_until is not None and found.paused_until > now:
        return "paused", "retry_after"
    if found.circuit_open:
        return "circuit_open", found.last_error or "circuit_open"
    return "active", None


@router.put(
    "/v1/queues/{queue}/webhooks/{webhook}",
    operation_id="put_webhook",
    summary="Create or configure a webhook",
    response_model=Webhook,
    responses=problems({**NO_QUEUE, **CHANGED}, body=True) | {201: {"description": "Created.", "model": NewWebhook}},
)
async def put_webhook(
    *,
    queue: QueueName,
    webhook: WebhookName,
    fields: WebhookFields,
    caller: Manager,
    store: StoreOf,
    resolver: ResolverOf,
    response: Response,
    check: Precondition,
) -> Any:
    """Create a webhook (201), or replace its configuration (200). Only a 201 response has the secret."""
    await _check_url(resolver, fields.url, caller)
    key = WebhookKey(caller.project_id, queue, webhook)
    found, created = await webhooks.put_webhook(store, key, _config(fields), fields.secret, check)
    document = await answer(found, store, response)
    if created:
        made = NewWebhook(**document, secret=found.secrets[0].text)
        headers = dict(response.headers)
        return Response(made.model_dump_json(), 201, media_type="application/json", headers=headers)
    return document


@router.patch(
    "/v1/queues/{queue}/webhooks/{webhook}",
    operation_id="patch_webhook",
    summary="Change a webhook's configuration",
    response_model=Webhook,
    responses=problems({**NO_WEBHOOK, **CHANGED}, body=True),
)
async def patch_webhook(
    *,
    queue: QueueName,
    webhook: WebhookName,
    changes: WebhookChanges = _NO_CHANGES,
    caller: Manager,
    store: StoreOf,
    resolver: ResolverOf,
    response: Response,
    check: Precondition,
) -> Any:
    """Replace the given fields; null sets the default. The changes apply to attempts that start later."""
    if changes.url is not None:
        await _check_url(resolver, changes.url, caller)
    wanted = _changed(changes)

    def change(old: WebhookConfig) -> WebhookConfig:
        return replace(old, **wanted)

    key = WebhookKey(caller.project_id, queue, webhook)
    return await answer(await webhooks.patch_webhook(store, key, change, changes.secret, check), store, response)


@router.get(
    "/v1/queues/{queue}/webhooks/{webhook}",
    operation_id="get_webhook",
    summary="Read a webhook",
    response_model=Webhook,
    responses=problems(NO_WEBHOOK) | NOT_MODIFIED,
)
async def get_webhook(
    *,
    queue: QueueName,
    webhook: WebhookName,
    caller: Manager,
    store: StoreOf,
    response: Response,
    is_known: IsKnown,
) -> Any:
    """Return a webhook's configuration and state."""
    _, found = await webhooks.get_webhook(store, WebhookKey(caller.project_id, queue, webhook))
    if is_known(found.config):
        return unchanged(found.config)
    return await answer(found, store, response)


@router.delete(
    "/v1/queues/{queue}/webhooks/{webhook}",
    operation_id="delete_webhook",
    summary="Delete a webhook",
    status_code=204,
    response_class=Response,
    responses=problems({**NO_WEBHOOK, **CHANGED}),
)
async def delete_webhook(
    *,
    queue: QueueName,
    webhook: WebhookName,
    caller: Manager,
    store: StoreOf,
    if_match: IfMatch = None,
    if_none_match: IfNoneMatch = None,
) -> None:
    """Delete a webhook. Requests in flight complete, and the queue's messages are kept."""
    # Without a condition the configuration is not decrypted: a webhook that the secret key cannot read can be deleted.
    asked = if_match is not None or if_none_match is not None
    check = condition(if_match, if_none_match) if asked else None
    await webhooks.delete_webhook(store, WebhookKey(caller.project_id, queue, webhook), check)


@router.get(
    "/v1/queues/{queue}/webhooks",
    operation_id="list_webhooks",
    summary="List a queue's webhooks",
    responses=problems(NO_QUEUE),
)
async def list_webhooks(
    *,
    queue: QueueName,
    query: Annotated[ListQuery, Query()],
    caller: Manager,
    store: StoreOf,
    paging: PagingOf,
) -> WebhookPage:
    """List a queue's webhooks in the byte order of their names."""
    after = paging.after(query, "webhooks", caller.project_id, queue) or ""
    found, last = await webhooks.list_webhooks(store, caller.project_id, queue, after, query.limit)
    healths, now = await webhooks.health_of(store, found), store.clock.now()
    documents = [Webhook(**_document(webhook, health, now)) for webhook, health in zip(found, healths, strict=True)]
    return paging.page(WebhookPage, documents, last)


@router.get(
    "/v1/webhooks",
    operation_id="list_project_webhooks",
    summary="List the webhooks of all queues",
    responses=problems(),
)
async def list_project_webhooks(
    *,
    query: Annotated[WebhookQuery, Query()],
    caller: Manager,
    store: StoreOf,
    paging: PagingOf,
) -> QueueWebhookPage:
    """List the project's webhooks in the byte order of their queues' names and their own."""
    wanted = WebhookFilter(query.state, caller.queues, query.search)
    # Names do not contain spaces.
    queue, name = (paging.after(query, "project webhooks", caller.project_id, wanted) or " ").split(" ")
    found, last = await webhooks.list_project_webhooks(store, caller.project_id, wanted, (queue, name), query.limit)
    healths, now = await webhooks.health_of(store, [webhook for _, webhook in found]), store.clock.now()
    documents = [
        QueueWebhook(queue=queue, **_document(webhook, health, now))
        for (queue, webhook), health in zip(found, healths, strict=True)
    ]
    return paging.page(QueueWebhookPage, documents, " ".join(last) if last else None)
