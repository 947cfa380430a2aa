"""How soon does a waiting receive return after a send, through the same process and through another?"""

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

from bench import servers
from bench.figures import Figure, at_most
from bench.plan import Plan
from bench.scripts import PAYLOAD
from bench.servers import Server

# Long enough for a receive to be waiting after it was written.
SETTLE_SECONDS = 0.02


@dataclass
class Connection:
    """One keep-alive connection, with as little code between the socket and the clock as possible."""

    server: Server
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def open(cls, server: Server) -> Self:
        """Connect."""
        return cls(server, *await asyncio.open_connection("127.0.0.1", server.port))

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> None:
        """Write a request."""
        content = json.dumps(body).encode() if body is not None else b""
        lines = [
            f"{method} {path} HTTP/1.1",
            "Host: 127.0.0.1",
            f"Content-Length: {len(content)}",
            *self.server.headers,
        ]
        self.writer.write("\r\n".join([*lines, "", ""]).encode() + content)

    async def answer(self) -> tuple[float, Any]:
        """Read an answer; return when it was complete, and its decoded body."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().lower()
        status, length = int(head[9:12]), 0
        for line in head.split("\r\n"):
            if line.startswith("content-length:"):
                length = int(line.split(":")[1])
        content = await self.reader.readexactly(length)
        now = time.perf_counter()
        if status >= 300:
            message = f"{self.server.name} answered {status}: {content.decode()}"
            raise RuntimeError(message)
        return now, json.loads(content) if content else None

    async def close(self) -> None:
        """Close the connection."""
        self.writer.close()
        with suppress(OSError):
            await self.writer.wait_closed()


def measure(plan: Plan) -> Iterator[Figure]:
    """Start a receive, send a message, and measure when the receive returns; same and other process in turns."""
    with servers.restante() as service, servers.restante(beside=service) as other, service.queue("bench"):
        same, across = asyncio.run(_rounds(plan.wakes, service, other))
    yield _figure("same process", same, 10)
    yield _figure("another process", across, 50)


async def _rounds(count: int, service: Server, other: Server) -> tuple[list[float], list[float]]:
    sender = await Connection.open(service)
    receivers = [await Connection.open(service), await Connection.open(other)]
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(count):
        for receiver, times in zip(receivers, taken, strict=True):
            times.append(await _wake(receiver, sender))
    for connection in (sender, *receivers):
        await connection.close()
    return taken


async def _wake(receiver: Connection, sender: Connection) -> float:
    receiver.ask("POST", "/v1/queues/bench/messages/receive", {"wait": 20})
    await asyncio.sleep(SETTLE_SECONDS)
    began = time.perf_counter()
    sender.ask("POST", "/v1/queues/bench/messages", {"body": PAYLOAD})
    # The answer to the send waits in its socket meanwhile.
    arrived, received = await receiver.answer()
    await sender.answer()
    sender.ask("DELETE", f"/v1/receipts/{received['messages'][0]['receipt']}")
    await sender.answer()
    return (arrived - began) * 1000


def _figure(where: str, times: list[float], limit: float) -> Figure:
    ordered = sorted(times)
    p50, p99 = ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)]
    return Figure(
        name=f"send → waiting receive returns, {where}",
        formula="p99 from the send's first byte to the receive's last",
        value=p99,
        unit="ms",
        bound=at_most(limit),
        raw={"p50 ms": p50, "p99 ms": p99, "max ms": ordered[-1], "rounds": len(ordered)},
    )
