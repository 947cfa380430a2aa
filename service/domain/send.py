"""Sending: one message or many into one queue, durable when it returns."""

from datetime import datetime

from service.errors import FieldError, PayloadTooLarge, QueueFull, Unavailable
from service.model import Draft, Queue
from service.store.sends import StaleQueue
from service.store.store import Store

# A queue that changes faster than we can look it up is not a queue; give up rather than spin.
_TRIES = 5


async def send(
    store: Store, project_id: int, queue_name: str, drafts: list[Draft], *, batch: bool = False
) -> list[datetime]:
    """Store the messages, all or none, give each its id, and return when each becomes visible.

    `batch`: the sender gave a list, so a problem points into it. Raises NotFound, PayloadTooLarge, QueueFull,
    Unavailable.
    """
    queue = store.directory.known(project_id, queue_name) or await store.directory.find(project_id, queue_name)
    for draft in drafts:
        draft.id = store.identifiers.message()
    for _ in range(_TRIES):
        try:
            _check_sizes(queue, drafts, batch=batch)
            return await store.send(queue, drafts)
        except StaleQueue:
            queue = await store.directory.find(project_id, queue_name)
        except (PayloadTooLarge, QueueFull):
            # The limit is the one we remember: another process may have raised it, or deleted the queue.
            refused, queue = queue, await store.directory.find(project_id, queue_name)
            if (queue.number, queue.version) == (refused.number, refused.version):
                raise
    raise Unavailable


def _check_sizes(queue: Queue, drafts: list[Draft], *, batch: bool) -> None:
    limit = queue.config.max_message_bytes
    if all([draft.size <= limit for draft in drafts]):  # noqa: C419 - a generator takes twice the time
        return
    errors = [
        FieldError(
            f"/messages/{position}" if batch else "",
            "payload_too_large",
            f"The message has {draft.size} octets of body and headers; this queue takes at most {limit} "
            "(max_message_bytes).",
        )
        for position, draft in enumerate(drafts)
        if draft.size > limit
    ]
    raise PayloadTooLarge(errors[0].detail, errors=errors)
