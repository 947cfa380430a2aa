"""Whatever a receiver does: the attempt ends in its time and has a name."""

import asyncio
import contextlib
import gzip
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import timedelta

import pytest

from service.store.views import attempts
from tests.in_process import Service
from tests.push.sink import sink

pytestmark = pytest.mark.anyio

Q = "/v1/queues/q"
HEAD = b"HTTP/1.1 200 OK\r\n"

# A thousandth of what it claims to be.
BOMB = gzip.compress(bytes(32 * 1024 * 1024))

Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def answering(handle: Handle, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Run a receiver that answers a request's head with whatever it likes."""
    ending = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # uvloop's word for a connection that the far end has closed is a RuntimeError.
        with contextlib.suppress(OSError, RuntimeError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            await handle(reader, writer)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answered, ended = asyncio.create_task(answer(reader, writer)), asyncio.create_task(ending.wait())
        await asyncio.wait({answered, ended}, return_when=asyncio.FIRST_COMPLETED)
        for task in (answered, ended):
            task.cancel()
        await asyncio.gather(answered, ended, return_exceptions=True)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    yield f"http{'s' if tls else ''}://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    # What still answers, and slowly, ends with the receiver.
    ending.set()
    server.close()
    await server.wait_closed()


def says(*parts: bytes, forever: bytes = b"", pause: float = 0) -> Handle:
    """Write these, then this for as long as somebody reads."""

    async def handle(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()
        while forever:
            writer.write(forever)
            await writer.drain()
            await asyncio.sleep(pause)

    return handle


async def attempt(service: Service, url: str, **fields: object) -> dict[str, object]:
    """Have a message posted there once; return what is kept of it."""
    await service.queue()
    config = {"url": url, "retry": {"delays": [3600]}, **fields}
    made = await service.root.put(f"{Q}/webhooks/w", json=config)
    assert made.status_code == 201, made.text
    await service.root.post(f"{Q}/messages", json={"body": 1})
    async with asyncio.timeout(10):
        while not (found := (await service.root.get(f"{Q}/webhooks/w/attempts")).json()["items"]):  # noqa: ASYNC110 - the service tells nobody; it has to be asked
            await asyncio.sleep(0.02)
    kept: dict[str, object] = found[0]
    return kept


@pytest.mark.parametrize(
    ("handle", "status", "error"),
    [
        (says(HEAD + b"Content-Length: 2\r\n\r\nok"), 200, None),
        (says(HEAD + b"Content-Length: 9999999999\r\n\r\n", forever=b"x" * 65536), 200, None),
        (says(HEAD + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope"), 200, None),
        (says(HEAD + b"Content-Length: 20\r\n\r\nshort"), None, "protocol_error"),
        (says(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"), 302, None),
        (says(HEAD, forever=b"X: " + b"y" * 1000 + b"\r\n"), None, "protocol_error"),
        (says(HEAD + b"X: " + b"y" * 20000 + b"\r\n\r\n"), None, "protocol_error"),
        (says(forever=b"HTTP/1.1 100 Continue\r\n\r\n" * 100), None, "protocol_error"),
        (says(forever=b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", pause=0.01), None, "protocol_error"),
        (says(HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(BOMB), BOMB), 200, None),
        (says(b"SSH-2.0-OpenSSH_9.2\r\n"), None, "protocol_error"),
        (says(), None, "connection_error"),
    ],
    ids=[
        "good",
        "endless",
        "not gzip",
        "closed early",
        "redirect",
        "endless headers",
        "long header",
        "endless 100",
        "endless 103",
        "gzip bomb",
        "not HTTP",
        "silent",
    ],
)
async def test_what_a_receiver_says_has_a_name(
    service: Service, handle: Handle, status: int | None, error: str | None
) -> None:
    async with answering(handle) as url:
        kept = await attempt(service, url, timeout=5)
    assert (kept["status"], kept["error"]) == (status, error)


@pytest.mark.alone
async def test_a_byte_now_and_then_ends_with_the_time_of_the_whole(service: Service) -> None:
    slowly = says(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", forever=b"1\r\nx\r\n", pause=0.1)
    async with answering(slowly) as url:
        kept = await attempt(service, url, timeout=1)
    assert kept["error"] == "timeout"
    # The time runs from before the message was leased.
    assert 0.8 <= float(str(kept["duration"])) < 1.6


@contextlib.contextmanager
def never_connecting() -> Iterator[str]:
    """Listen, and let nobody in: the system has no room for another connection."""
    with socket.socket() as listener, contextlib.ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)  # noqa: FBT003 - its only argument
            client.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"


@pytest.mark.alone
async def test_a_port_that_swallows_connections_looks_like_a_closed_one(service: Service) -> None:
    with never_connecting() as url:
        kept = await attempt(service, url, timeout=1)
    assert (kept["status"], kept["error"]) == (None, "connection_error")
    assert 0.5 <= float(str(kept["duration"])) < 1.6


async def test_hundreds_of_requests_that_never_connect_leave_room_for_others(service: Service) -> None:
    await service.queue()
    with never_connecting() as url:
        config = {"url": url, "timeout": 1, "max_concurrency": 300, "retry": {"delays": [0.5] * 100, "jitter": 0}}
        made = await service.root.put(f"{Q}/webhooks/w", json=config)
        assert made.status_code == 201, made.text
        await service.root.post(f"{Q}/messages/batch", json={"messages": [{"body": 1}] * 400})
        async with asyncio.timeout(20):
            while (await service.root.get(f"{Q}/webhooks/w")).json()["state"] != "circuit_open":  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.05)
    async with sink() as target:
        assert (await service.root.patch(f"{Q}/webhooks/w", json={"url": target.url})).status_code == 200
        await target.wait_for(400, 20)


async def test_a_closed_port_is_named_and_the_message_stays(service: Service) -> None:
    kept = await attempt(service, "http://127.0.0.1:1/")
    assert (kept["status"], kept["error"], kept["outcome"]) == (None, "connection_error", "failed")
    [shown] = (await service.root.get(f"{Q}/messages")).json()["items"]
    assert (shown["state"], shown["last_error"]) == ("delayed", "connection_error")


@pytest.mark.parametrize(
    "url",
    ["https://10.0.0.1/", "http://8.8.8.8/", "https://[::ffff:10.0.0.1]/", "https://localhost.:443@evil.example/"],
)
async def test_an_address_that_is_not_allowed_is_refused_when_it_is_written(service: Service, url: str) -> None:
    await service.queue()
    refused = await service.root.put(f"{Q}/webhooks/w", json={"url": url})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/url"


async def test_attempts_are_listed_by_outcome_and_kept_for_seven_days(service: Service) -> None:
    async with sink() as target:
        kept = await attempt(service, target.url)
    assert kept["outcome"] == "succeeded"
    listing = f"{Q}/webhooks/w/attempts"
    assert (await service.root.get(f"{listing}?outcome=failed")).json()["items"] == []
    assert len((await service.root.get(f"{listing}?outcome=succeeded")).json()["items"]) == 1
    shown = (await service.root.get(f"{Q}/webhooks/w")).json()
    assert shown["success_rate"] == 1
    assert 0 < shown["latency"] < 5
    # One that was refused within the clock's grain.
    await service.sql.execute("update attempt set duration = '0'")
    assert (await service.root.get(f"{Q}/webhooks/w")).json()["latency"] == 0
    assert (await service.root.get("/v1/webhooks")).json()["items"][0]["latency"] == 0
    # Nine days later.
    store = service.app._store
    await attempts.keep_days(store.engine, store.clock.now() + timedelta(days=9))
    assert (await service.root.get(listing)).json()["items"] == []
