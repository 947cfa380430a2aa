"""A hot operation's request and answer, whichever way it came: through FastAPI or ahead of it."""

from datetime import UTC, datetime
from functools import lru_cache

from msgspec import Struct
from starlette.types import Receive

from service.model import Caller

JSON_HEADER = (b"content-type", b"application/json")


class HttpClient:
    """The far end of a request whose body has been read: what can still come from it is that it leaves."""

    __slots__ = ("_receive",)

    def __init__(self, receive: Receive) -> None:
        self._receive = receive

    async def left(self) -> None:
        """Return when the client has gone (a half-closed connection counts)."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    def has_left(self) -> bool:
        """Tell whether the client has gone, without waiting: a first step of `left` that ends at once says so."""
        step = self.left()
        try:
            step.send(None)
        except StopIteration:
            return True
        step.close()
        return False


class Exchange(Struct):
    """A request as an operation sees it: `name` is the path's one parameter, header names are in lower case."""

    caller: Caller
    name: str
    headers: dict[bytes, bytes]
    body: bytes
    client: HttpClient


class Answer(Struct):
    """What an operation answers."""

    status: int
    body: bytes = b""
    headers: list[tuple[bytes, bytes]] = []


def json_answer(status: int, body: bytes) -> Answer:
    """Return an answer that carries JSON."""
    return Answer(status, body, [JSON_HEADER])


@lru_cache(1024)
def rfc3339(at: datetime) -> str:
    """Return a UTC time with microseconds, such as 2026-11-25T08:00:00.123456Z; those of one statement are the same."""
    return at.isoformat(timespec="microseconds")[:26] + "Z"


def rfc3339_of(microseconds: int) -> str:
    """Return the same of microseconds since 1970."""
    seconds, fraction = divmod(microseconds, 1_000_000)
    return f"{_second(seconds)}.{fraction:06}Z"


@lru_cache(4096)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
