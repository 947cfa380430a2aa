"""uvicorn's HTTP/1.1 protocol, with limits on what a connection can cost before it is authenticated.

For every connection it limits: the bytes and lines of a request's head, of trailers and of chunked framing; how
much of an unwanted body is read; and how much is buffered of pipelined requests. `deadlines` limits the time that each
of these may take, and `body.read_body` the size of a body, after authentication.
"""

import asyncio
import urllib.parse
from collections.abc import Callable
from typing import Any

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.api.http import deadlines, refusals
from service.api.http.call import Call, Respond
from service.api.http.cycle import CLOSE, Cycle, Flow, OneWrite, default_lines, whole_answer
from service.api.http.deadlines import BODY, HEAD, OVER, REST
from service.api.http.exchange import Answer
from service.api.http.heads import MAX_HEAD_BYTES, MAX_HEADER_LINES, asks_for_websocket, check_head, check_size
from service.api.http.problems import problem_response
from service.api.http.request_id import request_id
from service.errors import HeadTooLarge, MalformedRequest, Problem

# The number of bytes that are read and discarded when a connection closes while the client is still sending. Closing at
# once would reset the connection, and the client could lose the response.
DRAIN_BYTES = 16 * 1024 * 1024
_PACE_SECONDS = 0.01
# Bytes passed to the parser at a time. The limits are checked after each piece.
_PIECE = 16 * 1024
# Bytes of pipelined requests that are buffered while an earlier one is being answered.
_HELD_BYTES = 64 * 1024

# The form of a call: the most digits of its Content-Length, and headers that it does not have.
_LENGTH_DIGITS = 5
_UNUSUAL = frozenset({b"content-encoding", b"expect", b"origin", b"transfer-encoding", b"upgrade"})

Find = Callable[[bytes, bytes], Respond | None]


