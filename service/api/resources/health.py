"""Liveness, readiness and metrics, for operators. They require no key."""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from typing import TypeVar

from fastapi import APIRouter, Request, Response

from service.api.kit.documented import problems_of
from service.api.kit.fields import Document
from service.api.kit.state import MeteredQueuesOf, StoreOf
from service.errors import Unavailable
from service.store.database import health
from service.store.database.connections import DISK_FULL, READ_ONLY, disk_was_full
from service.store.database.schema import head
from service.store.database.secret_keys import is_one_of
from service.store.views.metered import MeteredQueues
from service.telemetry import (
    CONTENT_TYPE,
    NOTIFICATION_QUEUE,
    OLDEST_TRANSACTION_AGE,
    PUSH_BACKLOG_AGE,
    WEBHOOKS,
    QueueFigures,
    exposition,
)

router = APIRouter(tags=["operations"])

PROBE_SECONDS = 1.0

T = TypeVar("T")


class Health(Document):
    """The result of a successful health check."""

    status: str


@router.get("/healthz", operation_id="healthz", summary="Check that the process is alive")
async def healthz() -> Health:
    """Return 200 while the process can answer requests. The database is not checked."""
    return Health(status="ok")


@router.get(
    "/readyz",
    operation_id="readyz",
    summary="Check that the service is ready",
    responses=problems_of(503, "The service is not ready: unavailable."),
)
async def readyz(request: Request, store: StoreOf) -> Health:
    """Return 200 while this process can serve requests.

    The database must accept writes and have this version's schema; the process must receive the notifications of other
    processes, and must not be shutting down.
    """
    if request.app.state.draining:
        raise Unavailable("This process is shutting down. Use another one.")
    found = await _within_a_second(store.transaction(health.installation))
    if found.revision != head():
        raise Unavailable("The database has the schema of another version. Run `restante migrate`.")
    if not is_one_of(found.fingerprint, store.secret_keys):
        raise Unavailable("The database now uses another RESTANTE_SECRET_KEY. Restart this process with that key.")
    if found.read_only:
        raise Unavailable(READ_ONLY)
    if disk_was_full():
        raise Unavailable(DISK_FULL)
    if not store.wakeups.are_heard:
        raise Unavailable("The process is not receiving notifications from others. It is reconnecting.")
    return Health(status="ok")


@router.get(
    "/metrics",
    operation_id="metrics",
    summary="Get metrics for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics(store: StoreOf, metered: MeteredQueuesOf) -> Response:
    """Return the metrics of this node's processes in the Prometheus text format."""
    figures = QueueFigures()
    with suppress(Unavailable):
        OLDEST_TRANSACTION_AGE.set(await _within_a_second(store.transaction(health.oldest_transaction_age)))
        NOTIFICATION_QUEUE.set(await _within_a_second(store.transaction(health.notification_queue)))
        push = await _within_a_second(store.transaction(health.push))
        PUSH_BACKLOG_AGE.set(push.backlog_age)
        for state, webhooks in push.webhooks.items():
            WEBHOOKS.labels(state).set(webhooks)
        await _report_queues(metered, figures)
    store.report()
    return Response(exposition(figures), media_type=CONTENT_TYPE)


async def _report_queues(metered: MeteredQueues, figures: QueueFigures) -> None:
    """Add the metrics of single queues to `figures`. Raises Unavailable."""
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            counted = await metered.ask()
    except TimeoutError:
        raise Unavailable("Counting the queues' messages took longer than a second.") from None
    for of in counted:
        name, stats = [of.project, of.queue], of.stats
        for state, messages in (("ready", stats.ready), ("delayed", stats.delayed), ("leased", stats.leased)):
            figures.messages.add_metric([*name, state], messages)
        age = 0.0 if stats.oldest_ready_age is None else stats.oldest_ready_age + metered.since_counted()
        figures.oldest_ready_age.add_metric(name, age)
    figures.omitted.add_metric([], metered.omitted)


async def _within_a_second(answer: Awaitable[T]) -> T:
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            return await answer
    except TimeoutError:
        raise Unavailable("The database did not answer within a second.") from None
