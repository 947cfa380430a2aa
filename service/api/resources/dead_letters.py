"""The contents of a dead-letter queue, grouped by cause, over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from service.api.kit.callers import Browser
from service.api.kit.documented import problems
from service.api.kit.fields import Document, Time
from service.api.kit.paths import NO_QUEUE, QueueName
from service.api.kit.state import StoreOf
from service.domain import dead_letters
from service.model import NAME_PATTERN

router = APIRouter(tags=["browse"])

Source = Annotated[str | None, Query(pattern=NAME_PATTERN, description="Only dead letters from this queue.")]


class DeadLetterGroup(Document):
    """Dead letters from the same queue, with the same reason and the same folded error."""

    source_queue: str
    reason: Annotated[str, Field(description="`max_receives`, `expired`, `rejected` or `push_failed`.")]
    error: Annotated[
        str | None,
        Field(
            description="The first 200 characters of the error, with placeholders for numbers, UUIDs and quoted text. "
            "Pass it as a filter's `dead_letter.error`."
        ),
    ]
    last_error: Annotated[str | None, Field(description="The first 200 characters of the newest message's error.")]
    messages: int
    oldest_at: Annotated[Time, Field(description="When the oldest message was moved here.")]
    newest_at: Time
    message_id: Annotated[str, Field(description="The newest message.")]


class DeadLetterGroups(Document):
    """The groups of a dead-letter queue, largest first."""

    items: Annotated[list[DeadLetterGroup], Field(description="Up to 100.")]
    complete: Annotated[
        bool,
        Field(description="False if there are more groups than listed, or more messages than the 10,000 examined."),
    ]


@router.get(
    "/v1/queues/{queue}/dead-letters",
    operation_id="list_dead_letters",
    summary="Group a queue's dead letters by cause",
    responses=problems(NO_QUEUE),
)
async def list_dead_letters(
    queue: QueueName, caller: Browser, store: StoreOf, source: Source = None
) -> DeadLetterGroups:
    """Group the newest 10,000 dead letters in the queue. The messages are not affected."""
    found, complete = await dead_letters.groups(store, caller.project_id, queue, source)
    items = [DeadLetterGroup(**group._asdict() | {"message_id": str(group.message_id)}) for group in found]
    return DeadLetterGroups(items=items, complete=complete)
