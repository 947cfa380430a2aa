"""The request and response of a hot operation, for both dispatchers: FastAPI and `messaging/express.py`."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache

from msgspec import Struct
from starlette.types import Receive

from service.auth.admission import Admission
from service.model import Caller

JSON_HEADER = (b"content-type", b"application/json")


class HttpClient:
    """The client of a request whose body has been read, to notice when it disconnects.

    `admit` registers the client with the keyring, which checks its key again while the request waits.
    """

    __slots__ = ("_receive", "admitted")

    def __init__(self, receive: Receive, admit: Callable[[], Admission]) -> None:
        self._receive = receive
        self.admitted = admit

    async def left(self) -> None:
        """Wait until the client has disconnected; half-closing the connection counts."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    def has_left(self) -> bool:
        """Return whether the client has disconnected, without waiting, by running `left` to its first await."""
        step = self.left()
        try:
            step.send(None)
        except StopIteration:
            return True
        step.close()
        return False


class Exchange(Struct):
    """A request as seen by a hot operation. `name` is the only path parameter; header names are in lower case."""

    caller: Caller
    name: str
    headers: dict[bytes, bytes]
    body: bytes
    client: HttpClient


class Answer(Struct):
    """The response of a hot operation."""

    status: int
    body: bytes = b""
    headers: list[tuple[bytes, bytes]] = []


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
