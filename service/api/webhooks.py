"""Webhooks of a queue over HTTP."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field

from service import model
from service.api.callers import Manager
from service.api.conditions import IfMatch, IfNoneMatch, condition, etag, not_modified
from service.api.documented import CHANGED, NOT_MODIFIED, problems
from service.api.fields import LEFT_OUT, Document, Fields, Seconds, Time
from service.api.json_requests import JsonRoute
from service.api.lists import ListQuery, Page, page
from service.api.queues import QueueName
from service.api.state import CursorsOf, ResolverOf, StoreOf
from service.api.webhook_fields import (
    Delays,
    Enabled,
    Exhausted,
    Headers,
    Jitter,
    MaxConcurrency,
    Mode,
    RateLimit,
    SecretText,
    Timeout,
    Url,
)
from service.auth.scopes import require_queue
from service.domain import webhooks
from service.domain.webhooks import WebhookKey
from service.egress.addresses import Refused
from service.egress.resolver import Resolver
from service.egress.urls import BadUrl, parse
from service.errors import invalid
from service.model import NAME_PATTERN, Caller, OnExhausted, Retry, WebhookConfig, WebhookMode
from service.store.attempts import Health
from service.store.store import Store
from service.store.webhooks import WebhookFilter, WebhookState

router = APIRouter(route_class=JsonRoute, tags=["webhooks"])

WebhookName = Annotated[str, Path(pattern=NAME_PATTERN, description="The webhook's name.")]

_NO_QUEUE = {404: "There is no such queue in this project: queue_not_found."}
NO_WEBHOOK = {404: "There is no such queue, or it has no such webhook: queue_not_found, webhook_not_found."}
_DEFAULTS = WebhookConfig("")


class RetryFields(Fields):
    """When a message is tried again."""

    delays: Delays = Field(default_factory=lambda: list(Retry().delays))
    jitter: Jitter = Retry().jitter

    def retry(self) -> Retry:
        """Return it as the model has it."""
        return Retry(tuple(self.delays), self.jitter)


class WebhookFields(Fields):
    """A webhook's whole configuration. What is left out takes its default; only the secret stays what it is."""

    url: Url
    mode: Mode = _DEFAULTS.mode
    headers: Headers = Field(default_factory=dict)
    timeout: Timeout = _DEFAULTS.timeout
    max_concurrency: MaxConcurrency = _DEFAULTS.max_concurrency
    rate_limit: RateLimit | None = None
    retry: RetryFields = RetryFields()
    on_exhausted: Exhausted = _DEFAULTS.on_exhausted
    enabled: Enabled = True
    secret: SecretText | None = None


class WebhookChanges(Fields):
    """The fields of a webhook's configuration to replace; null sets the default, which `url` has not.

    A `secret` of null stays what it is.
    """

    url: Url = LEFT_OUT
    mode: Mode | None = None
    headers: Headers | None = None
    timeout: Timeout | None = None
    max_concurrency: MaxConcurrency | None = None
    rate_limit: RateLimit | None = None
    retry: RetryFields | None = None
    on_exhausted: Exhausted | None = None
    enabled: Enabled | None = None
    secret: SecretText | None = None


class RetryDocument(Document):
    """When a message is tried again."""

    delays: list[Annotated[timedelta, Seconds(0, 31_536_000)]]
    jitter: float


class Webhook(Document):
    """A webhook. `secret` is there once, in the answer that made it."""

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
        str, Field(description="`active`, `paused`, `circuit_open` (until a success closes it) or `disabled`.")
    ]
    state_reason: Annotated[str | None, Field(description="Why it is not active.")]
    until: Annotated[Time | None, Field(description="When a pause ends.")]
    success_rate: Annotated[
        float | None,
        Field(
            description="Of the last thousand attempts, those that succeeded: 0 to 1. On a page of over a hundred "
            "webhooks, of fewer."
        ),
    ]
    latency: Annotated[float | None, Field(description="Seconds that one of these took, as the median.")]
    created_at: Time
    updated_at: Time


class NewWebhook(Webhook):
    """A webhook that was just made, with its secret."""

    secret: str


class WebhookPage(Page[Webhook]):
    """Some of a queue's webhooks."""


class QueueWebhook(Webhook):
    """A webhook, with the queue whose messages it is sent."""

    queue: str


class QueueWebhookPage(Page[QueueWebhook]):
    """Some of a project's webhooks."""


class WebhookQuery(ListQuery):
    """Which webhooks to list."""

    state: Annotated[WebhookState | None, Field(description="Webhooks in this state.")] = None


class Rotation(Fields):
    """How a secret is changed."""

    overlap: Annotated[
        timedelta, Seconds(0, 604_800), Field(description="How long requests are also signed with the older secrets.")
    ] = timedelta(days=1)


class Rotated(Document):
    """A new secret, shown this once."""

    secret: str


_NO_CHANGES = WebhookChanges()
_ROTATION = Rotation()


def _config(fields: WebhookFields) -> WebhookConfig:
    given = {name: getattr(fields, name) for name in WebhookFields.model_fields if name not in {"secret", "retry"}}
    given["headers"] = tuple(fields.headers.items())
    return WebhookConfig(**given, retry=fields.retry.retry())


def _changed(changes: WebhookChanges) -> dict[str, Any]:
    """Return the fields to replace, as the model has them."""
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


async def _answer(found: model.Webhook, store: Store, response: Response) -> dict[str, Any]:
    response.headers["ETag"] = etag(found.config)
    [health] = await webhooks.health_of(store, [found])
    return _document(found, health, store.clock.now())


