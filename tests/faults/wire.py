"""HTTP/1.1 by hand: a client that can leave at any moment, and of which thousands are cheap."""

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

ANSWER_SECONDS = 10.0
# Sends a reset instead of a farewell.
_RESET = struct.pack("ii", 1, 0)


class NoAnswer(Exception):  # noqa: N818 - what was asked may or may not have been done
    """The connection ended, or nothing came in time."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body's document."""
        return json.loads(self.body)


class Wire:
    """One connection at a time to the service, opened anew when it broke."""

    def __init__(self, url: str, key: str) -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname, parts.port)
        self._head = f"Host: {parts.netloc}\r\nAuthorization: Bearer {key}\r\n"
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, method: str, path: str, document: Any = None, *, seconds: float = ANSWER_SECONDS) -> Answer:
        """Ask and wait for the answer. Raises NoAnswer."""
        try:
            await self.say(method, path, document)
            return await self.hear(seconds)
        except NoAnswer:
            self.close()
            raise

    async def say(self, method: str, path: str, document: Any = None) -> None:
        """Send a request, without waiting for its answer. Raises NoAnswer."""
        body = b"" if document is None else json.dumps(document).encode()
        head = f"{method} {path} HTTP/1.1\r\n{self._head}Content-Length: {len(body)}\r\n\r\n"
        try:
            if self._writer is None or self._writer.is_closing() or self._reader.at_eof():
                self.close()
                self._reader, self._writer = await asyncio.open_connection(*self._address)
            self._writer.write(head.encode() + body)
            await self._writer.drain()
        except (OSError, RuntimeError) as error:
            raise NoAnswer from error

    async def hear(self, seconds: float = ANSWER_SECONDS) -> Answer:
        """Return the answer to what was said. Raises NoAnswer."""
        try:
            async with asyncio.timeout(seconds):
                head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                first, *lines = head.rstrip().split("\r\n")
                headers = dict(line.lower().split(": ", 1) for line in lines)
                body = await self._reader.readexactly(int(headers.get("content-length", 0)))
        except (OSError, EOFError, TimeoutError) as error:
            raise NoAnswer(type(error).__name__) from error
        return Answer(int(first.split(" ")[1]), headers, body)

    def half_close(self) -> None:
        """Say that nothing more will come."""
        if self._writer is not None:
            # uvloop's word for a connection that the far end has closed is a RuntimeError.
            with contextlib.suppress(OSError, RuntimeError):
                self._writer.write_eof()

    def reset(self) -> None:
        """Break off."""
        if self._writer is not None and not self._writer.is_closing():
            self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._writer.transport.abort()

    def close(self) -> None:
        """Hang up."""
        if self._writer is not None:
            self._writer.close()


@contextlib.contextmanager
def wires(url: str, key: str, count: int) -> Iterator[list[Wire]]:
    """Give so many clients, and let them hang up at the end."""
    clients = [Wire(url, key) for _ in range(count)]
    try:
        yield clients
    finally:
        for client in clients:
            client.close()


async def parked(wire: Wire, receives: int) -> None:
    """Return when so many receives wait in the service."""
    async with asyncio.timeout(20):
        while f"restante_parked_receives {receives}.0" not in (await wire.ask("GET", "/metrics")).body.decode():  # noqa: ASYNC110
            await asyncio.sleep(0.02)
