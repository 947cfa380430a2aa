"""Streams over Socket.IO: `subscribe` to queues, and acknowledge what comes. An event that is missed comes again."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import asyncpg
import msgspec
import socketio
from msgspec import Struct
from socketio.exceptions import ConnectionRefusedError as Refused
from starlette.types import ASGIApp

from service.api import frames
from service.api.frames import BadFrame
from service.api.messages import received_json
from service.api.problems import problem_document, problem_of
from service.api.quotas import admit
from service.api.request_id import request_id
from service.api.verbs import Presented, may_connect, perform, watch
from service.auth.keyring import Keyring
from service.auth.scopes import require, require_queue
from service.domain.settle import Order
from service.domain.stream import Session
from service.errors import NotFound, Problem, Unauthenticated, invalid
from service.model import MAX_ERROR_BYTES, MAX_REQUEST_BYTES, NAME_RULE, Action, Caller, Scope, is_name
from service.store.consumers import Via
from service.store.lines import Claimed
from service.store.receipts import receipt_not_found
from service.store.store import Store

PATH = "/socket.io"
_CREDIT = 10
# Of an event's name, in what is said of it.
_SHOWN = 40

Answer = dict[str, Any]


class _Json:
    """What packets are written and read with: a message goes out as it was sent."""

    @staticmethod
    def dumps(value: Any, **_options: Any) -> str:
        return msgspec.json.encode(value).decode("utf-8", "surrogatepass")

    @staticmethod
    def loads(text: str, **_options: Any) -> Any:
        try:
            return msgspec.json.decode(text)
        except msgspec.DecodeError as error:
            raise ValueError(str(error)) from None


class Subscribe(Struct, forbid_unknown_fields=True):
    """Which queue to hand messages out of, and how many that are not acknowledged yet."""

    queue: str
    credit: int = _CREDIT


class Handshake(Struct, forbid_unknown_fields=True):
    """What a client gives as `auth`. `project`: of the root key alone."""

    key: str
    project: str | None = None

    def presented(self) -> Presented:
        """Return it as a request's headers would have it."""
        return f"Bearer {self.key}".encode("latin-1", "replace"), self.project.encode() if self.project else None


@dataclass(slots=True)
class _Client:
    """Who is connected, and what it is subscribed to."""

    presented: Presented
    caller: Caller
    sessions: dict[str, Session] = field(default_factory=dict)
    tasks: set["asyncio.Task[None]"] = field(default_factory=set)

    async def settle(self, order: Order) -> datetime | None:
        """Do something with a message of one of its queues."""
        problem: Problem = receipt_not_found()
        for session in list(self.sessions.values()):
            try:
                return await session.settle(order)
            except NotFound as not_found:
                problem = not_found
        raise problem


