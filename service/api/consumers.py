"""Who takes a queue's messages, over HTTP."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from service.api.callers import Browser
from service.api.documented import problems
from service.api.fields import Document, Time
from service.api.queues import NO_QUEUE, QueueName
from service.api.state import StoreOf
from service.auth.scopes import require_queue
from service.domain import consumers
from service.store.consumers import Via

router = APIRouter(tags=["browse"])


class Consumer(Document):
    """An API key with which a queue is asked for messages in one way, by however many."""

    key_id: Annotated[str | None, Field(description="null: the root key.")]
    key_name: Annotated[str | None, Field(description="null: the root key, or a key that is gone.")]
    via: Annotated[Via, Field(description="`receive`: over HTTP. The others are streams.")]
    waiting: Annotated[int, Field(description="Receives that wait for a message, and streams with credit.")]
    last_asked_at: Annotated[Time, Field(description="When it was last seen to ask or to wait.")]


class Consumers(Document):
    """Who takes a queue's messages."""

    items: Annotated[list[Consumer], Field(description="Those who wait first; up to 100.")]


@router.get(
    "/v1/queues/{queue}/consumers",
    operation_id="list_consumers",
    summary="Who takes a queue's messages",
    responses=problems(NO_QUEUE),
)
async def list_consumers(queue: QueueName, caller: Browser, store: StoreOf) -> Consumers:
    """Return who asked for messages in the last hour, of all processes, up to ten seconds late; not its webhooks."""
    require_queue(caller, queue)
    rows = await consumers.of_queue(store, caller.project_id, queue)
    items = [Consumer(**row | {"key_id": row["key_id"] and row["key_id"].hex}) for row in map(dict, rows)]
    return Consumers(items=items)
