"""The actions of stream clients, independent of the protocol: settle, send, publish."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime

from service.api.http.exchange import rfc3339
from service.api.http.quotas import admit, limits_on_stored
from service.api.messaging.drafts import Message, draft_of
from service.api.messaging.publishes import published_json
from service.api.messaging.receipts import order_of
from service.api.messaging.sends import sent_json
from service.api.streaming import frames
from service.api.streaming.frames import AuthFrame, ClientFrame, CreditFrame, PublishFrame, SendFrame
from service.auth.admission import Admission
from service.auth.scopes import require, require_queue
from service.domain.publishes import publish
from service.domain.receipts import ReceiptRequest
from service.domain.sends import send
from service.errors import FieldError, InvalidRequest, MalformedRequest, invalid
from service.message import Draft
from service.model import NAME_RULE, Action, Caller, Scope, is_name
from service.store.store import Store

# The values of the Authorization and Restante-Project headers.
Presented = tuple[bytes | None, bytes | None]
SettleReceipt = Callable[[ReceiptRequest], Awaitable[datetime | None]]


async def let_in(store: Store, admission: Admission) -> None:
    """Wait until the service is about to stop. Raises a Problem when the caller's key is no longer valid."""
    ending = asyncio.ensure_future(store.draining.wait())
    try:
        await asyncio.wait((ending, admission.ended), return_when=asyncio.FIRST_COMPLETED)
    finally:
        ending.cancel()
    if admission.ended.done():
        raise admission.ended.result()


async def perform(store: Store, caller: Caller, queue: str, settle: SettleReceipt, frame: ClientFrame) -> bytes:
    """Perform the action of a frame. Raises a Problem.

    `queue` is the default queue of a send. Returns further members for the result, as JSON that begins with a comma.
    """
    if isinstance(frame, SendFrame):
        return await _send(store, caller, queue if frame.queue is None else frame.queue, frame.message)
    if isinstance(frame, PublishFrame):
        return await _publish(store, caller, frame.topic, frame.message)
    if isinstance(frame, AuthFrame | CreditFrame):
        raise MalformedRequest("Send `auth` only as the first frame.")
    errors: list[FieldError] = []
    order = order_of(frames.item_of(frame), "", errors)
    if errors:
        raise InvalidRequest(errors)
    until = await settle(order)
    return b',"lease_expires_at":"%b"' % rfc3339(until).encode() if order.action is Action.EXTEND and until else b""


async def _send(store: Store, caller: Caller, queue: str, message: Message) -> bytes:
    draft = await _admitted(store, caller, "/queue", queue, message)
    [visible_at] = await send(store, caller.project_id, queue, [draft])
    return b"," + sent_json(draft.id, visible_at, duplicate=draft.duplicate)[1:-1]


async def _publish(store: Store, caller: Caller, topic: str, message: Message) -> bytes:
    draft = await _admitted(store, caller, "/topic", topic, message)
    [outcome] = await publish(store, caller.project_id, topic, [draft])
    return b"," + published_json(outcome)[1:-1]


async def _admitted(store: Store, caller: Caller, pointer: str, name: str, message: Message) -> Draft:
    """Return the draft of a message if the caller may send to the queue or topic `name`. Raises a Problem."""
    if not is_name(name):
        raise invalid(pointer, "invalid_name", NAME_RULE)
    require(caller, (Scope.SEND,))
    require_queue(caller, name)
    await admit(store, caller, [])
    if (limits := limits_on_stored(store, caller)) is not None:
        await store.usage.check(caller.project_id, limits)
    errors: list[FieldError] = []
    draft = draft_of(message, "/message", errors)
    if errors:
        raise InvalidRequest(errors)
    return draft
