"""Reading a request's body: its encoding, its size, the time it may take."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

from starlette.types import Receive, Send

from service.errors import MalformedRequest, PayloadTooLarge, UnsupportedMediaType
from service.model import MAX_REQUEST_BYTES

READ_SECONDS = 30.0
DRAIN_SECONDS = 5.0
DRAIN_BYTES = 16 * 1024 * 1024


async def read_body(
    headers: Mapping[bytes, bytes], receive: Receive, arrived: bytes | None = None, limit: int = MAX_REQUEST_BYTES
) -> bytes:
    """Return the whole body of a request; `arrived` if it is known to be here already.

    Raises:
        PayloadTooLarge: over the limit; as soon as that is known, so there may be more to come (see `send_answer`).
        UnsupportedMediaType: it is compressed.
        MalformedRequest: it does not arrive in time, or breaks off.
    """
    if (length := headers.get(b"content-length")) is not None:
        _refuse_length(length, limit)
    if headers.get(b"content-encoding", b"").strip().lower() not in (b"", b"identity"):
        raise UnsupportedMediaType("Compressed request bodies are not read. Send it without Content-Encoding.")
    if arrived is not None:
        return _within(arrived, limit)
    return await _read_parts(receive, limit)


def _refuse_length(value: bytes, limit: int) -> None:
    """Refuse by the size that the client announces, before it is sent."""
    if value.isdigit() and (len(value) > 18 or int(value) > limit):
        raise _too_large(value.decode("ascii"), limit, more=True)


def _within(body: bytes, limit: int) -> bytes:
    if len(body) > limit:
        raise _too_large(len(body), limit, more=False)
    return body


def _too_large(size: int | str, limit: int, *, more: bool) -> PayloadTooLarge:
    """Return the problem of a request over its limit. If there is more of it, no other request can follow."""
    detail = f"A request may have at most {limit} bytes, this one has {size}. Send less at a time."
    return PayloadTooLarge(detail, headers={"Connection": "close"} if more else None)


async def _read_parts(receive: Receive, limit: int) -> bytes:
    parts, size = [], 0
    async with _deadline():
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise MalformedRequest("The request broke off before the end of its body.")
            part = message.get("body", b"")
            parts.append(part)
            size += len(part)
            if size > limit:
                raise _too_large(f"more than {limit}", limit, more=bool(message.get("more_body")))
            if not message.get("more_body"):
                return b"".join(parts)


@asynccontextmanager
async def _deadline() -> AsyncIterator[None]:
    """Give a slow sender so much time and no more; afterwards the request counts as broken."""
    try:
        async with asyncio.timeout(READ_SECONDS):
            yield
    except TimeoutError:
        detail = f"The body did not arrive within {READ_SECONDS:.0f} seconds. Send the request again."
        raise MalformedRequest(detail, headers={"Connection": "close"}) from None


async def send_answer(
    receive: Receive, send: Send, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes
) -> None:
    """Send a whole answer.

    If it is to a request that is too large and was not read to its end, what the client still sends is taken in before
    the connection is closed, so that it gets round to reading.
    """
    await send({"type": "http.response.start", "status": status, "headers": headers})
    if status == 413 and (b"connection", b"close") in headers:
        await send({"type": "http.response.body", "body": body, "more_body": True})
        await _drain(receive)
        body = b""
    await send({"type": "http.response.body", "body": body})


async def _drain(receive: Receive) -> None:
    """Read and throw away what a refused client still sends, within bounds."""
    ends, size = time.monotonic() + DRAIN_SECONDS, 0
    with suppress(TimeoutError):
        while size < DRAIN_BYTES:
            async with asyncio.timeout(ends - time.monotonic()):
                message = await receive()
            if message["type"] == "http.disconnect" or not message.get("more_body"):
                return
            size += len(message.get("body", b""))
