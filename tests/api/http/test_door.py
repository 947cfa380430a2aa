"""What a connection may cost and do before anybody has shown a key."""

import asyncio
import contextlib
import json
import re
import socket
from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit

import pytest
import structlog

from service.api.http import deadlines, protocol, refusals
from service.log import Seldom
from tests.api.http.raw_forms import GROUPS, LAST, Form, chunked, head
from tests.in_process import Service, in_process

pytestmark = pytest.mark.anyio


async def say(service: Service, *parts: bytes) -> bytes:
    """Send bytes on a connection of their own, and return all that is answered until the service ends it."""
    address = urlsplit(service.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    reading = asyncio.create_task(reader.read())
    try:
        for part in parts:
            if writer.transport.is_closing():
                # The service has ended the connection; uvloop refuses to write to it.
                break
            writer.write(part)
            await writer.drain()
            # Two turns of the loop that the service shares: it has read this part before the next one is sent.
            for _ in range(4):
                await asyncio.sleep(0)
        async with asyncio.timeout(20):
            return await reading
    except ConnectionError:
        return await reading
    finally:
        reading.cancel()
        writer.close()


def answers(told: bytes) -> Iterator[tuple[int, bytes]]:
    """Cut what was answered into status and body of each answer."""
    while told:
        head, end, rest = told.partition(b"\r\n\r\n")
        assert end, told
        length = re.search(rb"\r\ncontent-length: (\d+)", head)
        size = int(length[1]) if length else 0
        yield int(head.split(b" ")[1]), rest[:size]
        told = rest[size:]


def differs(form: Form, told: bytes) -> bool:
    got = list(answers(told))
    expected = form.answers
    return [status for status, _ in got] != [status for status, _ in expected] or any(
        part.encode() not in body for (_, part), (_, body) in zip(expected, got, strict=True)
    )


def in_two(data: bytes) -> list[bytes]:
    """Cut after the first head."""
    cut = data.find(b"\r\n\r\n") + 4
    return [data[:cut], data[cut:]]


def in_crumbs(data: bytes) -> list[bytes]:
    """Cut into small pieces, and what is long into larger ones."""
    size = max(1, len(data) // 50)
    return [data[start : start + size] for start in range(0, len(data), size)]


def test_there_are_enough_forms_and_each_is_there_once() -> None:
    forms = [(group, form.name) for group, make in GROUPS.items() for form in make()]
    assert len(forms) == len(set(forms)) > 180


@pytest.mark.parametrize("cut", [in_two, in_crumbs, lambda data: [data]], ids=["in two", "in crumbs", "at once"])
@pytest.mark.parametrize("group", GROUPS)
async def test_every_raw_form_gets_its_answer_and_nothing_is_smuggled(
    service: Service, group: str, cut: object
) -> None:
    assert callable(cut)
    await service.queue("there")
    await service.queue("empty")
    wrong = {}
    for form in GROUPS[group]():
        told = await say(service, *cut(form.data))
        if differs(form, told):
            wrong[form.name] = [(status, body[:80]) for status, body in answers(told)][-5:]
        await service.root.delete("/v1/queues/q")
    assert wrong == {}
    assert (await service.root.get("/v1/queues/smuggled")).status_code == 404


@contextlib.asynccontextmanager
async def connection(service: Service) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Give a connection of its own."""
    address = urlsplit(service.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def ended(reader: asyncio.StreamReader) -> bytes:
    """Return what the service says until it ends the connection."""
    async with asyncio.timeout(20):
        try:
            return await reader.read()
        except ConnectionError:
            return b""


_MESSAGES = "/v1/queues/there/messages"


@pytest.mark.parametrize(
    ("asked", "body", "status"),
    [
        ("GET /v1/queues/there", b"", 200),
        ("GET /healthz", b"", 200),
        ("PUT /v1/queues/q", b"{}", 201),
        (f"POST {_MESSAGES}", b'{"body":1}', 201),
        (f"POST {_MESSAGES}/batch", b'{"messages":[{"body":1}]}', 201),
        ("POST /v1/queues/there/raw", b"abc", 201),
        ("DELETE /v1/queues/there", b"", 204),
    ],
)
async def test_a_client_that_sends_nothing_more_after_its_request_gets_the_answer(
    service: Service, asked: str, body: bytes, status: int
) -> None:
    await service.queue("there")
    for data in (
        head(f"{asked} HTTP/1.1", f"Content-Length: {len(body)}") + body,
        head(f"{asked} HTTP/1.1", "Transfer-Encoding: chunked") + (chunked(body) if body else chunked()),
    ):
        await service.queue("there")
        async with connection(service) as (reader, writer):
            writer.write(data)
            writer.write_eof()
            [(answered, _)] = answers(await ended(reader))
        assert answered == status
        await service.root.delete("/v1/queues/q")


async def test_of_several_requests_before_the_end_each_is_answered(service: Service) -> None:
    await service.queue("there")
    waits = head(f"POST {_MESSAGES}/receive HTTP/1.1", "Content-Length: 11") + b'{"wait":20}'
    look = head("GET /v1/queues/there HTTP/1.1")
    for data, statuses in (
        (look * 3, [200] * 3),
        (look + waits + look, [200] * 3),
        (look * 2 + b"GET /half HTTP/1.1\r\nHos", [200] * 2),
        (look + head("PUT /v1/queues/q HTTP/1.1", "Content-Length: 9") + b"{", [200]),
        (look + b"nonsense\r\n\r\n", [200, 400]),
    ):
        async with connection(service) as (reader, writer):
            writer.write(data)
            writer.write_eof()
            assert [status for status, _ in answers(await ended(reader))] == statuses


async def test_what_waits_takes_a_client_that_sends_nothing_more_for_gone(service: Service) -> None:
    await service.queue("there")
    async with connection(service) as (reader, writer):
        writer.write(head(f"POST {_MESSAGES}/receive HTTP/1.1", "Content-Length: 11") + b'{"wait":20}')
        await _waiting(service, 1)
        writer.write_eof()
        assert list(answers(await ended(reader))) == [(200, b'{"messages":[]}')]
    async with connection(service) as (reader, writer):
        writer.write(head("GET /v1/queues/there/events?credit=1 HTTP/1.1"))
        await reader.readuntil(b"\r\n\r\n")
        writer.write_eof()
        await ended(reader)
    await service.root.post(_MESSAGES, json={"body": 1})
    [message] = (await service.root.post(f"{_MESSAGES}/receive", json={"wait": 5})).json()["messages"]
    assert message["receive_count"] == 1


async def _waiting(service: Service, receives: int) -> None:
    async with asyncio.timeout(10):
        while f"restante_parked_receives {receives}.0" not in (await service.root.get("/metrics")).text:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_what_breaks_off_before_its_end_is_not_done(service: Service) -> None:
    for data in (
        head("PUT /v1/queues/q HTTP/1.1", "Content-Length: 3") + b"{}",
        head("PUT /v1/queues/q HTTP/1.1", "Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\n",
        head("PUT /v1/queues/q HTTP/1.1")[:-2],
    ):
        async with connection(service) as (reader, writer):
            writer.write(data)
            writer.write_eof()
            assert await ended(reader) == b""
    assert (await service.root.get("/v1/queues/q")).status_code == 404


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the deadlines pass quickly."""
    monkeypatch.setattr(deadlines, "_LOOK_SECONDS", 0.02)
    for name in ("FIRST_SECONDS", "HEAD_SECONDS", "DRAIN_SECONDS", "UNREAD_SECONDS"):
        monkeypatch.setattr(deadlines, name, 0.4)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("sent", [b"G", b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 20_000])
async def test_a_head_that_does_not_end_is_given_up(service: Service, sent: bytes) -> None:
    async with connection(service) as (reader, writer):
        for before in (b"", LAST.replace(b"close", b"keep-alive")):
            writer.write(before)
        await reader.readuntil(b'{"status":"ok"}')
        writer.write(sent)
        [(status, body)] = answers(await ended(reader))
        assert (status, json.loads(body)["code"]) == (408, "request_timeout")


@pytest.mark.usefixtures("quick")
async def test_who_has_asked_nothing_is_not_kept_as_long_as_who_has(service: Service) -> None:
    async with connection(service) as (known, writer), connection(service) as (stranger, _):
        writer.write(LAST.replace(b"close", b"keep-alive"))
        assert await ended(stranger) == b""
        assert b'"ok"' in await known.read(1000)
        assert not known.at_eof()


async def test_a_connection_is_kept_as_long_as_its_answers_say(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadlines, "_LOOK_SECONDS", 0.02)
    async with in_process(database, keep_alive=1) as service, connection(service) as (reader, writer):
        began = asyncio.get_running_loop().time()
        for _ in range(3):
            writer.write(LAST.replace(b"close", b"keep-alive"))
            assert b"keep-alive: timeout=1\r\n" in await reader.readuntil(b'{"status":"ok"}')
        assert await ended(reader) == b""
        assert 1 <= asyncio.get_running_loop().time() - began < 5
    async with in_process(database) as service:
        assert (await service.root.get("/healthz")).headers["keep-alive"] == "timeout=75"
        last = await service.root.get("/healthz", headers={"Connection": "close"})
        assert (last.headers["connection"], last.headers.get("keep-alive")) == ("close", None)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("status", [401, 400])
async def test_an_answer_can_be_read_by_a_client_that_goes_on_sending_and_that_is_soon_cut_off(
    service: Service, status: int
) -> None:
    """Closed at once, a connection with unread bytes is reset, and the answer is lost with it."""
    begun = head("PUT /v1/queues/q HTTP/1.1", "Content-Length: 100000000").replace(b"Bearer", b"Basic")
    async with connection(service) as (reader, writer):
        writer.write(begun if status == 401 else b"nonsense\r\n\r\n")
        answer = await reader.readuntil(b"}")
        assert int(answer.split(b" ")[1]) == status
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(20):
                # Who is cut off between two writes is not told of it by an error.
                while not writer.transport.is_closing() and (not reader.at_eof() or status == 400):
                    writer.write(b"x" * 10_000)
                    await writer.drain()
                    await asyncio.sleep(0.01)


@pytest.mark.usefixtures("quick")
async def test_who_reads_nothing_of_an_answer_is_cut_off(service: Service) -> None:
    address = urlsplit(service.url)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect((address.hostname, address.port))
        client.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n" * 40)
        async with asyncio.timeout(20):
            while not (unread := [one for one in protocols() if one.flow.write_paused]):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            while not unread[0].transport.is_closing():  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.01)


def protocols() -> list[protocol.Protocol]:
    """Return the service's side of the connections that are open."""
    found = [one for state in deadlines._watched for one in state.connections]
    return [one for one in found if isinstance(one, protocol.Protocol)]


async def test_what_is_refused_is_counted_and_told_once_a_minute(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusals, "_refused", Seldom("requests_refused"))

    async def knock() -> None:
        for _ in range(5):
            await say(service, b"nonsense\r\n\r\n")
            await say(service, b"GET / HTTP/2.0\r\n\r\n")
            await say(service, head("GET /healthz HTTP/1.1", "Connection: Upgrade, close", "Upgrade: h2c"))

    with structlog.testing.capture_logs() as logged:
        await knock()
        assert [(event["event"], event["malformed_request"]) for event in logged] == [("requests_refused", 1)]
        monkeypatch.setattr("service.log.SELDOM_SECONDS", 0.0)
        await knock()
    assert (logged[1]["malformed_request"], logged[1]["http_version_not_supported"]) == (5, 5)
    shown = (await service.root.get("/metrics")).text
    assert re.search(r'restante_refused_requests_total\{code="malformed_request"\} \d', shown)
