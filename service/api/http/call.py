"""A request that its connection answers by itself, without an ASGI scope and without a task.

A hot operation is a coroutine that mostly waits once: for the statement that its lane shares with other requests. A
task for it would cost as much as the operation. So the connection runs the coroutine itself: in the parser's callback
as far as the first future that it awaits, and from that future's callback to the next one or to the answer.

There being no task, nothing in a hot operation can use `asyncio.timeout` or be cancelled. It need not: lanes bound what
they wait for, and a request whose client has gone is finished all the same.
"""

from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any

import structlog

from service.api.http.exchange import Answer, Leave, Request

if TYPE_CHECKING:
    from service.api.http.protocol import Protocol

_log = structlog.get_logger()

# An operation with its path parameter. It turns every error into a response.
Respond = Callable[[Request], Coroutine[Any, Any, Answer]]


class Call:
    """A request of a hot operation, from the end of its head to its response. It is the peer of that operation."""

    __slots__ = (
        "_connection",
        "_context",
        "_coroutine",
        "_leave",
        "_respond",
        "body",
        "disconnected",
        "half_closed",
        "headers",
        "keep_alive",
        "more_body",
        "response_complete",
    )
    # The response is written as a whole, so it has never only begun.
    response_started = False

    def __init__(
        self, connection: "Protocol", respond: Respond, headers: dict[bytes, bytes], *, keep_alive: bool
    ) -> None:
        self._connection = connection
        self._respond = respond
        self._coroutine: Coroutine[Any, Any, Answer]
        self._context: Context
        self._leave: Leave | None = None
        self.headers = headers
        self.body = b""
        self.keep_alive = keep_alive
        self.more_body = True
        self.disconnected = self.half_closed = self.response_complete = False

    def start(self) -> None:
        """Run the operation as far as it does not have to wait. The body has arrived."""
        headers = self.headers
        authorization, project = headers.get(b"authorization"), headers.get(b"restante-project")
        self._coroutine = self._respond(Request(headers, authorization, project, self, self.body))
        # A context of its own, as a task has: what an operation sets is not seen by the next request.
        self._context = copy_context()
        self._context.run(self._go_on)

    def _go_on(self, _awaited: Any = None) -> None:
        """Run the operation until it awaits something that is not there yet, or returns the response."""
        try:
            awaited = self._coroutine.send(None)
        except StopIteration as returned:
            self._connection.answer(self, returned.value)
        except BaseException:
            self._connection.transport.abort()
            _log.exception("call_failed")
            raise
        else:
            if awaited is None:
                self._connection.loop.call_soon(self._go_on, context=self._context)
            else:
                # A future's `__await__` sets this for the task that it expects.
                awaited._asyncio_future_blocking = False  # noqa: SLF001 - the protocol of PEP 492 between both
                awaited.add_done_callback(self._go_on, context=self._context)

    def has_left(self) -> bool:
        """Return whether the client has disconnected; half-closing the connection counts."""
        return self.disconnected or self.half_closed

    @contextmanager
    def leaving(self, leave: Leave) -> Iterator[None]:
        """Call `leave` when the client disconnects within the block, or at once if it has already."""
        self._leave = leave
        if self.has_left():
            leave()
        try:
            yield
        finally:
            self._leave = None

    def client_half_closed(self) -> None:
        """Record that the client will send no more data."""
        self.half_closed = True
        self._tell()

    def client_gone(self) -> None:
        """Record that the client has disconnected and no response can reach it."""
        self.disconnected = True
        self._tell()

    def _tell(self) -> None:
        if self._leave is not None:
            self._leave()
