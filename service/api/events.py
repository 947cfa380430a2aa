"""Streams as server-sent events: messages as soon as there are any, settled by HTTP."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from datetime import datetime
from typing import Annotated, Any

import asyncpg
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.routing import APIRoute
from fastapi.sse import EventSourceResponse, ServerSentEvent

from service.api.callers import Receiver, presented
from service.api.documented import problems
from service.api.edge import HEAD
from service.api.messages import received_json
from service.api.queues import QueueName
from service.api.state import KeyringOf, StoreOf
from service.api.verbs import Presented, watch
from service.auth.keyring import Keyring
from service.auth.scopes import require_queue
from service.domain.stream import MAX_CREDIT, Session
from service.errors import MethodNotAllowed, Problem
from service.model import Caller
from service.store.consumers import Via
from service.store.lines import Claimed
from service.store.store import Store


class _NoStore(APIRoute):
    """FastAPI answers events with `no-cache`, which lets a cache keep what is one consumer's."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def answer(request: Request) -> Response:
            response = await handler(request)
            response.headers["Cache-Control"] = "no-store"
            return response

        return answer


router = APIRouter(route_class=_NoStore, tags=["streams"])

# What a stream that was left has to give back yet.
_ending: set[asyncio.Task[None]] = set()


class _Events:
    """One response. A message is handed over when the one before it was taken by the transport."""

    def __init__(self, store: Store, caller: Caller, queue: str, credit: int) -> None:
        self._store = store
        self._caller = caller
        self._next: asyncio.Queue[tuple[str, asyncio.Event]] = asyncio.Queue(1)
        self._session = Session(store, caller, queue, self._hand, via=Via.EVENTS, shared=True)
        self._session.grant(credit)

    async def _hand(self, claimed: Claimed, row: asyncpg.Record, expires_at: datetime) -> None:
        taken = asyncio.Event()
        message = received_json(self._store, claimed, row, expires_at).decode("utf-8", "surrogatepass")
        await self._next.put((message, taken))
        await taken.wait()

    async def messages(self, keyring: Keyring, presented: Presented) -> AsyncIterator[str]:
        """Yield messages until the queue, the key or the service goes."""
        parts = [
            asyncio.ensure_future(part)
            for part in (
                self._session.run(),
                self._session.keep(),
                self._session.reclaim(),
                watch(self._store, keyring, presented, self._caller),
            )
        ]
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
            # The response's own task may be cancelled: nothing can be waited for in it any more.
            ending = asyncio.create_task(self._end(parts))
            _ending.add(ending)
            ending.add_done_callback(_ending.discard)

    async def _end(self, parts: Sequence["asyncio.Future[None]"]) -> None:
        await asyncio.gather(*parts, return_exceptions=True)
        with contextlib.suppress(Problem):
            await self._session.end(counted=True)


Credit = Annotated[
    int,
    Query(
        ge=1, le=MAX_CREDIT, description="How many messages may be outstanding; settling one by HTTP frees its place."
    ),
]


async def _receiver_of_queue(queue: QueueName, caller: Receiver) -> Caller:
    """Return who may receive from this queue; the query is looked at after that."""
    require_queue(caller, queue)
    return caller


async def _events(
    request: Request,
    queue: QueueName,
    credit: Credit,
    caller: Annotated[Caller, Depends(_receiver_of_queue)],
    store: StoreOf,
) -> _Events:
    """Return what is about to be streamed, before anything was answered."""
    if HEAD in request.scope:
        raise MethodNotAllowed("Messages are leased to whoever can read them: use GET.", headers={"Allow": "GET"})
    await store.directory.find(caller.project_id, queue)
    return _Events(store, caller, queue, credit)


@router.get(
    "/v1/queues/{queue}/events",
    operation_id="stream_events",
    summary="Stream messages as server-sent events",
    response_class=EventSourceResponse,
    responses=problems({404: "There is no such queue in this project: queue_not_found."}),
)
async def stream_events(
    request: Request, events: Annotated[_Events, Depends(_events)], keyring: KeyringOf
) -> AsyncIterator[ServerSentEvent]:
    """Send an event `message` for each message, with what a receive gives as its data, as far as there is credit.

    What is not settled when the connection ends is back in the queue at once, and counts as a delivery. `Last-Event-ID`
    is ignored: what a client has missed is not settled, and comes again.
    """
    async for message in events.messages(keyring, presented(request.scope["headers"])):
        yield ServerSentEvent(event="message", raw_data=message)
