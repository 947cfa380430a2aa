"""Messages where they are stored, for those who look after a queue."""

from typing import Annotated

from fastapi import APIRouter, Path

from service.api.callers import Manager
from service.api.documented import problems
from service.api.queues import QueueName
from service.api.state import StoreOf
from service.auth.scopes import require_queue
from service.domain import messages

router = APIRouter(tags=["messages"])

MessageId = Annotated[str, Path(max_length=64, description="The message's id.")]


@router.delete(
    "/v1/queues/{queue}/messages/{message_id}",
    operation_id="delete_message",
    summary="Delete a message that is not leased",
    status_code=204,
    responses=problems(
        {
            404: "There is no such queue or message: queue_not_found, message_not_found.",
            409: "A consumer holds the message: message_leased.",
        }
    ),
)
async def delete_message(queue: QueueName, message_id: MessageId, caller: Manager, store: StoreOf) -> None:
    """Remove a message that no consumer holds; a consumer deletes by receipt."""
    require_queue(caller, queue)
    await messages.delete_message(store, caller.project_id, queue, message_id)
