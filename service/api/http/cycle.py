"""uvicorn's `RequestResponseCycle`: a request that is answered through ASGI, and how responses are written."""

import asyncio
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

if TYPE_CHECKING:
    from uvicorn._types import ASGIReceiveEvent, ASGISendEvent


CLOSE = (b"connection", b"close")
KEEP_ALIVE = b"keep-alive"

Headers = list[tuple[bytes, bytes]]


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


@lru_cache(8)
def default_lines(headers: tuple[tuple[bytes, bytes], ...], *, keep_alive: bool) -> bytes:
    """Return the server's default headers as they are written to a connection. They change once a second."""
    lines = headers if keep_alive else [*(header for header in headers if header[0] != KEEP_ALIVE), CLOSE]
    return b"".join([b"%b: %b\r\n" % line for line in lines])


def whole_answer(status: int, lines: bytes, headers: Headers, body: bytes) -> bytes:
    """Return a response as it is written to a connection; `lines` are those of `default_lines`."""
    return b"".join([STATUS_LINE[status], lines, *[b"%b: %b\r\n" % one for one in headers], b"\r\n", body])
