"""A receiver of webhooks on a real socket, that answers as a test wants and remembers what it was asked."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from aiohttp import web

Answer = Callable[["Posted"], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Posted:
    """One request: when it came (the loop's time), its headers in small letters, its body."""

    at: float
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def number(self) -> int:
        """Return which attempt it says to be."""
        return int(self.headers["restante-attempt"])


async def taken(_posted: Posted) -> web.StreamResponse:
    """Answer 204."""
    return web.Response(status=204)


def answers(*statuses: int, headers: Mapping[str, str] | None = None) -> Answer:
    """Answer with these, one after the other, then with the last."""
    left = list(statuses)

    async def answer(_posted: Posted) -> web.StreamResponse:
        return web.Response(status=left.pop(0) if len(left) > 1 else left[0], headers=headers)

    return answer


@dataclass
class Sink:
    """What came. `answer` may be changed at any time; `most_at_once`: requests that were under way together."""

    url: str = ""
    answer: Answer = taken
    posted: list[Posted] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    _came: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Take a request."""
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            headers = {name.lower(): value for name, value in request.headers.items()}
            posted = Posted(asyncio.get_running_loop().time(), request.path, headers, await request.read())
            self.posted.append(posted)
            self._came.set()
            return await self.answer(posted)
        finally:
            self.at_once -= 1

    async def wait_for(self, requests: int, seconds: float = 20) -> list[Posted]:
        """Return what came, when so many requests did."""
        async with asyncio.timeout(seconds):
            while len(self.posted) < requests:
                self._came.clear()
                await self._came.wait()
        return self.posted


@contextlib.asynccontextmanager
async def sink(answer: Answer = taken) -> AsyncIterator[Sink]:
    """Run a receiver on a free port of 127.0.0.1."""
    made = Sink(answer=answer)
    app = web.Application(client_max_size=16 * 1024 * 1024)
    app.router.add_post("/{path:.*}", made.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield made
    finally:
        await runner.cleanup()