def _document(found: model.Webhook, health: Health, now: datetime) -> dict[str, Any]:
    config, paused = found.config, found.paused_until is not None and found.paused_until > now
    state, reason = "active", None
    if not config.enabled:
        state, reason = "disabled", found.pause_reason if found.pause_reason == "gone" else "enabled is false"
    elif paused and found.pause_reason != "circuit_open":
        state, reason = "paused", found.pause_reason
    elif found.circuit_open:
        state = reason = "circuit_open"
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
        "until": found.paused_until if paused and config.enabled else None,
        "success_rate": health.success_rate,
        "latency": None if health.latency is None else health.latency.total_seconds(),
        "created_at": found.created_at,
        "updated_at": found.updated_at,
    }


@router.put(
    "/v1/queues/{queue}/webhooks/{webhook}",
    operation_id="put_webhook",
    summary="Create or configure a webhook",
    response_model=Webhook,
    responses=problems({**_NO_QUEUE, **CHANGED}, body=True) | {201: {"description": "Created.", "model": NewWebhook}},
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
    if_match: IfMatch = None,
    if_none_match: IfNoneMatch = None,
) -> Any:
    """Make a webhook (201, with its secret, this once), or give it the whole configuration (200)."""
    require_queue(caller, queue)
    await _check_url(resolver, fields.url, caller)
    key, check = WebhookKey(caller.project_id, queue, webhook), condition(if_match, if_none_match)
    found, created = await webhooks.put_webhook(store, key, _config(fields), fields.secret, check)
    document = await _answer(found, store, response)
    if created:
        made = NewWebhook(**document, secret=found.secrets[0].text)
        headers = dict(response.headers)
        return Response(made.model_dump_json(), 201, media_type="application/json", headers=headers)
    return document


@router.patch(
    "/v1/queues/{queue}/webhooks/{webhook}",
    operation_id="patch_webhook",
    summary="Change some of a webhook's configuration",
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
    if_match: IfMatch = None,
    if_none_match: IfNoneMatch = None,
) -> Any:
    """Replace the fields given; null sets the default. Attempts that begin later go by it."""
    require_queue(caller, queue)
    if changes.url is not None:
        await _check_url(resolver, changes.url, caller)
    wanted = _changed(changes)

    def change(old: WebhookConfig) -> WebhookConfig:
        return replace(old, **wanted)

    key, check = WebhookKey(caller.project_id, queue, webhook), condition(if_match, if_none_match)
    return await _answer(await webhooks.patch_webhook(store, key, change, changes.secret, check), store, response)


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
    if_none_match: IfNoneMatch = None,
) -> Any:
    """Return a webhook's configuration and state."""
    require_queue(caller, queue)
    _, found = await webhooks.get_webhook(store, WebhookKey(caller.project_id, queue, webhook))
    if not_modified(found.config, if_none_match):
        return Response(status_code=304, headers={"ETag": etag(found.config)})
    return await _answer(found, store, response)


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
    """Delete a webhook. Requests in flight end as they do; the queue's messages stay."""
    require_queue(caller, queue)
    asked = if_match is not None or if_none_match is not None
    check = condition(if_match, if_none_match) if asked else None
    await webhooks.delete_webhook(store, WebhookKey(caller.project_id, queue, webhook), check)


@router.get(
    "/v1/queues/{queue}/webhooks",
    operation_id="list_webhooks",
    summary="List a queue's webhooks",
    responses=problems(_NO_QUEUE),
)
async def list_webhooks(
    *,
    queue: QueueName,
    query: Annotated[ListQuery, Query()],
    caller: Manager,
    store: StoreOf,
    cursors: CursorsOf,
    request: Request,
    response: Response,
) -> WebhookPage:
    """List a queue's webhooks in the byte order of their names."""
    require_queue(caller, queue)
    listing = ("webhooks", caller.project_id, queue)
    after = cursors.open(query.cursor, *listing) if query.cursor is not None else ""
    found, last = await webhooks.list_webhooks(store, caller.project_id, queue, after, query.limit)
    healths, now = await webhooks.health_of(store, found), store.clock.now()
    documents = [Webhook(**_document(webhook, health, now)) for webhook, health in zip(found, healths, strict=True)]
    return page(WebhookPage, documents, cursors.seal(last, *listing) if last is not None else None, request, response)


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
    cursors: CursorsOf,
    request: Request,
    response: Response,
) -> QueueWebhookPage:
    """List the project's webhooks in the byte order of their queues' names and their own."""
    wanted = WebhookFilter(query.state, caller.queues)
    listing = ("project webhooks", caller.project_id, wanted)
    # No name has a blank.
    queue, name = cursors.open(query.cursor, *listing).split(" ") if query.cursor is not None else ("", "")
    found, last = await webhooks.list_project_webhooks(store, caller.project_id, wanted, (queue, name), query.limit)
    healths, now = await webhooks.health_of(store, [webhook for _, webhook in found]), store.clock.now()
    documents = [
        QueueWebhook(queue=queue, **_document(webhook, health, now))
        for (queue, webhook), health in zip(found, healths, strict=True)
    ]
    cursor = cursors.seal(" ".join(last), *listing) if last is not None else None
    return page(QueueWebhookPage, documents, cursor, request, response)


@router.post(
    "/v1/queues/{queue}/webhooks/{webhook}/rotate-secret",
    operation_id="rotate_webhook_secret",
    summary="Change a webhook's secret",
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
    """Sign with a new secret from now on; until the overlap ends with the older ones too."""
    require_queue(caller, queue)
    _, secret = await webhooks.rotate_secret(store, WebhookKey(caller.project_id, queue, webhook), rotation.overlap)
    return Rotated(secret=secret)
