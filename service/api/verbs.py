"""What clients of streams may do, whichever way they said it, and for how long."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import datetime
from urllib.parse import urlsplit

from service.api import frames
from service.api.drafts import draft_of
from service.api.exchange import rfc3339
from service.api.frames import AuthFrame, ClientFrame, CreditFrame, SendFrame
from service.api.messages import sent_json
from service.api.quotas import admit, limits_on_stored
from service.api.receipts import order_of
from service.auth.keyring import Keyring
from service.auth.scopes import require, require_queue
from service.domain.send import send
from service.domain.settle import Order
from service.errors import FieldError, InvalidRequest, MalformedRequest, Unauthenticated, Unavailable, invalid
from service.model import NAME_RULE, Action, Caller, Scope, is_name
from service.settings import Settings
from service.store.store import Store

# A revoked key ends its streams within five seconds.
_LOOK_SECONDS = 1.0

# A key and the project that is named with it, as a request's headers have them.
Presented = tuple[bytes | None, bytes | None]
Settle = Callable[[Order], Awaitable[datetime | None]]


def may_connect(origin: str, host: str, settings: Settings) -> bool:
    """Tell whether a page may open streams: the service's own, and those that the operator names."""
    try:
        return origin in settings.allowed_origins or urlsplit(origin).netloc == host
    except ValueError:
        return False


async def watch(store: Store, keyring: Keyring, presented: Presented, caller: Caller) -> None:
    """Return when the service is about to end. Raises Unauthenticated when the caller is let in no more."""
    while True:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_SECONDS):
                await store.draining.wait()
            return
        with contextlib.suppress(Unavailable):
            now = keyring.known(*presented) or await keyring.caller(*presented)
            if (now.scopes, now.queues) != (caller.scopes, caller.queues):
                raise Unauthenticated


async def perform(store: Store, caller: Caller, queue: str, settle: Settle, frame: ClientFrame) -> bytes:
    """Do one thing; return what its result says beside `ok`, as members of JSON. Raises a Problem.

    `queue`: where a send goes that names none.
    """
    if isinstance(frame, SendFrame):
        return await _send(store, caller, queue if frame.queue is None else frame.queue, frame)
    if isinstance(frame, AuthFrame | CreditFrame):
        raise MalformedRequest("The key is given once, in the first frame.")
    errors: list[FieldError] = []
    order = order_of(frames.item_of(frame), "", errors)
    if errors:
        raise InvalidRequest(errors)
    until = await settle(order)
    return b',"lease_expires_at":"%b"' % rfc3339(until).encode() if order.action is Action.EXTEND and until else b""


async def _send(store: Store, caller: Caller, queue: str, frame: SendFrame) -> bytes:
    if not is_name(queue):
        raise invalid("/queue", "invalid_name", NAME_RULE)
    require(caller, Scope.SEND)
    require_queue(caller, queue)
    await admit(store, caller, [])
    if (limits := limits_on_stored(store, caller)) is not None:
        await store.usage.check(caller.project_id, limits)
    errors: list[FieldError] = []
    draft = draft_of(frame.message, "/message", errors)
    if errors:
        raise InvalidRequest(errors)
    [visible_at] = await send(store, caller.project_id, queue, [draft])
    return b"," + sent_json(draft.id, visible_at, duplicate=draft.duplicate)[1:-1]
