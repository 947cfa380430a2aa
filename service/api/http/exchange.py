"""The request of a hot operation, whichever way it came: from its connection (`call`) or through FastAPI."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from typing import Protocol

from msgspec import Struct
from starlette.types import Receive

from service.api.http.body import read_body
from service.auth.admission import Admission
from service.auth.keyring import Keyring
from service.model import Caller

JSON_HEADER = (b"content-type", b"application/json")

HeaderLines = list[tuple[bytes, bytes]]
Leave = Callable[[], None]


class Peer(Protocol):
    """The client of a request, to notice when it disconnects."""

    def has_left(self) -> bool:
        """Return whether the client has disconnected; half-closing the connection counts."""

    def leaving(self, leave: Leave) -> AbstractContextManager[None]:
        """Call `leave` when the client disconnects within the block, or at once if it has already."""


class AsgiPeer:
    """The client of a request that came through ASGI and whose body has been read."""

    __slots__ = ("_receive",)

    def __init__(self, receive: Receive) -> None:
        self._receive = receive

    async def _left(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass

    def has_left(self) -> bool:
        """Return whether the client has disconnected, by running `_left` to its first await."""
        step = self._left()
        try:
            step.send(None)
        except StopIteration:
            return True
        step.close()
        return False

    @contextmanager
    def leaving(self, leave: Leave) -> Iterator[None]:
        """Call `leave` when the client disconnects within the block."""
        watching = asyncio.ensure_future(self._left())
        watching.add_done_callback(lambda _left: leave())
        try:
            yield
        finally:
            watching.cancel()


class Request(Struct):
    """A request before its key is known; header names are in lower case.

    The body is read once the key is known, unless it has arrived already (`body`).
    """

    headers: dict[bytes, bytes]
    authorization: bytes | None
    project: bytes | None
    peer: Peer
    body: bytes | None = None
    query: bytes = b""
    receive: Receive | None = None

    async def read(self) -> bytes:
        """Return the body. Raises PayloadTooLarge, UnsupportedMediaType, MalformedRequest."""
        assert self.receive is not None  # noqa: S101 - without a body there is a way to read it
        return await read_body(self.headers, self.receive)


class Exchange(Struct):
    """A request as seen by a hot operation. `name` is the only path parameter.

    It is also the client of a receive: `leaving` and `has_left` are its peer's, `admitted` is its key's.
    """

    caller: Caller
    name: str
    body: bytes
    request: Request
    keyring: Keyring

    @property
    def headers(self) -> dict[bytes, bytes]:
        """Return the headers of the request."""
        return self.request.headers

    def has_left(self) -> bool:
        """Return whether the client has disconnected."""
        return self.request.peer.has_left()

    def leaving(self, leave: Leave) -> AbstractContextManager[None]:
        """Call `leave` when the client disconnects within the block."""
        return self.request.peer.leaving(leave)

    def admitted(self) -> Admission:
        """Have the keyring check the client's key again for as long as it waits."""
        return self.keyring.admit(self.request.authorization, self.request.project, self.caller)


class Answer(Struct):
    """A response, complete or without the headers that every response has."""

    status: int
    body: bytes = b""
    headers: HeaderLines = []


def json_answer(status: int, body: bytes) -> Answer:
    """Return a response with a JSON body."""
    return Answer(status, body, [JSON_HEADER])


@lru_cache(1024)
def rfc3339(at: datetime) -> str:
    """Format a UTC time with microseconds, such as 2026-11-25T08:00:00.123456Z.

    The cache pays off because all messages of a database statement share their times.
    """
    return at.isoformat(timespec="microseconds")[:26] + "Z"


def rfc3339_of(microseconds: int) -> str:
    """Format a time given in microseconds since 1970, in the same way."""
    seconds, fraction = divmod(microseconds, 1_000_000)
    return f"{_second(seconds)}.{fraction:06}Z"


@lru_cache(4096)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
