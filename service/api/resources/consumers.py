"""A queue's consumers, over HTTP."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from service.api.kit.callers import Browser
from service.api.kit.documented import problems
from service.api.kit.fields import Document, Time
from service.api.kit.paths import NO_QUEUE, QueueName
from service.api.kit.state import StoreOf
from service.domain import consumers
from service.message import Via

router = APIRouter(tags=["browse"])


class Consumer(Document):
    """All consumers that receive from a queue with the same API key in the same way, as one entry."""

    key_id: Annotated[str | None, Field(description="Null for the root key.")]
    key_name: Annotated[str | None, Field(description="Null for the root key and revoked keys.")]
    via: Annotated[Via, Field(description="`receive`: by HTTP requests. The others are streams.")]
    waiting: Annotated[int, Field(description="Number of waiting receives, and of streams with credit.")]
    last_asked_at: Annotated[Time, Field(description="When it last requested messages or was waiting for them.")]


class Consumers(Document):
    """A queue's consumers."""

    items: Annotated[list[Consumer], Field(description="Up to 100 consumers, waiting ones first.")]


@router.get(
    "/v1/queues/{queue}/consumers",
    operation_id="list_consumers",
    summary="List a queue's consumers",
    responses=problems(NO_QUEUE),
)
async def list_consumers(queue: QueueName, caller: Browser, store: StoreOf) -> Consumers:
    """List the consumers of the last hour, from all service processes. The list can lag by up to ten seconds.

    Webhooks are not included.
    """
    seen = await consumers.of_queue(store, caller.project_id, queue)
    items = [Consumer(**one._asdict() | {"key_id": one.key_id and one.key_id.hex}) for one in seen]
    return Consumers(items=items)
