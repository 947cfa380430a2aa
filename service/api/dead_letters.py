"""What a dead-letter queue holds, over HTTP."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from service.api.callers import Browser
from service.api.documented import problems
from service.api.fields import Document, Time
from service.api.queues import NO_QUEUE, QueueName
from service.api.state import StoreOf
from service.auth.scopes import require_queue
from service.domain import dead_letters

router = APIRouter(tags=["browse"])


class DeadLetterGroup(Document):
    """Dead letters that came from the same queue for the same reason, with the same error."""

    source_queue: str
    reason: Annotated[str, Field(description="`max_receives`, `expired`, `rejected` or `push_failed`.")]
    last_error: Annotated[str | None, Field(description="Its first 200 characters.")]
    messages: int
    oldest_at: Annotated[Time, Field(description="When the first of them came here.")]
    newest_at: Time
    message_id: Annotated[str, Field(description="The one that came last.")]


class DeadLetterGroups(Document):
    """What a dead-letter queue holds, the commonest first."""

    items: Annotated[list[DeadLetterGroup], Field(description="Up to 100.")]
    complete: Annotated[
        bool,
        Field(
            description="False: there are more groups, or more messages than the newest 10,000, which were looked at."
        ),
    ]


@router.get(
    "/v1/queues/{queue}/dead-letters",
    operation_id="list_dead_letters",
    summary="What a queue's dead letters have in common",
    responses=problems(NO_QUEUE),
)
async def list_dead_letters(queue: QueueName, caller: Browser, store: StoreOf) -> DeadLetterGroups:
    """Group the newest 10,000 messages that came here as dead letters. Nothing is taken by it."""
    require_queue(caller, queue)
    rows, complete = await dead_letters.groups(store, caller.project_id, queue)
    fields = [name for name in DeadLetterGroup.model_fields if name != "message_id"]
    items = [DeadLetterGroup(**{name: row[name] for name in fields}, message_id=str(row["message_id"])) for row in rows]
    return DeadLetterGroups(items=items, complete=complete)
