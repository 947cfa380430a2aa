"""uvicorn's `RequestResponseCycle`, with shortcuts for bodies and responses that are complete.

Writing a response's head and body separately costs an extra system call, and passing them through ASGI's `send` costs
as much again; together they take a third of the time of sending a message. The shortcuts find the cycle through the
bound method `receive`: a reference to it in the scope would be a reference cycle, which the garbage collector would
have to break for every request. Requests that did not arrive through `protocol.Protocol` use plain ASGI.
"""

import asyncio
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from starlette.types import Receive
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

if TYPE_CHECKING:
    from uvicorn._types import ASGIReceiveEvent, ASGISendEvent

    from service.api.http.protocol import Protocol

CLOSE = (b"connection", b"close")
KEEP_ALIVE = b"keep-alive"


class Cycle(RequestResponseCycle):
    """One request and its response.

    A client that half-closes the connection after its request still gets the response (RFC 9112, section 9.6).
    However, `receive` then reports a disconnect, so that a waiting receive does not lease messages for that client.
    """

    half_closed = False
    body_given = False

    async def receive(self) -> "ASGIReceiveEvent":
        """Return the next part of the body; after the last one, wait for the client to disconnect."""
        if self.half_closed and self.body_given:
            return {"type": "http.disconnect"}
        message = await super().receive()
        if message["type"] == "http.request":
            if self.half_closed and self.body_given:
                return {"type": "http.disconnect"}
            self.body_given = not message["more_body"]
        return message

    async def send(self, message: "ASGISendEvent") -> None:
        """Send a part of the response. A response that closes the connection carries no `Connection: keep-alive`."""
        if message["type"] == "http.response.start":
            if self.waiting_for_100_continue:
                # The client may or may not still send its body, so another request could not be told apart from it.
                self.keep_alive = False
            if not self.keep_alive or CLOSE in message["headers"]:
                self.default_headers = [header for header in self.default_headers if header[0] != KEEP_ALIVE]
        await super().send(message)

    def client_half_closed(self) -> None:
        """Record that the client will send no more data."""
        self.half_closed = True
        self.message_event.set()

    def client_gone(self) -> None:
        """Record that the client has disconnected and no response can reach it."""
        self.disconnected = True
        self.message_event.set()


class Flow(FlowControl):
    """Flow control of a connection. `full`: the buffer of pipelined requests is full, so reading stays paused."""

    full = False

    def resume_reading(self) -> None:
        """Resume reading, unless the buffer is full."""
        if not self.full:
            super().resume_reading()


class OneWrite:
    """A transport that writes a response's head together with its body.

    The head is held back until the body follows, or until the event loop's next iteration.
    """

    __slots__ = ("_close", "_head", "_loop", "_write", "is_closing", "pause_reading", "resume_reading", "transport")

    def __init__(
        self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, close: Callable[[], None]
    ) -> None:
        self.transport = transport
        self._loop = loop
        self._close = close
        self._head = b""
        self._write = transport.write
        self.is_closing = transport.is_closing
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading

    def write(self, data: bytes) -> None:
        """Write the data, or hold it back if it is the head of a response."""
        if self._head:
            data, self._head = self._head + data, b""
            self._write(data)
        elif data.startswith(b"HTTP/1.1 ") and data.endswith(b"\r\n\r\n"):
            self._head = data
            self._loop.call_soon(self._flush)
        else:
            self._write(data)

    def write_all(self, data: bytes) -> None:
        """Write a complete response."""
        self._write(data)

    def close(self) -> None:
        """Write what was held back, then let the connection close itself (`Protocol._close`)."""
        self._flush()
        self._close()

    def part(self) -> None:
        """Drop the reference to the connection, which has ended."""
        self._close = self.transport.close

    def _flush(self) -> None:
        if self._head:
            head, self._head = self._head, b""
            self._write(head)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.transport, name)


def _cycle_of(receive: Receive) -> Cycle | None:
    cycle = getattr(receive, "__self__", None)
    return cycle if isinstance(cycle, Cycle) else None


def body_at_once(receive: Receive) -> bytes | None:
    """Return the body if the request came through `Protocol` and has arrived completely, None otherwise."""
    cycle = _cycle_of(receive)
    if cycle is None or cycle.more_body or cycle.disconnected:
        return None
    body = bytes(cycle.body)
    cycle.body.clear()
    # The same state as after `receive`: the next event is a disconnect.
    cycle.body_given = True
    cycle.message_event.clear()
    return body


def answer_at_once(receive: Receive, status: int, headers: Collection[tuple[bytes, bytes]], body: bytes) -> bool:
    """Write a complete response past ASGI's `send`, and return whether that was possible.

    It is possible only for a request that came through `Protocol` and keeps its connection open. The caller supplies
    all headers, including `content-length` if there is a body.
    """
    cycle = _cycle_of(receive)
    if cycle is None or not cycle.keep_alive or cycle.flow.write_paused or cycle.response_started:
        return False
    connection: Protocol | None = getattr(cycle.on_response, "__self__", None)
    if connection is None or CLOSE in headers or cycle.waiting_for_100_continue:
        return False
    if cycle.disconnected:
        return True
    cycle.response_started = cycle.response_complete = True
    connection.whole.write_all(whole_answer(status, (*cycle.default_headers, *headers), body))
    cycle.message_event.set()
    connection.answered()
    return True


def whole_answer(status: int, headers: Collection[tuple[bytes, bytes]], body: bytes) -> bytes:
    """Return a response in the form in which it is written to the connection."""
    parts = [STATUS_LINE[status]]
    for name, value in headers:
        parts += (name, b": ", value, b"\r\n")
    parts += (b"\r\n", body)
    return b"".join(parts)
