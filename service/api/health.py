"""For those who run the service: is it alive, is it ready, what has it counted. Without a key."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from fastapi import APIRouter, Request, Response
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from service.api.documented import problems_of
from service.api.fields import Document
from service.api.state import StoreOf
from service.errors import Unavailable
from service.store import health
from service.store.migrate import head
from service.store.store import Store
from service.store.transactions import transaction
from service.telemetry import CONTENT_TYPE, OLDEST_TRANSACTION_AGE, PUSH_BACKLOG_AGE, WEBHOOKS, exposition

router = APIRouter(tags=["operations"])

PROBE_SECONDS = 1.0

T = TypeVar("T")


class Health(Document):
    """That it is well."""

    status: str


@router.get("/healthz", operation_id="healthz", summary="Is the process alive?")
async def healthz() -> Health:
    """Answer as long as the process does."""
    return Health(status="ok")


@router.get(
    "/readyz",
    operation_id="readyz",
    summary="Is the service ready?",
    responses=problems_of(503, "It is not: unavailable."),
)
async def readyz(request: Request, store: StoreOf) -> Health:
    """Answer 200 while the database answers, its schema is current, and the process does not stop."""
    if request.app.state.draining:
        raise Unavailable("The service is shutting down. Ask another process.")
    try:
        found = await _within_a_second(store, health.revision)
    except DBAPIError:
        found = None
    if found != head():
        raise Unavailable("The database's schema is not this version's. Run `restante migrate`.")
    return Health(status="ok")


@router.get(
    "/metrics",
    operation_id="metrics",
    summary="What was counted, for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics(store: StoreOf) -> Response:
    """Return the counts of this node's processes in Prometheus' text format."""
    with suppress(Unavailable):
        OLDEST_TRANSACTION_AGE.set(await _within_a_second(store, health.oldest_transaction_age))
        push = await _within_a_second(store, health.push)
        PUSH_BACKLOG_AGE.set(push.backlog_age)
        for state, webhooks in push.webhooks.items():
            WEBHOOKS.labels(state).set(webhooks)
    store.report()
    return Response(exposition(), media_type=CONTENT_TYPE)


async def _within_a_second(store: Store, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            return await transaction(store.engine, work)
    except TimeoutError:
        raise Unavailable("The database does not answer within a second.") from None
