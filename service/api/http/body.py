"""Read request bodies, and enforce their encoding, size and time limit."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from starlette.types import Receive, Send

from service.errors import MalformedRequest, PayloadTooLarge, UnsupportedMediaType
from service.model import MAX_REQUEST_BYTES

READ_SECONDS = 30.0


async def read_body(headers: Mapping[bytes, bytes], receive: Receive, limit: int = MAX_REQUEST_BYTES) -> bytes:
    """Return the complete body of a request.

    Raises:
        PayloadTooLarge: The body exceeds `limit` bytes. Raised as soon as that is known; `protocol.Protocol` discards
            the rest of the body.
        UnsupportedMediaType: The body is compressed.
        MalformedRequest: The body does not arrive within READ_SECONDS, or the client disconnects before its end.
    """
    if (length := headers.get(b"content-length")) is not None:
        _refuse_length(length, limit)
    if headers.get(b"content-encoding", b"").strip().lower() not in (b"", b"identity"):
        raise UnsupportedMediaType("Compressed request bodies are not supported. Send it without Content-Encoding.")
    return await _read_parts(receive, limit)


def _refuse_length(value: bytes, limit: int) -> None:
    """Refuse a body by its Content-Length, before reading it."""
    if value.isdigit() and (len(value) > 18 or int(value) > limit):
        raise _too_large(value.decode("ascii"), limit, more=True)


def _too_large(size: str, limit: int, *, more: bool) -> PayloadTooLarge:
    """Return the problem for a body over the limit. `more`: part of it is unread, so the connection must close."""
    detail = f"A request body may have at most {limit} bytes; this one has {size}. Send smaller requests."
    return PayloadTooLarge(detail, headers={"Connection": "close"} if more else None)


async def _read_parts(receive: Receive, limit: int) -> bytes:
    parts, size = [], 0
    async with _deadline():
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise MalformedRequest("The connection closed before the end of the request body.")
            part = message.get("body", b"")
            parts.append(part)
            size += len(part)
            if size > limit:
                raise _too_large(f"more than {limit}", limit, more=bool(message.get("more_body")))
            if not message.get("more_body"):
                return b"".join(parts)


@asynccontextmanager
async def _deadline() -> AsyncIterator[None]:
    """Raise MalformedRequest if the block takes longer than READ_SECONDS."""
    try:
        async with asyncio.timeout(READ_SECONDS):
            yield
    except TimeoutError:
        raise too_late() from None


def too_late() -> MalformedRequest:
    """Return the problem for a body that has not arrived within READ_SECONDS."""
    detail = f"The request body did not arrive within {READ_SECONDS:.0f} seconds. Send the request again."
    return MalformedRequest(detail, headers={"Connection": "close"})


async def send_answer(send: Send, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> None:
    """Send a complete response."""
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
