"""Streams over Socket.IO: clients `subscribe` to queues and acknowledge messages; missed messages are redelivered."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import msgspec
import socketio
from msgspec import Struct
from socketio.exceptions import ConnectionRefusedError as Refused
from starlette.types import ASGIApp

from service.api.http.origins import may_connect
from service.api.http.problems import problem_document, problem_of
from service.api.http.quotas import admit
from service.api.http.request_id import request_id
from service.api.messaging.receives import received_json
from service.api.streaming.frames import ClientFrame, ExtendFrame, PublishFrame, RejectFrame, ReleaseFrame, SendFrame
from service.api.streaming.packets import Packet, error_text, is_done, read, value
from service.api.streaming.verbs import Presented, let_in, perform
from service.auth.admission import Admission
from service.auth.keyring import Keyring
from service.auth.scopes import require, require_queue
from service.domain.receipts import ReceiptRequest
from service.domain.stream import Session
from service.errors import NotFound, Problem, Unauthenticated, invalid
from service.message import Leased, Via
from service.model import MAX_REQUEST_BYTES, NAME_RULE, Action, Caller, Scope, is_name
from service.store.messaging.receipt_seal import receipt_not_found
from service.store.messaging.waiting import Claimed
from service.store.store import Store

PATH = "/socket.io"
_CREDIT = 10
# How many characters of an event's name an error shows.
_SHOWN = 40
# The delay before a message that was acknowledged with an error is redelivered; it doubles with each delivery.
_SHORTEST_PAUSE = timedelta(seconds=1)
_LONGEST_PAUSE = timedelta(minutes=1)

Acknowledgement = dict[str, Any]


class Subscribe(Struct, forbid_unknown_fields=True):
    """Subscribe to a queue; `credit` is the maximum number of unacknowledged messages."""

    queue: str
    credit: int = _CREDIT


class Handshake(Struct, forbid_unknown_fields=True):
    """The `auth` object of a connection. Only the root key may name any `project`."""

    key: str
    project: str | None = None

    def presented(self) -> Presented:
        """Return the values that the Authorization and Restante-Project headers would have."""
        return f"Bearer {self.key}".encode("latin-1", "replace"), self.project.encode() if self.project else None


_subscribe = msgspec.json.Decoder(Subscribe)
_VERBS: dict[str, type[ClientFrame]] = {
    "send": SendFrame,
    "publish": PublishFrame,
    "release": ReleaseFrame,
    "reject": RejectFrame,
    "extend": ExtendFrame,
}


@dataclass(slots=True)
class _Client:
    """A connected client and its subscriptions."""

    caller: Caller
    admission: Admission
    sessions: dict[str, Session] = field(default_factory=dict)
    tasks: set["asyncio.Task[None]"] = field(default_factory=set)

    async def settle(self, order: ReceiptRequest) -> datetime | None:
        """Settle a message of one of the subscribed queues. Raises a Problem."""
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
            serializer=Packet,
            # Long polling needs every request to reach the same process, which several processes cannot ensure.
            transports=["websocket", "polling"] if store.settings.processes == 1 else ["websocket"],
            cors_allowed_origins=self._may_connect,
            max_http_buffer_size=MAX_REQUEST_BYTES,
            http_compression=False,
            # By default the libraries write to their own handlers instead of the service's log.
            logger=logging.getLogger("socketio"),
            engineio_logger=logging.getLogger("engineio"),
        )
        self.app: ASGIApp = socketio.ASGIApp(self._server, socketio_path=PATH)
        self._server.on("connect", self._connect)
        self._server.on("disconnect", self._disconnect)
        self._server.on("subscribe", self._answering(self._subscribe))
        self._server.on("unsubscribe", self._answering(self._unsubscribe))
        for verb, kind in _VERBS.items():
            self._server.on(verb, self._answering(self._verb(msgspec.json.Decoder(kind))))
        self._server.on("*", self._unknown)

    def _may_connect(self, origin: str | None, environ: dict[str, Any]) -> bool:
        host = environ.get("HTTP_HOST", "")
        return origin is None or may_connect("socket_io", origin, host, self._store.settings)

    async def _connect(self, sid: str, _environ: dict[str, Any], auth: Any = None) -> None:
        try:
            given = msgspec.convert(auth, Handshake)
            presented = given.presented()
            caller = await self._keyring.caller(*presented)
            require(caller, (Scope.RECEIVE,))
            await admit(self._store, caller, [])
        except msgspec.ValidationError:
            raise _refused(Unauthenticated()) from None
        except Problem as problem:
            raise _refused(problem) from None
        client = self._clients[sid] = _Client(caller, self._keyring.admit(*presented, caller))
        self._begin(sid, client, self._watch(sid, client))

    async def _disconnect(self, sid: str, reason: str) -> None:
        client = self._clients.pop(sid, None)
        if client is not None:
            # If the client disconnected on purpose, its unsettled messages do not count as delivered.
            await self._end(client, counted=reason != self._server.reason.CLIENT_DISCONNECT)

    async def _end(self, client: _Client, *, counted: bool) -> None:
        # The current task may be one of them, if it ended the connection.
        tasks = client.tasks - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with client.admission:
            for session in client.sessions.values():
                with contextlib.suppress(Problem):
                    await session.end(counted=counted)

    def _answering(
        self, work: Callable[[_Client, str, Any], Awaitable[Acknowledgement]]
    ) -> Callable[..., Awaitable[Acknowledgement]]:
        """Return an event handler that acknowledges with the result; a failure is also sent as an `error` event."""

        async def handle(sid: str, data: Any = None, *_more: Any) -> Acknowledgement:
            client = self._clients.get(sid)
            if client is None:
                return {"status": "unauthenticated"}
            try:
                return await work(client, sid, data)
            except Exception as error:  # noqa: BLE001 - every error is reported to the client
                problem = problem_of(error)
                await self._tell(sid, problem)
                return {"status": problem.problem_code, "detail": problem.detail}

        return handle

    async def _unknown(self, event: Any, sid: str, *_data: Any) -> Acknowledgement:
        async def work(_client: _Client, _sid: str, _data: Any) -> Acknowledgement:
            name = str(value(event))[:_SHOWN]
            raise invalid("", "not_allowed", f"Clients cannot send the event {name!r}.")

        return await self._answering(work)(sid)

    async def _tell(self, sid: str, problem: Problem) -> None:
        await self._server.emit("error", problem_document(problem, request_id(None)), to=sid)

    async def _subscribe(self, client: _Client, sid: str, data: Any) -> Acknowledgement:
        wanted = _subscription(data)
        require_queue(client.caller, wanted.queue)
        await self._store.directory.find(client.caller.project_id, wanted.queue)
        if self._clients.get(sid) is not client:
            # The client has disconnected meanwhile, so nothing would end a session that started now.
            return {"status": "ok"}

        async def hand(claimed: Claimed, leased: Leased, expires_at: datetime) -> None:
            message = received_json(self._store, claimed, leased, expires_at)
            queue = msgspec.json.encode(wanted.queue)
            told = msgspec.Raw(b'%b,"queue":%b}' % (message[:-1], queue))
            receipt = self._store.receipts.seal(claimed.queue, leased.id.bytes, claimed.lease)
            pause = min(_SHORTEST_PAUSE * 2 ** (leased.receive_count - 1), _LONGEST_PAUSE)

            async def acknowledged(said: Any = None, *_more: Any) -> None:
                order = ReceiptRequest(receipt, Action.DELETE)
                if not is_done(said):
                    order = ReceiptRequest(receipt, Action.RELEASE, pause, error=error_text(said))
                await self._acknowledge(client, sid, order)

            await self._server.emit("message", told, to=sid, callback=acknowledged)

        session = Session(
            self._store, client.caller, client.admission, wanted.queue, hand, via=Via.SOCKET_IO, shared=True
        )
        session.grant(wanted.credit)
        # Register the session before the old one has ended, because another `subscribe` may arrive in between.
        old, client.sessions[wanted.queue] = client.sessions.get(wanted.queue), session
        if old is not None:
            await old.end(counted=False)
        for part in (session.run(), session.keep()):
            self._begin(sid, client, part)
        return {"status": "ok"}

    async def _unsubscribe(self, client: _Client, _sid: str, data: Any) -> Acknowledgement:
        await self._leave(client, _subscription(data).queue)
        return {"status": "ok"}

    async def _leave(self, client: _Client, queue: str) -> None:
        if (session := client.sessions.pop(queue, None)) is not None:
            await session.end(counted=False)

    async def _acknowledge(self, client: _Client, sid: str, order: ReceiptRequest) -> None:
        """Settle a message that the client has acknowledged; report a failure as an `error` event."""
        try:
            await client.settle(order)
        except Problem as problem:
            await self._tell(sid, problem)

    def _verb(
        self, decoder: msgspec.json.Decoder[ClientFrame]
    ) -> Callable[[_Client, str, Any], Awaitable[Acknowledgement]]:
        async def work(client: _Client, _sid: str, data: Any) -> Acknowledgement:
            frame = read(decoder, data)
            if isinstance(frame, SendFrame) and frame.queue is None:
                raise invalid("/queue", "missing", "This field is required.")
            more = await perform(self._store, client.caller, "", client.settle, frame)
            answer: Acknowledgement = msgspec.json.decode(b'{"status":"ok"%b}' % more)
            return answer

        return work

    def _begin(self, sid: str, client: _Client, work: Any) -> None:
        task = asyncio.create_task(work)
        client.tasks.add(task)
        task.add_done_callback(lambda done: self._ended(sid, client, done))

    def _ended(self, sid: str, client: _Client, task: "asyncio.Task[None]") -> None:
        """Report a failed task to the client; disconnect a client whose key is no longer valid."""
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
        """Close the connection when the service stops. Raises Unauthenticated when the key becomes invalid."""
        await let_in(self._store, client.admission)
        # uvicorn closes WebSockets, and their clients reconnect; a pending poll would delay the shutdown.
        if self._server.transport(sid) == "polling":
            await self._server.eio.disconnect(self._server.manager.eio_sid_from_sid(sid, "/"))


def _subscription(data: Any) -> Subscribe:
    """Parse a `subscribe` event. Raises InvalidRequest."""
    wanted = read(_subscribe, data)
    if not is_name(wanted.queue):
        raise invalid("/queue", "invalid_name", NAME_RULE)
    return wanted


def _refused(problem: Problem) -> Refused:
    return Refused(problem.problem_code, problem_document(problem, request_id(None)))
