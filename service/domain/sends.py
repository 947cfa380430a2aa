"""Sending: one message or several to one queue, durable when the call returns."""

import asyncio
import itertools
from collections.abc import Callable, Iterator
from datetime import datetime

from service.domain.deduplication import is_asked_for, send_once
from service.errors import FieldError, InvalidRequest, PayloadTooLarge, QueueFull, Unavailable
from service.message import Draft
from service.model import LEAST_URGENT, Queue
from service.store.database import patience
from service.store.messaging.sends import StaleQueue
from service.store.resources import queues
from service.store.store import Store

_TRY_SECONDS = 4.0

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
    """Store the messages, all or none, assign each its id, and return when each becomes visible.

    `batch`: the sender gave a list, so problems point into it. `key` identifies the whole request. Messages that were
    sent before are not stored again: their drafts become duplicates, with the first message's id. Raises NotFound,
    InvalidRequest, PayloadTooLarge, QueueFull, Conflict, Unavailable.
    """
    queue = store.directory.known(project_id, queue_name) or await store.directory.find(project_id, queue_name)
    once = is_asked_for(drafts, key)
    for draft in drafts:
        draft.id = store.identifiers.message()
    for _ in tries():
        try:
            if not _fit_as_they_are(queue, drafts):
                queue = await fit(store, queue, drafts, pointers(batch=batch))
            if (once or queue.config.deduplicate_by_content) and queue.config.deduplication_window:
                return await send_once(store, queue, drafts, key)
            return await store.send(queue, drafts)
        except StaleQueue:
            queue = await store.directory.find(project_id, queue_name)
        except (PayloadTooLarge, QueueFull):
            # The limit is the cached one: another process may have raised it, or deleted the queue.
            refused, queue = queue, await store.directory.find(project_id, queue_name)
            if (queue.number, queue.version) == (refused.number, refused.version):
                raise
    raise Unavailable


def tries() -> Iterator[int]:
    """Count the attempts of a request whose queues keep changing: at least two, and no more after some seconds."""
    yield 0
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + patience.seconds(_TRY_SECONDS)
    for attempt in itertools.count(1):
        yield attempt
        if loop.time() >= ends_at:
            return


def _fit_as_they_are(queue: Queue, drafts: list[Draft]) -> bool:
    """Return whether `fit` would find nothing to do, as for most messages."""
    limit = queue.config.max_message_bytes
    # Not with `all`, whose generator takes twice the time.
    for draft in drafts:  # noqa: SIM110
        if draft.size > limit or draft.urgency != LEAST_URGENT:
            return False
    return True


async def fit(store: Store, queue: Queue, drafts: list[Draft], pointer: Pointer) -> Queue:
    """Check that the queue accepts these messages, and add priorities that are new to it; return it as it then is.

    `pointer` returns where a message stands in the request. Raises PayloadTooLarge, InvalidRequest, NotFound.
    """
    _check_sizes(queue, drafts, pointer)
    if any([draft.urgency != LEAST_URGENT for draft in drafts]):  # noqa: C419 - a generator takes twice the time
        return await _with_priorities(store, queue, drafts, pointer)
    return queue


def pointers(*, batch: bool) -> Pointer:
    """Return how to point at a message of a request, which has a batch or a single one."""
    return _member if batch else _whole


def _whole(_position: int) -> str:
    return ""


def _member(position: int) -> str:
    return f"/messages/{position}"


async def _with_priorities(store: Store, queue: Queue, drafts: list[Draft], pointer: Pointer) -> Queue:
    """Make claims look for messages of these priorities; return the queue as it then is. Raises InvalidRequest."""
    urgencies = {draft.urgency for draft in drafts}
    if queue.is_fifo:
        refuse_priorities(drafts, pointer)
    if urgencies.issubset(queue.urgencies):
        return queue
    await store.transaction(lambda connection: queues.add_urgencies(connection, queue.number, urgencies))
    return await store.directory.find(queue.project_id, queue.name)


def refuse_priorities(drafts: list[Draft], pointer: Pointer) -> None:
    """Raise InvalidRequest if a message for a fifo queue or topic has a priority."""
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
            f"The message has {draft.size} bytes of body and headers; this queue takes at most {limit} "
            "(max_message_bytes).",
        )
        for position, draft in enumerate(drafts)
        if draft.size > limit
    ]
    raise PayloadTooLarge(errors[0].detail, errors=errors)
