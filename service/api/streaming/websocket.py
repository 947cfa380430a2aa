"""Streams over WebSocket: messages are pushed, settled and sent over the same connection."""

import asyncio
import contextlib
from collections.abc import Coroutine
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Response, WebSocket, WebSocketDisconnect

from service.api.http.origins import forbidden, may_connect
from service.api.http.problems import problem_of, problem_response
from service.api.http.quotas import admit
from service.api.http.request_id import request_id
from service.api.messaging.receives import received_json
from service.api.streaming import frames
from service.api.streaming.frames import READY, AuthFrame, BadFrame, ClientFrame, CreditFrame
from service.api.streaming.verbs import Presented, let_in, perform
from service.auth.keyring import Keyring
from service.auth.scopes import require, require_queue
from service.domain.stream import Session
from service.errors import (
    Forbidden,
    InvalidRequest,
    MalformedRequest,
    NotFound,
    Problem,
    Unauthenticated,
    UnknownPath,
    UpgradeRequired,
    invalid,
)
from service.message import Leased, Via
from service.model import NAME_RULE, Caller, Scope, is_name
from service.store.messaging.waiting import Claimed
from service.store.store import Store

router = APIRouter()

SUBPROTOCOL = "restante.v1"
_KEY_PREFIX = "restante.key."
_AUTH_SECONDS = 5.0
# How many frames of a connection are processed concurrently.
_AT_ONCE = 100
# Close codes that count as an intended disconnect, including a close without a code (1005).
_WANTED = frozenset({1000, 1001, 1005})
_LOST = 1006
_RESTART = 1012
_TRY_AGAIN = 1013
_CODES: tuple[tuple[type[Problem], int], ...] = (
    (Unauthenticated, 4401),
    (Forbidden, 4403),
    (NotFound, 4404),
    (InvalidRequest, 4400),
    (MalformedRequest, 4400),
)


@router.websocket("/v1/queues/{queue}/stream")
async def stream(websocket: WebSocket, queue: str) -> None:
    """Serve a connection (docs/reference/stream.md)."""
    connection = _Connection(websocket, queue)
    try:
        authorization = connection.presented()
        if authorization is not None:
            await connection.find_caller(authorization)
    except Problem as problem:
        await _refuse(websocket, problem, connection.identity)
        return
    await connection.serve()


@router.get("/v1/queues/{queue}/stream", include_in_schema=False)  # noqa: FAST003 - the queue does not matter
async def plain_stream() -> None:
    """Answer a plain HTTP request with 426 Upgrade Required."""
    raise UpgradeRequired


@router.websocket("/{path:path}")
async def nowhere(websocket: WebSocket) -> None:
    """Refuse a WebSocket handshake for any other path."""
    headers = dict(websocket.scope["headers"])
    await _refuse(websocket, UnknownPath(), request_id(headers.get(b"request-id")))


async def _refuse(websocket: WebSocket, problem: Problem, identity: str) -> None:
    """Answer a handshake with a problem."""
    status, headers, body = problem_response(problem, identity)
    answer = Response(body, status)
    answer.raw_headers = headers
    await websocket.send_denial_response(answer)


