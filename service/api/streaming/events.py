"""Streams as server-sent events. Consumers settle the messages by HTTP."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.routing import APIRoute
from fastapi.sse import EventSourceResponse, ServerSentEvent

from service.api.http.edge import HEAD
from service.api.kit.callers import ReceivingCaller, presented
from service.api.kit.documented import problems
from service.api.kit.paths import NO_QUEUE, QueueName
from service.api.kit.queries import WHOLE_NUMBER
from service.api.kit.state import KeyringOf, StoreOf
from service.api.messaging.receives import received_json
from service.api.streaming.verbs import Presented, let_in
from service.auth.keyring import Keyring
from service.domain.stream import MAX_CREDIT, Session
from service.errors import MethodNotAllowed, Problem
from service.message import Leased, Via
from service.model import Caller
from service.store.database import patience
from service.store.messaging.waiting import Claimed
from service.store.store import Store


class _NoStore(APIRoute):
    """A route with `no-store`: FastAPI sends events with `no-cache`, which lets caches store a consumer's messages."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def answer(request: Request) -> Response:
            response = await handler(request)
            response.headers["Cache-Control"] = "no-store"
            return response

        return answer


router = APIRouter(route_class=_NoStore, tags=["streams"])

# Tasks that return the messages of ended streams to their queues.
_ending: set[asyncio.Task[None]] = set()


class _Events:
    """The event stream of one response. Each message is passed on after the transport has accepted the previous one."""

    def __init__(self, store: Store, caller: Caller, queue: str, credit: int) -> None:
        self._store = store
        self._caller = caller
        self._queue = queue
        self._credit = credit
        self._next: asyncio.Queue[tuple[str, asyncio.Event]] = asyncio.Queue(1)

    async def _hand(self, claimed: Claimed, leased: Leased, expires_at: datetime) -> None:
        taken = asyncio.Event()
        message = received_json(self._store, claimed, leased, expires_at).decode("utf-8", "surrogatepass")
        await self._next.put((message, taken))
        await taken.wait()

    async def messages(self, keyring: Keyring, presented: Presented) -> AsyncIterator[str]:
        """Yield messages until the queue is deleted, the key becomes invalid or the service stops."""
        patience.end()
        with keyring.admit(*presented, self._caller) as admission:
            session = Session(
                self._store, self._caller, admission, self._queue, self._hand, via=Via.EVENTS, shared=True
            )
            session.grant(self._credit)
            works = (session.run(), session.keep(), let_in(self._store, admission))
            parts = [asyncio.ensure_future(work) for work in works]
            try:
                while True:
                    coming = asyncio.ensure_future(self._next.get())
                    await asyncio.wait((coming, *parts), return_when=asyncio.FIRST_COMPLETED)
                    if not coming.done():
                        coming.cancel()
                        return
                    message, taken = coming.result()
                    yield message
                    taken.set()
            finally:
                for part in parts:
                    part.cancel()
                # The response's own task may have been cancelled and cannot await anything, so use another task.
                ending = asyncio.create_task(_end(session, parts))
                _ending.add(ending)
                ending.add_done_callback(_ending.discard)


async def _end(session: Session, parts: Sequence["asyncio.Future[None]"]) -> None:
    await asyncio.gather(*parts, return_exceptions=True)
    with contextlib.suppress(Problem):
        await session.end(counted=True)


Credit = Annotated[
    int,
    Query(
        ge=1, le=MAX_CREDIT, description="Maximum number of unsettled messages; settling one by HTTP allows another."
    ),
    WHOLE_NUMBER,
]


async def _events(
    request: Request,
    queue: QueueName,
    credit: Credit,
    caller: ReceivingCaller,
    store: StoreOf,
) -> _Events:
    """Return the event stream, or raise a Problem while the response has not started."""
    if HEAD in request.scope:
        raise MethodNotAllowed("A stream leases messages, which HEAD cannot return. Use GET.", headers={"Allow": "GET"})
    await store.directory.find(caller.project_id, queue)
    return _Events(store, caller, queue, credit)


@router.get(
    "/v1/queues/{queue}/events",
    operation_id="stream_events",
    summary="Stream messages as server-sent events",
    response_class=EventSourceResponse,
    responses=problems(NO_QUEUE),
)
async def stream_events(
    request: Request, events: Annotated[_Events, Depends(_events)], keyring: KeyringOf
) -> AsyncIterator[ServerSentEvent]:
    """Send each message as an event `message`, while fewer than `credit` messages are unsettled.

    The event's data is the message as in a receive. Messages that are unsettled when the connection ends return to the
    queue at once, and the delivery counts. `Last-Event-ID` is ignored, because messages that a client missed are
    unsettled and are delivered again.
    """
    async for message in events.messages(keyring, presented(request.scope["headers"])):
        yield ServerSentEvent(event="message", raw_data=message)
