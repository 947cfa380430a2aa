"""How long a connection may take for the head and body of a request, to read its response, to rest and to close.

All connections are looked at once a second, because a timer for every request would cost more.
"""

import asyncio
from typing import TYPE_CHECKING, Final
from weakref import WeakSet

from uvicorn.server import ServerState

from service.api.http import body
from service.api.http.call import Call
from service.api.http.cycle import Cycle
from service.errors import RequestTimeout

if TYPE_CHECKING:
    from service.api.http.protocol import Protocol

# How long a new connection may wait before its first request, and how long a request's head may take to arrive.
FIRST_SECONDS = 10.0
HEAD_SECONDS = 10.0
# When a connection closes while the client is still sending, input is read and discarded for up to this long.
DRAIN_SECONDS = 5.0
# A client that reads nothing of its response for this long is disconnected.
UNREAD_SECONDS = 60.0
_LOOK_SECONDS = 1.0

# The states of a connection: it expects a request, the rest of a head, the rest of a body, or only input to discard.
REST: Final = 0
HEAD: Final = 1
BODY: Final = 2
OVER: Final = 3

# The servers that have a running timer. It ends when the server has no connections left.
_watched: WeakSet[ServerState] = WeakSet()


def watch(state: ServerState, kind: type["Protocol"], loop: asyncio.AbstractEventLoop) -> None:
    """Look at the server's connections of this kind every second, for as long as it has any."""
    if state not in _watched:
        _watched.add(state)
        loop.call_later(_LOOK_SECONDS, _look_at_all, state, kind, loop)


def _look_at_all(state: ServerState, kind: type["Protocol"], loop: asyncio.AbstractEventLoop) -> None:
    now = loop.time()
    for connection in [one for one in state.connections if isinstance(one, kind)]:
        _look_at(connection, now)
    if state.connections:
        loop.call_later(_LOOK_SECONDS, _look_at_all, state, kind, loop)
    else:
        _watched.discard(state)


def _look_at(connection: "Protocol", now: float) -> None:
    """Enforce the deadlines of one connection."""
    rested, transport = now - connection.since, connection.whole.transport
    if transport.is_closing() or (connection.coming == OVER and not connection.is_busy()):
        if rested > DRAIN_SECONDS:
            transport.abort()
    elif connection.flow.write_paused and _is_unread(connection, now):
        transport.abort()
    elif connection.coming == HEAD:
        if rested > HEAD_SECONDS:
            connection.refuse(RequestTimeout(f"The headers did not arrive within {HEAD_SECONDS:.0f} seconds."))
    elif connection.is_busy():
        _look_at_body(connection, rested)
    elif rested > _rest_seconds(connection):
        transport.close()


def _look_at_body(connection: "Protocol", rested: float) -> None:
    """Enforce the deadline of a body. An operation that reads its body by itself has its own (`body`)."""
    active = connection.active
    if active is None or active.response_complete or not active.more_body:
        return
    if connection.stopping and rested > DRAIN_SECONDS:
        # The rest of the body may take longer than the process has left.
        connection.whole.transport.abort()
    elif isinstance(active, Call) and rested > body.READ_SECONDS:
        connection.refuse(body.too_late())


def _rest_seconds(connection: "Protocol") -> float:
    """Return how long the connection may rest between two requests."""
    if connection.coming == BODY:
        return DRAIN_SECONDS
    return connection.timeout_keep_alive if connection.has_answered else FIRST_SECONDS


def _is_unread(connection: "Protocol", now: float) -> bool:
    """Return whether the client has read nothing of its response for too long. Streams are exempt."""
    left = connection.whole.transport.get_write_buffer_size()
    if left != connection.unread[0]:
        connection.unread = (left, now)
    if connection.stopping:
        return now - connection.unread[1] > DRAIN_SECONDS
    streams = isinstance(connection.active, Cycle) and bool(connection.active.chunked_encoding)
    return not streams and now - connection.unread[1] > UNREAD_SECONDS