class _Connection:
    """A WebSocket connection to a queue."""

    def __init__(self, websocket: WebSocket, queue: str) -> None:
        self._websocket = websocket
        self._queue = queue
        self._store: Store = websocket.app.state.store
        self._keyring: Keyring = websocket.app.state.keyring
        self._headers: dict[bytes, bytes] = {name.lower(): value for name, value in websocket.scope["headers"]}
        self._presented: Presented = (None, self._headers.get(b"restante-project"))
        self._working = asyncio.Semaphore(_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        self.identity = request_id(self._headers.get(b"request-id"))

    def presented(self) -> bytes | None:
        """Return the key in the handshake, if any, as an Authorization value. Raises Forbidden for a refused origin."""
        self._check_origin()
        offered: list[str] = self._websocket.scope["subprotocols"]
        key = next((name for name in offered if name.startswith(_KEY_PREFIX)), None)
        if key is not None:
            return b"Bearer " + key.removeprefix(_KEY_PREFIX).encode("latin-1")
        return self._headers.get(b"authorization")

    def _check_origin(self) -> None:
        origin, host = (self._headers.get(name, b"").decode("latin-1") for name in (b"origin", b"host"))
        if origin and not may_connect("websocket", origin, host, self._store.settings):
            raise forbidden(origin)

    async def find_caller(self, authorization: bytes) -> Caller:
        """Authenticate the caller. Raises Unauthenticated, Forbidden, NotFound."""
        self._presented = authorization, self._presented[1]
        return await self._keyring.caller_now(*self._presented)

    async def serve(self) -> None:
        """Accept the connection and serve it until either side closes it."""
        offered = self._websocket.scope["subprotocols"]
        await self._websocket.accept(SUBPROTOCOL if SUBPROTOCOL in offered else None)
        try:
            caller = await self.find_caller(self._presented[0] or await self._first_frame())
            await self._admit(caller)
        except Problem as problem:
            await self._close(problem)
        except WebSocketDisconnect:
            return
        else:
            await self._go_on(caller)

    async def _first_frame(self) -> bytes:
        """Return the key in the first frame, as an Authorization value. Raises Unauthenticated."""
        try:
            async with asyncio.timeout(_AUTH_SECONDS):
                frame = frames.read(await self._read())
        except (TimeoutError, BadFrame, InvalidRequest):
            raise Unauthenticated from None
        if not isinstance(frame, AuthFrame):
            raise Unauthenticated
        if frame.project is not None:
            self._presented = None, frame.project.encode("utf-8", "replace")
        return f"Bearer {frame.key}".encode("latin-1", "replace")

    async def _admit(self, caller: Caller) -> None:
        """Check that the caller may receive from the queue and that the queue exists. Raises a Problem."""
        require(caller, (Scope.RECEIVE,))
        if not is_name(self._queue):
            raise invalid("/path/queue", "invalid_name", NAME_RULE)
        require_queue(caller, self._queue)
        await admit(self._store, caller, [])
        await self._store.directory.find(caller.project_id, self._queue)

    async def _go_on(self, caller: Caller) -> None:
        with self._keyring.admit(*self._presented, caller) as admission:
            session = Session(self._store, caller, admission, self._queue, self._hand, via=Via.WEBSOCKET)
            await self._say(READY)
            works = (session.run(), session.keep(), self._listen(session, caller), let_in(self._store, admission))
            parts = [asyncio.create_task(work) for work in works]
            try:
                done, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (*parts, *self._tasks):
                    task.cancel()
                await asyncio.gather(*parts, *self._tasks, return_exceptions=True)
            wanted = await self._farewell([task.exception() for task in done])
            with contextlib.suppress(Problem):
                await session.end(counted=not wanted)

    async def _farewell(self, endings: list[BaseException | None]) -> bool:
        """Close the connection unless the client has. Return whether the client closed it on purpose."""
        ending = next((one for one in endings if one is not None), None)
        if isinstance(ending, WebSocketDisconnect):
            return ending.code in _WANTED
        await self._close(None if ending is None else problem_of(ending))
        return False

    async def _close(self, problem: Problem | None) -> None:
        """Send the problem, if any, and close. There is no problem if the service is stopping."""
        code = _RESTART
        if problem is not None:
            code = next((code for kind, code in _CODES if isinstance(problem, kind)), _TRY_AGAIN)
            await self._say(frames.error(problem, self.identity))
        with contextlib.suppress(RuntimeError, WebSocketDisconnect):
            await self._websocket.close(code)

    async def _hand(self, claimed: Claimed, leased: Leased, expires_at: datetime) -> None:
        message = received_json(self._store, claimed, leased, expires_at)
        if not await self._say(f'{{"type":"message","message":{message.decode("utf-8", "surrogatepass")}}}'):
            # The client has disconnected: wait until `_listen` notices and this task is cancelled.
            await asyncio.Event().wait()

    async def _say(self, text: str) -> bool:
        """Send a frame. Return False if the client has disconnected; `_listen` learns the close code."""
        try:
            await self._websocket.send_text(text)
        except (WebSocketDisconnect, RuntimeError):
            return False
        return True

    async def _read(self) -> str | None:
        """Return the text of the next frame, None for a binary frame. Raises WebSocketDisconnect."""
        event = await self._websocket.receive()
        if event["type"] == "websocket.disconnect":
            # For a lost connection uvicorn reports no reason, and the code of a close frame without a code.
            raise WebSocketDisconnect(event["code"] if "reason" in event else _LOST)
        text: str | None = event.get("text")
        return text

    async def _listen(self, session: Session, caller: Caller) -> None:
        """Process the client's frames concurrently. Raises WebSocketDisconnect, Problem."""
        while True:
            text = await self._read()
            try:
                frame = frames.read(text)
                if isinstance(frame, CreditFrame):
                    session.grant(frame.n)
                    continue
            except BadFrame as bad:
                raise bad.problem from None
            except InvalidRequest as problem:
                await self._say(frames.failed(frames.ref_of(text or ""), problem))
                continue
            await self._working.acquire()
            self._begin(self._answer(session, caller, frame))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._working.release()
        if not task.cancelled():
            task.exception()

    async def _answer(self, session: Session, caller: Caller, frame: ClientFrame) -> None:
        """Process a frame and send its result."""
        ref = getattr(frame, "ref", None)
        try:
            told = frames.done(ref, await perform(self._store, caller, self._queue, session.settle, frame))
        except Exception as error:  # noqa: BLE001 - every error is reported to the client
            told = frames.failed(ref, problem_of(error))
        await self._say(told)