class SocketIo:
    """The Socket.IO server of one process."""

    def __init__(self, store: Store, keyring: Keyring) -> None:
        self._store = store
        self._keyring = keyring
        self._clients: dict[str, _Client] = {}
        self._failing: set[asyncio.Task[None]] = set()
        self._server = socketio.AsyncServer(
            async_mode="asgi",
            json=_Json,
            # Polling asks the same process each time, and a node with several does not promise that.
            transports=["websocket", "polling"] if store.settings.processes == 1 else ["websocket"],
            cors_allowed_origins=self._may_connect,
            max_http_buffer_size=MAX_REQUEST_BYTES,
            http_compression=False,
        )
        self.app: ASGIApp = socketio.ASGIApp(self._server, socketio_path=PATH)
        self._server.on("connect", self._connect)
        self._server.on("disconnect", self._disconnect)
        self._server.on("subscribe", self._answering(self._subscribe))
        self._server.on("unsubscribe", self._answering(self._unsubscribe))
        for verb in ("send", "release", "extend"):
            self._server.on(verb, self._answering(self._verb(verb)))
        self._server.on("*", self._unknown)

    def _may_connect(self, origin: str | None, environ: dict[str, Any]) -> bool:
        return origin is None or may_connect(origin, environ.get("HTTP_HOST", ""), self._store.settings)

    async def _connect(self, sid: str, _environ: dict[str, Any], auth: Any = None) -> None:
        try:
            given = msgspec.convert(auth, Handshake)
            presented = given.presented()
            caller = await self._keyring.caller(*presented)
            require(caller, Scope.RECEIVE)
            await admit(self._store, caller, [])
        except msgspec.ValidationError:
            raise _refused(Unauthenticated()) from None
        except Problem as problem:
            raise _refused(problem) from None
        client = self._clients[sid] = _Client(presented, caller)
        self._begin(sid, client, self._watch(sid, client))

    async def _disconnect(self, sid: str, reason: str) -> None:
        client = self._clients.pop(sid, None)
        if client is not None:
            # What a client wanted to leave does not count as a delivery.
            await self._end(client, counted=reason != self._server.reason.CLIENT_DISCONNECT)

    async def _end(self, client: _Client, *, counted: bool) -> None:
        # One of them may be what has ended the connection.
        tasks = client.tasks - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for session in client.sessions.values():
            with contextlib.suppress(Problem):
                await session.end(counted=counted)

    def _answering(self, work: Callable[[_Client, str, Any], Awaitable[Answer]]) -> Callable[..., Awaitable[Answer]]:
        """Return the handler of an event: its acknowledgement says what came of it; what failed is an event too."""

        async def handle(sid: str, data: Any = None, *_more: Any) -> Answer:
            client = self._clients.get(sid)
            if client is None:
                return {"status": "unauthenticated"}
            try:
                return await work(client, sid, data)
            except Exception as error:  # noqa: BLE001 - whatever went wrong, the far end hears of it
                problem = problem_of(error)
                await self._tell(sid, problem)
                return {"status": problem.problem_code, "detail": problem.detail}

        return handle

    async def _unknown(self, event: Any, sid: str, *_data: Any) -> Answer:
        async def work(_client: _Client, _sid: str, _data: Any) -> Answer:
            raise invalid("", "not_allowed", f"There is no event {str(event)[:_SHOWN]!r} that a client may send.")

        return await self._answering(work)(sid)

    async def _tell(self, sid: str, problem: Problem) -> None:
        await self._server.emit("error", problem_document(problem, request_id(None)), to=sid)

    async def _subscribe(self, client: _Client, sid: str, data: Any) -> Answer:
        wanted = _subscription(data)
        require_queue(client.caller, wanted.queue)
        await self._store.directory.find(client.caller.project_id, wanted.queue)
        if self._clients.get(sid) is not client:
            # It has gone meanwhile: nobody would ever end what is begun now.
            return {"status": "ok"}

        async def hand(claimed: Claimed, row: asyncpg.Record, expires_at: datetime) -> None:
            message = received_json(self._store, claimed, row, expires_at)
            queue = msgspec.json.encode(wanted.queue)
            told = msgspec.Raw(b'%b,"queue":%b}' % (message[:-1], queue))
            receipt = self._store.receipts.seal(claimed.queue, row["id"].bytes, claimed.lease)

            async def acknowledged(*errors: Any) -> None:
                await self._acknowledge(client, sid, receipt, errors)

            await self._server.emit("message", told, to=sid, callback=acknowledged)

        session = Session(self._store, client.caller, wanted.queue, hand, via=Via.SOCKET_IO, shared=True)
        session.grant(wanted.credit)
        # Whoever ends it knows it from here on: another `subscribe` may come before the old one has ended.
        old, client.sessions[wanted.queue] = client.sessions.get(wanted.queue), session
        if old is not None:
            await old.end(counted=False)
        for part in (session.run(), session.keep(), session.reclaim()):
            self._begin(sid, client, part)
        return {"status": "ok"}

    async def _unsubscribe(self, client: _Client, _sid: str, data: Any) -> Answer:
        await self._leave(client, _subscription(data).queue)
        return {"status": "ok"}

    async def _leave(self, client: _Client, queue: str) -> None:
        if (session := client.sessions.pop(queue, None)) is not None:
            await session.end(counted=False)

    async def _acknowledge(self, client: _Client, sid: str, receipt: str, errors: tuple[Any, ...]) -> None:
        """Delete what was acknowledged; one that came with an error goes back to its queue."""
        order = Order(receipt, Action.DELETE)
        # `callback()` and `callback(null)`; whatever else is said, an empty text too, is an error.
        if errors and errors[0] is not None:
            order = Order(receipt, Action.RELEASE, error=_text(errors[0]))
        try:
            await client.settle(order)
        except Problem as problem:
            await self._tell(sid, problem)

    def _verb(self, verb: str) -> Callable[[_Client, str, Any], Awaitable[Answer]]:
        async def work(client: _Client, _sid: str, data: Any) -> Answer:
            fields = data if isinstance(data, dict) else {}
            try:
                frame = frames.read(_Json.dumps({**fields, "type": verb}))
            except BadFrame as bad:
                raise bad.problem from None
            more = await perform(self._store, client.caller, "", client.settle, frame)
            answer: Answer = msgspec.json.decode(b'{"status":"ok"%b}' % more)
            return answer

        return work

    def _begin(self, sid: str, client: _Client, work: Any) -> None:
        task = asyncio.create_task(work)
        client.tasks.add(task)
        task.add_done_callback(lambda done: self._ended(sid, client, done))

    def _ended(self, sid: str, client: _Client, task: "asyncio.Task[None]") -> None:
        """Tell the far end of a part that has failed; without its key it has to go."""
        client.tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and sid in self._clients:
            failing = asyncio.create_task(self._fail(sid, problem_of(error)))
            self._failing.add(failing)
            failing.add_done_callback(self._failing.discard)

    async def _fail(self, sid: str, problem: Problem) -> None:
        await self._tell(sid, problem)
        if isinstance(problem, Unauthenticated):
            await self._server.disconnect(sid)

    async def _watch(self, sid: str, client: _Client) -> None:
        """Close the connection when the service ends. Raises Unauthenticated when the key is revoked meanwhile."""
        await watch(self._store, self._keyring, client.presented, client.caller)
        # WebSockets are closed by uvicorn, and their clients connect again; a poll would hold up the end.
        if self._server.transport(sid) == "polling":
            await self._server.eio.disconnect(self._server.manager.eio_sid_from_sid(sid, "/"))


def _subscription(data: Any) -> Subscribe:
    """Return what a client wants to be subscribed to. Raises InvalidRequest."""
    try:
        wanted = msgspec.convert(data, Subscribe)
    except msgspec.ValidationError as error:
        raise invalid("", "wrong_form", f"{error}.") from None
    if not is_name(wanted.queue):
        raise invalid("/queue", "invalid_name", NAME_RULE)
    return wanted


def _refused(problem: Problem) -> Refused:
    return Refused(problem.problem_code, problem_document(problem, request_id(None)))


def _text(error: Any) -> str:
    """Return what a consumer said of an error, as much as is kept."""
    text = error if isinstance(error, str) else _Json.dumps(error)
    return text.replace("\x00", "").encode("utf-8", "replace")[:MAX_ERROR_BYTES].decode("utf-8", "ignore")