class Protocol(HttpToolsProtocol):
    """The HTTP/1.1 protocol of a connection. Its deadlines are in `deadlines`."""

    cycle: Cycle | None  # type: ignore[assignment]
    flow: Flow

    def __init__(self, *arguments: Any, find: Find | None = None, **named: Any) -> None:
        """`find` returns the hot operation of a request, by method and path; without it, every request goes to ASGI."""
        super().__init__(*arguments, **named)
        self._find = find

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Set up a new connection."""
        self.whole = OneWrite(transport, self.loop, self._close)
        super().connection_made(self.whole)  # type: ignore[arg-type]
        self.flow = Flow(self.whole)  # type: ignore[arg-type]
        self.coming = REST
        self.since = self.loop.time()
        # The request that is being answered, or the last one that was; and the one whose body is arriving.
        self.active: Cycle | Call | None = None
        self.incoming: Cycle | Call | None = None
        self.has_answered = self.half_closed = self.stopping = self.stalled = False
        # Bytes of the head or chunk framing being parsed, and bytes discarded.
        self.fed = self.discarded = 0
        self.trailers = 0
        self.held = b""
        self.refusal = b""
        self.unread = (0, self.since)
        deadlines.watch(self.server_state, Protocol, self.loop)

    def data_received(self, data: bytes) -> None:
        """Parse, buffer or discard the received data."""
        if self.coming == OVER:
            self._discard(len(data))
        elif self._must_wait():
            self._hold(data)
        elif len(data) <= _PIECE:
            self._feed(data)
        else:
            self._feed_all(data)

    def _feed_all(self, data: bytes) -> None:
        for start in range(0, len(data), _PIECE):
            if self.coming == OVER:
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
                self.refuse(_framing_too_large() if self.coming == BODY else _head_too_large())

    def _must_wait(self) -> bool:
        """Return whether new data must be buffered because requests are waiting; a body in progress is still read."""
        return bool(self.held or (self.pipeline and self.coming != BODY))

    def _hold(self, data: bytes) -> None:
        """Buffer pipelined requests until the current one is answered."""
        self.held += data
        if len(self.held) > _HELD_BYTES:
            self.flow.pause_reading()
            self.flow.full = True

    # Callbacks of the parser.

    def on_message_begin(self) -> None:
        """Start a request."""
        self.url = b""
        self.headers = []
        self.coming = HEAD
        self.since = self.loop.time()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Store a header, or count and ignore a trailer (RFC 9110, section 6.5.1)."""
        if self.coming == BODY:
            self.trailers += 1
            if self.trailers > MAX_HEADER_LINES:
                raise _framing_too_large()
            return
        if len(self.headers) >= MAX_HEADER_LINES:
            raise _head_too_large()
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Start answering the request, or queue it behind the previous one."""
        if self.fed + _PIECE > MAX_HEAD_BYTES:
            check_size(self.url, self.headers)
        request = self._call() or self._request()
        self.coming, self.fed, self.trailers = BODY, 0, 0
        if request is None:
            return
        self.incoming = request
        if self.is_busy() or self.flow.write_paused:
            self.pipeline.appendleft((request, self.app))  # type: ignore[arg-type]
        else:
            self._begin(request)

    def _call(self) -> Call | None:
        """Return the request as a call, if it is a hot operation in its usual form."""
        if self._find is None or self.parser.get_http_version() != "1.1":
            return None
        headers = dict(self.headers)
        if len(headers) < len(self.headers) or b"host" not in headers or not _UNUSUAL.isdisjoint(headers):
            return None
        if len(headers.get(b"content-length", b"")) > _LENGTH_DIGITS:
            return None
        respond = self._find(self.parser.get_method(), self.url)
        return respond and Call(self, respond, headers, keep_alive=self.parser.should_keep_alive())

    def _request(self) -> Cycle | None:
        """Return the request for ASGI; None if it asks for another protocol, with which `_upgrade` continues."""
        method, version = self.parser.get_method(), self.parser.get_http_version()
        upgrade = self.parser.should_upgrade()
        check_head(method, version, self.url, self.headers, upgrade=upgrade)
        if upgrade:
            return None
        self._fill_scope(method, version)
        self.cycle = self._new_cycle(version)
        return self.cycle

    def _fill_scope(self, method: bytes, version: str) -> None:
        url = httptools.parse_url(self.url)
        if not url.path or not url.path.isascii():
            raise MalformedRequest("The request target is not a path. Send an ASCII path, percent-encoded.")
        path = url.path.decode("ascii")
        self.scope = {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,  # type: ignore[typeddict-item]
            "root_path": self.root_path,
            "headers": self.headers,
            "state": self.app_state.copy(),
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
            expect_100_continue=any(
                name == b"expect" and value.lower() == b"100-continue" for name, value in self.headers
            ),
            keep_alive=version != "1.0" and self.parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )

    def _begin(self, request: Cycle | Call) -> None:
        """Answer this request next. A call starts as soon as its body has arrived."""
        self.active = request
        request.half_closed = self.half_closed
        if isinstance(request, Cycle):
            self._start_asgi_task(request, self.app)
        elif not request.more_body:
            request.start()

    def on_chunk_header(self) -> None:
        """Reset the count of framing bytes: a chunk's size and extensions have been read."""
        self.fed = 0

    def on_body(self, part: bytes) -> None:
        """Store a part of the body, or discard it if the request has been answered already."""
        self.fed = 0
        request = self.incoming
        assert request is not None  # noqa: S101 - a body follows a head
        if request.response_complete:
            self._discard(len(part))
            return
        request.body += part
        if isinstance(request, Cycle):
            if len(request.body) > HIGH_WATER_LIMIT:
                self.flow.pause_reading()
            request.message_event.set()

    def on_message_complete(self) -> None:
        """Record that the request has arrived completely."""
        if self.parser.should_upgrade():
            return
        self.coming, self.fed, self.discarded = REST, 0, 0
        request = self.incoming
        assert request is not None  # noqa: S101 - a request has a head
        request.more_body = False
        if request.response_complete:
            self.since = self.loop.time()
        elif isinstance(request, Cycle):
            request.message_event.set()
        elif request is self.active:
            request.start()

    # Other protocols.

    def _upgrade(self, rest: bytes) -> None:
        """Continue a request that offers an upgrade; `rest` is the data after its head."""
        if not asks_for_websocket(self.headers):
            self._read_again(rest)
        elif self.is_busy():
            self.refuse(MalformedRequest("Wait for the responses to earlier requests before a WebSocket handshake."))
        else:
            self.scope = {"method": "GET", "headers": self.headers}  # type: ignore[typeddict-item]
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

    def answer(self, call: Call, answer: Answer) -> None:
        """Write the response to a call, and continue."""
        call.response_complete = True
        if not call.disconnected:
            keep_alive = call.keep_alive and not (answer.status >= 400 and CLOSE in answer.headers)
            lines = default_lines(tuple(self.server_state.default_headers), keep_alive=keep_alive)
            self.whole.transport.write(whole_answer(answer.status, lines, answer.headers, answer.body))
            if not keep_alive:
                self._close()
        self.on_response_complete()

    def on_response_complete(self) -> None:
        """Continue with the next request after a response."""
        self.server_state.total_requests += 1
        self.since = self.loop.time()
        self.has_answered = True
        self._proceed()

    def _proceed(self) -> None:
        if self.transport.is_closing():
            return
        if self.flow.write_paused:
            self._stall()
        elif self.pipeline:
            # Later, because each of many requests in one packet could be answered within the answer to the last.
            self.loop.call_soon(self._next)
        elif self.coming == OVER:
            self._send_refusal()
        else:
            self._read_on()

    def _next(self) -> None:
        """Answer the next of the pipelined requests."""
        if self.pipeline and not self._is_answering():
            self._begin(self.pipeline.pop()[0])  # type: ignore[arg-type]

    def _stall(self) -> None:
        """Neither read nor answer a further request until the client has read the responses to the earlier ones."""
        self.stalled = True
        self.flow.pause_reading()

    def resume_writing(self) -> None:
        """Continue after the client has read its responses."""
        super().resume_writing()
        if self.stalled:
            self.stalled = False
            self._proceed()

    def _read_on(self) -> None:
        self.flow.full = False
        self.flow.resume_reading()
        if self.held:
            held, self.held = self.held, b""
            self._feed_all(held)
        if self.half_closed and self.coming != OVER and not self.is_busy():
            self.transport.close()

    def _is_answering(self) -> bool:
        active = self.active
        return active is not None and not active.response_complete and not active.disconnected

    def is_busy(self) -> bool:
        """Return whether a request is being answered, or will be next."""
        return bool(self.pipeline) or self._is_answering()

    def refuse(self, problem: Problem) -> None:
        """Stop reading; once earlier requests are answered, send the problem and close the connection."""
        refusals.count(problem.problem_code)
        status, headers, content = problem_response(problem, request_id(None))
        lines = default_lines(tuple(self.server_state.default_headers), keep_alive=False)
        self.refusal = whole_answer(status, lines, headers, content)
        request, broken = self.incoming, self.coming == BODY
        self.coming, self.held, self.fed = OVER, b"", 0
        if broken and request is not None and request.more_body:
            # The body of this request is malformed: report a disconnect to the operation that is reading it.
            request.client_gone()
            if request is self.active:
                self._send_refusal()
                return
            self.pipeline.popleft()
        if not self.is_busy():
            self._send_refusal()

    def _send_refusal(self) -> None:
        """Write the refusal, unless a response has been started, and close after the client could read it."""
        request, refusal = self.active, self.refusal
        self.refusal = b""
        if refusal and (request is None or request.response_complete or not request.response_started):
            self.whole.transport.write(refusal)
        self._linger()

    # Closing.

    def eof_received(self) -> bool:  # type: ignore[override]
        """Answer the complete requests of a client that half-closed the connection, then close it."""
        active = self.active
        if active is None or not self.is_busy() or (active.more_body and self._is_answering()):
            return False
        self.half_closed = True
        if self.coming == BODY:
            # The last queued request will never be complete.
            self.coming = OVER
            self.pipeline.popleft()
        for request in self._unanswered():
            request.client_half_closed()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell every unanswered request that its client has disconnected."""
        for request in self._unanswered():
            request.client_gone()
        self.pipeline.clear()
        self.held = b""
        super().connection_lost(exc)
        # Break the reference cycles, so that closed connections are freed without the garbage collector.
        self.active = self.incoming = self.cycle = None
        self.whole.part()

    def _unanswered(self) -> list[Cycle | Call]:
        queued: list[Cycle | Call] = [request for request, _ in self.pipeline]  # type: ignore[misc]
        return [one for one in (self.active, *queued) if one is not None and not one.response_complete]

    def shutdown(self) -> None:
        """Close the connection after the current requests, because the server is stopping."""
        self.stopping, self.held, self.since = True, b"", self.loop.time()
        if self.active is not None and self.is_busy():
            last = self.pipeline[0][0] if self.pipeline else self.active
            last.keep_alive = False
        else:
            self.whole.transport.close()

    def _close(self) -> None:
        """Close; a client that is still sending can read its response first (RFC 9112, section 9.6)."""
        if self.coming == BODY and not self.half_closed:
            self.coming = OVER
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
        if self.coming != OVER and not self._is_answering():
            # The last response was written before its transport noticed that the buffer is full.
            self._stall()


def _head_too_large() -> HeadTooLarge:
    detail = f"The request line and headers may have at most {MAX_HEAD_BYTES} bytes and {MAX_HEADER_LINES} lines."
    return HeadTooLarge(detail)


def _framing_too_large() -> MalformedRequest:
    return MalformedRequest("The body's chunk extensions or trailers are too large. Leave them out.")
