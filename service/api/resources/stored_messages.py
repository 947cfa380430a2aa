"""Deletion of messages by id, over HTTP."""

from fastapi import APIRouter

from service.api.kit.callers import Manager
from service.api.kit.documented import problems
from service.api.kit.paths import MESSAGE, MessageId, QueueName
from service.api.kit.state import StoreOf
from service.domain import stored_messages

router = APIRouter(tags=["messages"])


@router.delete(
    MESSAGE,
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
    """Delete a message that no consumer holds. Consumers delete a received message by its receipt."""
    await stored_messages.delete_message(store, caller.project_id, queue, message_id)
