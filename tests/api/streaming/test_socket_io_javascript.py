"""The JavaScript client of Socket.IO, from npm: what it misses is delivered again, and it resumes by itself."""

import asyncio
import contextlib
import json
import shutil
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.api.streaming.test_socket_io import total
from tests.api.streaming.test_websocket import send
from tests.in_process import ROOT_KEY, Service, in_process

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(shutil.which("npm") is None, reason="needs Node.js"),
    pytest.mark.timeout(90),
]

_SOURCES = Path(__file__).with_name("javascript")

Hear = Callable[[], Awaitable[list[Any]]]
Tell = Callable[[str], None]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the client with what it needs."""
    folder = tmp_path_factory.mktemp("javascript") / "client"
    shutil.copytree(_SOURCES, folder)
    subprocess.run(["npm", "ci", "--silent"], cwd=folder, check=True, timeout=60)
    return folder / "client.js"


@contextlib.asynccontextmanager
async def client(program: Path, service: Service, key: str = ROOT_KEY) -> AsyncIterator[tuple[Hear, Tell]]:
    """Run the client; give what it says next, and a way to tell it what to do."""
    running = await asyncio.create_subprocess_exec(
        "node", program, service.url, key, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert running.stdin is not None
    assert running.stdout is not None
    said, told = running.stdout, running.stdin

    async def hear() -> list[Any]:
        async with asyncio.timeout(15):
            words: list[Any] = json.loads(await said.readline())
        return words

    def tell(what: str) -> None:
        told.write(f"{what}\n".encode())

    try:
        yield hear, tell
    finally:
        running.kill()
        await running.wait()


async def test_what_was_sent_while_it_was_away_is_delivered_when_it_is_back(program: Path, service: Service) -> None:
    await service.queue()
    async with client(program, service) as (hear, tell):
        assert await hear() == ["subscribed", "ok"]
        for away, back in (("leave", "return"), ("break", None)):
            tell(away)
            assert await hear() == ["disconnected"]
            await send(service, 1, 2, 3)
            if back is not None:
                tell(back)
            words = [await hear() for _ in range(4)]
            assert ["subscribed", "ok"] in words
            assert sorted(body for kind, body in words if kind == "message") == [1, 2, 3]
            await total(service, 0)


async def test_what_its_handler_threw_on_or_refused_is_delivered_again(program: Path, service: Service) -> None:
    await service.queue(visibility_timeout=1)
    async with client(program, service) as (hear, _):
        assert await hear() == ["subscribed", "ok"]
        await send(service, "throw")
        assert [await hear() for _ in range(3)] == [["message", "throw"], ["threw", "thrown"], ["message", "throw"]]
        await send(service, "refuse")
        assert [await hear() for _ in range(2)] == [["message", "refuse"]] * 2
        await total(service, 0)


async def test_it_resumes_by_itself_when_the_service_comes_back(program: Path, database: str) -> None:
    async with contextlib.AsyncExitStack() as stack:
        async with in_process(database) as service:
            await service.queue()
            hear, _ = await stack.enter_async_context(client(program, service))
            assert await hear() == ["subscribed", "ok"]
            port = int(service.url.rsplit(":", 1)[1])
        assert await hear() == ["disconnected"]
        async with in_process(database, port=port) as service:
            while (words := await hear())[0] == "refused":
                pass
            assert words == ["subscribed", "ok"]
            await send(service, "after")
            assert await hear() == ["message", "after"]
            await total(service, 0)


async def test_a_wrong_key_is_told(program: Path, service: Service) -> None:
    async with client(program, service, "wrong") as (hear, _):
        assert await hear() == ["refused", "unauthenticated"]
