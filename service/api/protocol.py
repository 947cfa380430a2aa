"""uvicorn's HTTP/1.1 protocol, with two shortcuts for answers that are there as a whole.

Writing head and body apart costs a system call more, and passing them through ASGI's `send` costs as much again:
together a third of the time of a send. The shortcuts lean on what uvicorn (pinned in requirements.lock) calls
`cycle`, and find it by the `receive` that it gives to the application: kept in the scope, which it leads to itself, it
would make every request a ring for the garbage collector. Where a request did not come through this protocol, the
ordinary way is taken.
"""

import asyncio
from collections.abc import Collection
from typing import Any
from weakref import WeakSet

from starlette.types import Receive
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from service.api.problems import problem_response
from service.api.request_id import request_id
from service.errors import MalformedRequest

_CLOSE = (b"connection", b"close")
_LOOK_SECONDS = 1.0


class OneWrite:
    """A transport that keeps an answer's head back until the body comes, at most until the loop's next turn."""

    __slots__ = ("_head", "_loop", "_transport", "_write", "is_closing", "pause_reading", "resume_reading")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._head = b""
        self._write = transport.write
        self.is_closing = transport.is_closing
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading

    def write(self, data: bytes) -> None:
        """Write, or keep a head for a moment."""
        if self._head:
            data, self._head = self._head + data, b""
            self._write(data)
        elif data.startswith(b"HTTP/1.1 ") and data.endswith(b"\r\n\r\n"):
            self._head = data
            self._loop.call_soon(self._flush)
        else:
            self._write(data)

    def write_all(self, data: bytes) -> None:
        """Write an answer that is whole."""
        self._write(data)

    def close(self) -> None:
        """Close once everything is written."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._head:
            head, self._head = self._head, b""
            self._write(head)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Protocol(HttpToolsProtocol):
    """What the service speaks HTTP/1.1 with.

    Connections on which nothing happens are closed by one look at all of them every second, in place of a timer that
    is started and cancelled with every request. Whoever connects and sends nothing is among them.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection."""
        self.whole = OneWrite(transport, self.loop)
        super().connection_made(self.whole)  # type: ignore[arg-type]
        self.rests_since = self.loop.time()
        if self.server_state not in _looked_at:
            _looked_at.add(self.server_state)
            self.loop.call_later(_LOOK_SECONDS, _close_idle, self.server_state, self.loop)

    def send_400_response(self, msg: str) -> None:
        """Tell whoever does not speak HTTP, and close."""
        problem = MalformedRequest(f"{msg} Nothing of it was read.")
        _, headers, body = problem_response(problem, request_id(None))
        lines = [name + b": " + value for name, value in (*self.server_state.default_headers, *headers, _CLOSE)]
        self.transport.write(STATUS_LINE[400] + b"\r\n".join([*lines, b"", body]))
        self.transport.close()

    def rests(self) -> None:
        """Wait for the connection's next request; what `on_response_complete` does where no request waits already."""
        self.server_state.total_requests += 1
        self.flow.resume_reading()
        self.rests_since = self.loop.time()

    def on_response_complete(self) -> None:
        """Go on with the next request, or wait for it: the connection was in use until now."""
        super().on_response_complete()
        self.rests_since = self.loop.time()

    def is_idle(self, now: float) -> bool:
        """Tell whether the last answer, or the connection's begin, is longer ago than a connection is kept for."""
        cycle: RequestResponseCycle | None = self.cycle
        answered = cycle is None or cycle.response_complete
        return answered and now - self.rests_since > self.timeout_keep_alive


# Servers whose connections are looked at every second, until there is none: one timer each, however many come and go.
_looked_at: WeakSet[ServerState] = WeakSet()


def _close_idle(state: ServerState, loop: asyncio.AbstractEventLoop) -> None:
    now = loop.time()
    idle = [one for one in state.connections if isinstance(one, Protocol) and one.is_idle(now)]
    for connection in idle:
        connection.transport.close()
    if state.connections:
        loop.call_later(_LOOK_SECONDS, _close_idle, state, loop)
    else:
        _looked_at.discard(state)


def _cycle_of(receive: Receive) -> RequestResponseCycle | None:
    cycle = getattr(receive, "__self__", None)
    return cycle if isinstance(cycle, RequestResponseCycle) else None


def body_at_once(receive: Receive) -> bytes | None:
    """Return the body of a request that came through `Protocol`, None unless all of it has arrived."""
    cycle = _cycle_of(receive)
    if cycle is None or cycle.more_body or cycle.disconnected:
        return None
    body = bytes(cycle.body)
    cycle.body.clear()
    # As `receive` leaves it: the next event is that the client has gone.
    cycle.message_event.clear()
    return body


def answer_at_once(receive: Receive, status: int, headers: Collection[tuple[bytes, bytes]], body: bytes) -> bool:
    """Write a whole answer to a request that came through `Protocol`; tell whether that was possible.

    The headers are the caller's own, with `content-length` among them where there is a body. An answer that ends its
    connection takes the ordinary way.
    """
    cycle = _cycle_of(receive)
    if cycle is None or not cycle.keep_alive or cycle.flow.write_paused or cycle.response_started:
        return False
    connection = getattr(cycle.on_response, "__self__", None)
    if not isinstance(connection, Protocol):
        return False
    if _CLOSE in headers:
        return False
    if cycle.disconnected:
        return True
    cycle.response_started = cycle.response_complete = True
    head = [STATUS_LINE[status]]
    for name, value in (*cycle.default_headers, *headers):
        head += (name, b": ", value, b"\r\n")
    head += (b"\r\n", body)
    connection.whole.write_all(b"".join(head))
    cycle.message_event.set()
    if connection.pipeline or connection.transport.is_closing():
        cycle.on_response()
    else:
        connection.rests()
    return True
