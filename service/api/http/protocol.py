"""uvicorn's HTTP/1.1 protocol, with limits on what a connection can cost before it is authenticated.

For every connection it limits: the bytes and lines of a request's head, of trailers and of chunked framing; the time
that the head takes to arrive; how much of an unwanted body is read; how much is buffered of pipelined requests; and
how long a connection may be idle, leave its response unread, or take to close. The size and duration of a body are
limited by `body.read_body`, after authentication.
"""

import asyncio
import urllib.parse
from typing import Final
from weakref import WeakSet

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from service.api.http import refusals
from service.api.http.cycle import CLOSE, KEEP_ALIVE, Cycle, Flow, OneWrite, whole_answer
from service.api.http.heads import MAX_HEAD_BYTES, MAX_HEADER_LINES, asks_for_websocket, check_head, check_size
from service.api.http.problems import problem_response
from service.api.http.request_id import request_id
from service.errors import HeadTooLarge, MalformedRequest, Problem, RequestTimeout

# How long a new connection may wait before its first request, and how long a request's head may take to arrive.
FIRST_SECONDS = 10.0
HEAD_SECONDS = 10.0
# When a connection closes while the client is still sending, input is read and discarded for up to this long and this
# many bytes. Closing at once would reset the connection, and the client could lose the response.
DRAIN_SECONDS = 5.0
DRAIN_BYTES = 16 * 1024 * 1024
_PACE_SECONDS = 0.01
# A client that reads nothing of its response for this long is disconnected.
UNREAD_SECONDS = 60.0
_LOOK_SECONDS = 1.0
# Bytes passed to the parser at a time. The limits are checked after each piece.
_PIECE = 16 * 1024
# Bytes of pipelined requests that are buffered while an earlier one is being answered.
_HELD_BYTES = 64 * 1024

# The state of a connection: it expects a request, the rest of a head, the rest of a body, or only input to discard.
_REST: Final = 0
_HEAD: Final = 1
_BODY: Final = 2
_OVER: Final = 3


