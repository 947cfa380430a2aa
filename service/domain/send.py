"""Sending: one message or many into one queue, durable when it returns."""

from collections.abc import Callable
from datetime import datetime

from service.domain.once import is_asked_for, send_once
from service.errors import FieldError, InvalidRequest, PayloadTooLarge, QueueFull, Unavailable
from service.model import LEAST_URGENT, Draft, Queue
from service.store import queues
from service.store.sends import StaleQueue
from service.store.store import Store
from service.store.transactions import transaction

# A queue that changes faster than we can look it up is not a queue; give up rather than spin.
TRIES = 5

Pointer = Callable[[int], str]


async def send(
    store: Store,
    project_id: int,
    queue_name: str,
    drafts: list[Draft],
    *,
    batch: bool = False,
    key: str | None = None,
) -> list[datetime]:
    """Store the messages, all or none, give each its id, and return when each becomes visible.

    `batch`: the sender gave a list, so a problem points into it; `key`: what the whole of it is known by. What was sent
    before is not stored again: its drafts become duplicates, with the first one's id. Raises NotFound, InvalidRequest,
    PayloadTooLarge, QueueFull, Conflict, Unavailable.
    """
    queue = store.directory.known(project_id, queue_name) or await store.directory.find(project_id, queue_name)
    once = is_asked_for(drafts, key)
    for draft in drafts:
        draft.id = store.identifiers.message()
    for _ in range(TRIES):
        try:
            queue = await fit(store, queue, drafts, pointers(batch=batch))
            if (once or queue.config.deduplicate_by_content) and queue.config.deduplication_window:
                return await send_once(store, queue, drafts, key)
            return await store.send(queue, drafts)
        except StaleQueue:
            queue = await store.directory.find(project_id, queue_name)
        except (PayloadTooLarge, QueueFull):
            # The limit is the one we remember: another process may have raised it, or deleted the queue.
            refused, queue = queue, await store.directory.find(project_id, queue_name)
            if (queue.number, queue.version) == (refused.number, refused.version):
                raise
    raise Unavailable


async def fit(store: Store, queue: Queue, drafts: list[Draft], pointer: Pointer) -> Queue:
    """See that the queue takes these messages; return it as it is then.

    `pointer` says where each of them stands in the request. Raises PayloadTooLarge, InvalidRequest, NotFound.
    """
    _check_sizes(queue, drafts, pointer)
    if any([draft.urgency != LEAST_URGENT for draft in drafts]):  # noqa: C419 - a generator takes twice the time
        return await _with_priorities(store, queue, drafts, pointer)
    return queue


def pointers(*, batch: bool) -> Pointer:
    """Return where messages stand in a request that has one, or a batch."""
    return _member if batch else _whole


def _whole(_position: int) -> str:
    return ""


def _member(position: int) -> str:
    return f"/messages/{position}"


async def _with_priorities(store: Store, queue: Queue, drafts: list[Draft], pointer: Pointer) -> Queue:
    """Return the queue as it is once claims look for messages of these priorities. Raises StaleQueue."""
    urgencies = {draft.urgency for draft in drafts}
    if queue.is_fifo:
        refuse_priorities(drafts, pointer)
    if urgencies.issubset(queue.urgencies):
        return queue
    await transaction(store.engine, lambda connection: queues.add_urgencies(connection, queue.number, urgencies))
    return await store.directory.find(queue.project_id, queue.name)


def refuse_priorities(drafts: list[Draft], pointer: Pointer) -> None:
    """Raise InvalidRequest where order is that of sending and a message has a priority."""
    errors = [
        FieldError(
            f"{pointer(position)}/priority",
            "not_allowed",
            "A fifo queue delivers in the order of sending. Leave the priority out, or use a standard queue.",
        )
        for position, draft in enumerate(drafts)
        if draft.urgency != LEAST_URGENT
    ]
    if errors:
        raise InvalidRequest(errors)


def _check_sizes(queue: Queue, drafts: list[Draft], pointer: Pointer) -> None:
    limit = queue.config.max_message_bytes
    if all([draft.size <= limit for draft in drafts]):  # noqa: C419 - a generator takes twice the time
        return
    errors = [
        FieldError(
            pointer(position),
            "payload_too_large",
            f"The message has {draft.size} octets of body and headers; this queue takes at most {limit} "
            "(max_message_bytes).",
        )
        for position, draft in enumerate(drafts)
        if draft.size > limit
    ]
    raise PayloadTooLarge(errors[0].detail, errors=errors)
