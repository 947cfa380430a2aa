"""A receiver on a real socket that remembers what came, and names that lead where the test says."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

CERTIFICATE = Path(__file__).with_name("hooks.test.pem")


@dataclass
class Receiver:
    """Answers every request on its connections in the same way."""

    port: int = 0
    connections: int = 0
    answer: bytes = b"HTTP/1.1 204 No Content\r\n\r\n"
    heads: list[bytes] = field(default_factory=list)
    names: list[str | None] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                self.heads.append(await reader.readuntil(b"\r\n\r\n"))
                await reader.readexactly(len(b"hello"))
                writer.write(self.answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def context(self) -> ssl.SSLContext:
        """Return the server's side of TLS, which notes the name that was asked for."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE)
        context.sni_callback = lambda _socket, name, _context: self.names.append(name)
        return context


async def _received(*, tls: bool) -> AsyncIterator[Receiver]:
    receiver = Receiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0, ssl=receiver.context() if tls else None)
    receiver.port = server.sockets[0].getsockname()[1]
    yield receiver
    server.close()
    await server.wait_closed()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """Listen on loopback for http."""
    async for listening in _received(tls=False):
        yield listening


@pytest.fixture
async def tls_receiver() -> AsyncIterator[Receiver]:
    """Listen on loopback for https, as hooks.test, which nobody else vouches for."""
    async for listening in _received(tls=True):
        yield listening


class Names:
    """What the system's resolver would be asked: each name's answers, in turn; the last one stays."""

    def __init__(self, **answers: list[str]) -> None:
        self.answers = {f"{name}.test": list(turns) for name, turns in answers.items()}
        self.asked: list[str] = []

    def __call__(self, host: str) -> list[str]:
        self.asked.append(host)
        if host not in self.answers:
            raise OSError(-2, "Name or service not known")
        turns = self.answers[host]
        return (turns.pop(0) if len(turns) > 1 else turns[0]).split()


@pytest.fixture
def names() -> Callable[..., Names]:
    """Make names: `names(hooks=["8.8.8.8", "127.0.0.1 ::1"])` is hooks.test at its first and later look-ups."""
    return Names