class Protocol(HttpToolsProtocol):
    """The HTTP/1.1 protocol of a connection.

    Deadlines are enforced by checking all connections once a second, because a timer for every request would cost more.
    """

    cycle: Cycle | None  # type: ignore[assignment]
    flow: Flow

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Set up a new connection."""
        self.whole = OneWrite(transport, self.loop, self._close)
        super().connection_made(self.whole)  # type: ignore[arg-type]
        self.flow = Flow(self.whole)  # type: ignore[arg-type]
        self.coming = _REST
        self.since = self.loop.time()
        # The request that is being answered, or the last one that was.
        self.active: Cycle | None = None
        self.has_answered = self.half_closed = self.stopping = False
        # Bytes of the head or chunk framing being parsed, and bytes discarded.
        self.fed = self.discarded = 0
        self.trailers = 0
        self.held = b""
        self.refusal = b""
        self.unread = (0, self.since)
        if self.server_state not in _looked_at:
            _looked_at.add(self.server_state)
            self.loop.call_later(_LOOK_SECONDS, _look, self.server_state, self.loop)

    def data_received(self, data: bytes) -> None:
        """Parse, buffer or discard the received data."""
        if self.coming == _OVER:
            self._discard(len(data))
        elif self._must_wait():
            self._hold(data)
        elif len(data) <= _PIECE:
            self._feed(data)
        else:
            self._feed_all(data)

    def _feed_all(self, data: bytes) -> None:
        for start in range(0, len(data), _PIECE):
            if self.coming == _OVER:
                return
            if self._must_wait():
                self._hold(data[start:])
                return
            self._feed(data[start : start + _PIECE])

    def _feed(self, data: bytes) -> None:
        self.fed += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            cause = error.__context__
            self.refuse(cause if isinstance(cause, Problem) else MalformedRequest(f"This is not HTTP/1.1: {error}."))
        else:
            if self.fed > MAX_HEAD_BYTES:
                self.refuse(_framing_too_large() if self.coming == _BODY else _head_too_large())

    def _must_wait(self) -> bool:
        """Return whether new data must be buffered because requests are waiting; a body in progress is still read."""
        return bool(self.held or (self.pipeline and self.coming != _BODY))

    def _hold(self, data: bytes) -> None:
        """Buffer pipelined requests until the current one is answered."""
        self.held += data
        if len(self.held) > _HELD_BYTES:
            self.flow.pause_reading()
            self.flow.full = True

    # Callbacks of the parser.

    def on_message_begin(self) -> None:
        """Start a request."""
        super().on_message_begin()
        self.coming = _HEAD
        self.since = self.loop.time()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Store a header, or count and ignore a trailer (RFC 9110, section 6.5.1)."""
        if self.coming == _BODY:
            self.trailers += 1
            if self.trailers > MAX_HEADER_LINES:
                raise _framing_too_large()
            return
        if len(self.headers) >= MAX_HEADER_LINES:
            raise _head_too_large()
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Start answering the request, or queue it behind the previous one."""
        method, version = self.parser.get_method(), self.parser.get_http_version()
        upgrade = self.parser.should_upgrade()
        check_head(method, version, self.url, self.headers, upgrade=upgrade)
        if self.fed + _PIECE > MAX_HEAD_BYTES:
            check_size(self.url, self.headers)
        self.coming, self.fed, self.trailers = _BODY, 0, 0
        if upgrade:
            # The parser ends the request here; `_upgrade` continues with it.
            return
        self._fill_scope(method, version)
        cycle = self.cycle = self._new_cycle(version)
        if self._is_answering():
            self.pipeline.appendleft((cycle, self.app))
        else:
            self._start_asgi_task(cycle, self.app)

    def _fill_scope(self, method: bytes, version: str) -> None:
        url = httptools.parse_url(self.url)
        if not url.path or not url.path.isascii():
            raise MalformedRequest("The request target is not a path. Send an ASCII path, percent-encoded.")
        path = url.path.decode("ascii")
        self.scope |= {
            "method": method.decode("ascii"),
            "http_version": version,
            "path": urllib.parse.unquote(path) if "%" in path else path,
            "raw_path": url.path,
            "query_string": url.query or b"",
        }

    def _new_cycle(self, version: str) -> Cycle:
        return Cycle(
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=version != "1.0" and self.parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )

    def _start_asgi_task(self, cycle: Cycle, app: object) -> None:  # type: ignore[override]
        self.active = cycle
        cycle.half_closed = self.half_closed
        super()._start_asgi_task(cycle, app)  # type: ignore[arg-type]

    def on_chunk_header(self) -> None:
        """Reset the count of framing bytes: a chunk's size and extensions have been read."""
        self.fed = 0

    def on_body(self, body: bytes) -> None:
        """Store a part of the body, or discard it if the request has been answered already."""
        self.fed = 0
        cycle = self.cycle
        assert cycle is not None  # noqa: S101 - a body follows a head
        if cycle.response_complete:
            self._discard(len(body))
            return
        cycle.body += body
        if len(cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        cycle.message_event.set()

    def on_message_complete(self) -> None:
        """Record that the request has arrived completely."""
        if self.parser.should_upgrade():
            return
        self.coming, self.fed, self.discarded = _REST, 0, 0
        cycle = self.cycle
        assert cycle is not None  # noqa: S101 - a complete request has a cycle
        cycle.more_body = False
        if cycle.response_complete:
            self.since = self.loop.time()
        else:
            cycle.message_event.set()

    # Other protocols.

    def _upgrade(self, rest: bytes) -> None:
        """Continue a request that offers an upgrade; `rest` is the data after its head."""
        if not asks_for_websocket(self.headers):
            self._read_again(rest)
        elif self._is_answering():
            self.refuse(MalformedRequest("Wait for the responses to earlier requests before a WebSocket handshake."))
        else:
            self.scope["method"] = "GET"
            # The WebSocket protocol uses the transport directly, without `OneWrite`.
            self.transport = self.whole.transport
            self.handle_websocket_upgrade()
            if rest:
                self.transport.get_protocol().data_received(rest)  # type: ignore[attr-defined]

    def _read_again(self, rest: bytes) -> None:
        """Parse a request again without its `Upgrade` header, because the parser reads no body after that header."""
        head = [self.parser.get_method(), b" ", self.url, b" HTTP/%b\r\n" % self.parser.get_http_version().encode()]
        head += [b"%b: %b\r\n" % header for header in self.headers if header[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._feed(b"".join([*head, b"\r\n"]))
        self._feed_all(rest)

    # Responses.

    def on_response_complete(self) -> None:
        """Continue with the next request after a response."""
        self.server_state.total_requests += 1
        self.since = self.loop.time()
        self.has_answered = True
        if self.transport.is_closing():
            return
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)  # type: ignore[arg-type]
        elif self.coming == _OVER:
            self._send_refusal()
        else:
            self._read_on()

    def answered(self) -> None:
        """Do the same after a response from `answer_at_once`, where usually no request is waiting."""
        if self.pipeline or self.held or self.half_closed or self.coming != _REST:
            self.on_response_complete()
            return
        self.server_state.total_requests += 1
        self.since = self.loop.time()
        self.has_answered = True
        self.flow.resume_reading()

    def _read_on(self) -> None:
        self.flow.full = False
        self.flow.resume_reading()
        if self.held:
            held, self.held = self.held, b""
            self._feed_all(held)
        if self.half_closed and self.coming != _OVER and not self._is_answering():
            self.transport.close()

    def _is_answering(self) -> bool:
        active = self.active
        return active is not None and not active.response_complete and not active.disconnected

    def refuse(self, problem: Problem) -> None:
        """Stop reading; once earlier requests are answered, send the problem and close the connection."""
        refusals.count(problem.problem_code)
        status, headers, body = problem_response(problem, request_id(None))
        default = [header for header in self.server_state.default_headers if header[0] != KEEP_ALIVE]
        self.refusal = whole_answer(status, (*default, *headers, CLOSE), body)
        cycle, broken = self.cycle, self.coming == _BODY
        self.coming, self.held, self.fed = _OVER, b"", 0
        if broken and cycle is not None and cycle.more_body:
            # The body of this request is malformed: report a disconnect to the operation that is reading it.
            cycle.client_gone()
            if cycle is self.active:
                self._send_refusal()
                return
            self.pipeline.popleft()
        if not self._is_answering():
            self._send_refusal()

    def _send_refusal(self) -> None:
        """Write the refusal, unless a response has been started, and close after the client could read it."""
        cycle, refusal = self.active, self.refusal
        self.refusal = b""
        if refusal and (cycle is None or cycle.response_complete or not cycle.response_started):
            self.whole.write_all(refusal)
        self._linger()

    # Closing.

    def eof_received(self) -> bool:  # type: ignore[override]
        """Answer the complete requests of a client that half-closed the connection, then close it."""
        active = self.active
        if active is None or active.more_body or not self._is_answering():
            return False
        self.half_closed = True
        if self.coming == _BODY:
            # The last queued request will never be complete.
            self.coming = _OVER
            self.pipeline.popleft()
        for cycle in self._unanswered():
            cycle.client_half_closed()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell every unanswered request that its client has disconnected."""
        for cycle in self._unanswered():
            cycle.client_gone()
        self.pipeline.clear()
        self.held = b""
        super().connection_lost(exc)
        # Break the reference cycles, so that closed connections are freed without the garbage collector.
        self.active = self.cycle = None
        self.whole.part()

    def _unanswered(self) -> list[Cycle]:
        queued: list[Cycle] = [cycle for cycle, _ in self.pipeline]  # type: ignore[misc]
        return [cycle for cycle in (self.active, *queued) if cycle is not None and not cycle.response_complete]

    def shutdown(self) -> None:
        """Close the connection after the current requests, because the server is stopping."""
        self.stopping, self.held, self.since = True, b"", self.loop.time()
        if self.active is not None and self._is_answering():
            last = self.pipeline[0][0] if self.pipeline else self.active
            last.keep_alive = False
        else:
            self.whole.transport.close()

    def _close(self) -> None:
        """Close; a client that is still sending can read its response first (RFC 9112, section 9.6)."""
        if self.coming == _BODY and not self.half_closed:
            self.coming = _OVER
            self._linger()
        else:
            self.whole.transport.close()

    def _linger(self) -> None:
        """Half-close the connection and discard input until the client closes too, within limits."""
        self.since = self.loop.time()
        transport = self.whole.transport
        if transport.is_closing():
            return
        if self.half_closed or self.stopping:
            transport.close()
            return
        transport.write_eof()
        self.flow.full = False
        self.flow.resume_reading()

    def _discard(self, size: int) -> None:
        """Count discarded bytes, and pause reading briefly so that other connections are served meanwhile."""
        self.discarded += size
        if self.discarded > DRAIN_BYTES:
            self.whole.transport.close()
        elif not self.flow.read_paused:
            self.flow.pause_reading()
            self.loop.call_later(_PACE_SECONDS, self._read_more)

    def _read_more(self) -> None:
        if not self.whole.transport.is_closing():
            self.flow.resume_reading()

    def pause_writing(self) -> None:
        """Record since when the client has been slow to read its response."""
        self.unread = (0, self.loop.time())
        super().pause_writing()

    def look(self, now: float, keep_alive: float) -> None:
        """Enforce the deadlines; called every second. `keep_alive`: seconds that a connection may be idle."""
        rested, transport = now - self.since, self.whole.transport
        if transport.is_closing() or (self.coming == _OVER and not self._is_answering()):
            if rested > DRAIN_SECONDS:
                transport.abort()
        elif self.flow.write_paused and self._is_unread(now):
            transport.abort()
        elif self.coming == _HEAD:
            if rested > HEAD_SECONDS:
                self.refuse(RequestTimeout(f"The headers did not arrive within {HEAD_SECONDS:.0f} seconds."))
        elif self._is_answering():
            if self.stopping and rested > DRAIN_SECONDS and self.active is not None and self.active.more_body:
                # The rest of the body may take longer than the process has left.
                transport.abort()
        elif rested > self._rest_seconds(keep_alive):
            transport.close()

    def _rest_seconds(self, keep_alive: float) -> float:
        if self.coming == _BODY:
            return DRAIN_SECONDS
        return keep_alive if self.has_answered else FIRST_SECONDS

    def _is_unread(self, now: float) -> bool:
        """Return whether the client has read nothing of its response for too long. Streams are exempt."""
        left = self.whole.transport.get_write_buffer_size()
        if left != self.unread[0]:
            self.unread = (left, now)
        if self.stopping:
            return now - self.unread[1] > DRAIN_SECONDS
        streams = self.active is not None and bool(self.active.chunked_encoding)
        return not streams and now - self.unread[1] > UNREAD_SECONDS


# The servers that have a running timer for `_look`. The timer ends when the server has no connections left.
_looked_at: WeakSet[ServerState] = WeakSet()


def _look(state: ServerState, loop: asyncio.AbstractEventLoop) -> None:
    now = loop.time()
    for connection in [one for one in state.connections if isinstance(one, Protocol)]:
        connection.look(now, connection.timeout_keep_alive)
    if state.connections:
        loop.call_later(_LOOK_SECONDS, _look, state, loop)
    else:
        _looked_at.discard(state)


def _head_too_large() -> HeadTooLarge:
    detail = f"The request line and headers may have at most {MAX_HEAD_BYTES} bytes and {MAX_HEADER_LINES} lines."
    return HeadTooLarge(detail)


def _framing_too_large() -> MalformedRequest:
    return MalformedRequest("The body's chunk extensions or trailers are too large. Leave them out.")
