"""What holds for every request, whatever it asks for."""

import asyncio
import contextlib
import json
import re
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import structlog
from uvicorn.server import ServerState

from service.api.http import deadlines
from tests.api.resources.test_queues import problem
from tests.api.test_openapi import DOCUMENT
from tests.conftest import in_postgres
from tests.in_process import ROOT_KEY, Service, in_process

pytestmark = pytest.mark.anyio

MIB = 1024 * 1024


async def exchange(service: Service, *parts: bytes, pause: float = 0) -> tuple[int, dict[str, str], bytes]:
    """Send octets on a connection of their own, and read until the service ends it."""
    address = urlsplit(service.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    for part in parts:
        writer.write(part)
        await writer.drain()
        await asyncio.sleep(pause)
    async with asyncio.timeout(20):
        answer = await reader.read()
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return int(status.split(" ")[1]), headers, body


def request(method: str, path: str, *headers: str, key: str = ROOT_KEY) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: restante", f"Authorization: Bearer {key}", *headers]
    return "\r\n".join([*lines, "", ""]).encode()


async def test_no_cache_keeps_what_the_api_answers_since_an_etag_says_nothing_of_the_counts(service: Service) -> None:
    await service.root.put("/v1/queues/q")
    for path in ("/v1/queues/q", "/v1/queues", "/v1/whoami", "/v1/queues/none"):
        assert (await service.root.get(path)).headers["cache-control"] == "no-store"


@pytest.mark.parametrize("given", ["a", "!~", "x" * 128, "7b0c-\"'{}"])
async def test_a_clients_own_request_id_is_kept(service: Service, given: str) -> None:
    for path in ("/healthz", "/v1/queues/none", "/nothing"):
        answer = await service.root.get(path, headers={"Request-Id": given})
        assert answer.headers["request-id"] == given
        if answer.status_code != 200:
            assert answer.json()["request_id"] == given


@pytest.mark.parametrize("given", [None, "", "x" * 129, "a b", "ü", "a\tb"])
async def test_anything_else_is_replaced_by_a_fresh_one(service: Service, given: str | None) -> None:
    headers = {} if given is None else {b"Request-Id": given.encode("latin-1")}
    seen = {(await service.root.get("/nothing", headers=headers)).headers["request-id"] for _ in range(5)}
    assert len(seen) == 5
    assert given not in seen


async def test_an_unknown_path_is_a_problem(service: Service) -> None:
    for path in (
        "/v1",
        "/v1/",
        "/v1/queues/",
        "/v1/queues/q/",
        "/v2/queues",
        "/v1/queues/q/nothing",
        "//v1/queues",
        "/v1//queues",
    ):
        for method in ("GET", "PUT", "DELETE", "POST", "PATCH", "OPTIONS", "TRACE"):
            answer = await service.root.request(method, httpx.URL(service.url).copy_with(raw_path=path.encode()))
            assert problem(answer)[:2] == (404, "not_found")


async def test_a_wrong_method_says_which_ones_are_right(service: Service) -> None:
    for path, allowed in (
        ("/v1/queues/q", "GET, HEAD, PUT, PATCH, DELETE"),
        ("/v1/queues", "GET, HEAD"),
        ("/v1/queues/q/purge", "POST"),
        ("/v1/keys", "GET, HEAD, POST"),
        ("/healthz", "GET, HEAD"),
    ):
        for method in ("OPTIONS", "TRACE"):
            answer = await service.root.request(method, path)
            assert problem(answer)[:2] == (405, "method_not_allowed")
            assert answer.headers["allow"] == allowed


@pytest.mark.parametrize("express", [True, False])
async def test_every_path_takes_its_own_methods_and_no_other_paths(database: str, express: bool) -> None:  # noqa: FBT001
    """A word such as `batch` stands where another path has a message's id or a receipt."""
    every = {"GET", "PUT", "POST", "PATCH", "DELETE"}
    async with in_process(database, express=express) as service:
        for template, methods in DOCUMENT["paths"].items():
            taken = {method.upper() for method in methods}
            for method in every - taken:
                answer = await service.root.request(method, re.sub("{.*?}", "x", template))
                assert problem(answer)[:2] == (405, "method_not_allowed"), template
                allowed = set(answer.headers["allow"].split(", "))
                assert allowed - {"HEAD"} == taken, template
                assert ("HEAD" in allowed) == ("GET" in taken)
        assert problem(await service.root.post("/v1/receipts/x", json={"items": []}))[:2] == (405, "method_not_allowed")


async def test_the_root_leads_a_browser_to_the_dashboard_and_tells_programs_where_things_are(service: Service) -> None:
    async with service.client(None) as client:
        page = await client.get("/", headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
        assert (page.status_code, page.headers["location"]) == (303, "dashboard")
        for accept in ("*/*", "application/json"):
            answer = await client.get("/", headers={"Accept": accept})
            assert (answer.status_code, answer.json()["name"]) == (200, "Restante")
            for place in ("openapi", "docs"):
                assert (await client.get(str(answer.url.join(answer.json()[place])))).status_code == 200
        assert (await client.head("/")).status_code == 200
        assert problem(await client.post("/"))[:2] == (405, "method_not_allowed")


async def test_a_head_is_answered_as_a_get_without_its_body(service: Service) -> None:
    await service.queue()
    for path in ("/healthz", "/readyz", "/openapi.json", "/v1/queues/q", "/v1/queues", "/v1/queues/none"):
        whole = await service.root.get(path)
        head = await service.root.head(path)
        assert (head.status_code, head.content) == (whole.status_code, b"")
        same = ["content-type", "etag", *(["content-length"] if path != "/v1/queues" else [])]
        assert [head.headers.get(name) for name in same] == [whole.headers.get(name) for name in same]
    answer = await service.root.head("/v1/queues/q/events?credit=1")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")


@pytest.mark.parametrize("octets", [b"\x16\x03\x01\x02\x00", b"nonsense\r\n\r\n", b"GET / HTTP/9.9.9\r\n\r\n"])
async def test_what_is_no_http_is_told_so(service: Service, octets: bytes) -> None:
    status, headers, body = await exchange(service, octets)
    assert (status, json.loads(body)["code"]) == (400, "malformed_request")
    assert headers["content-type"] == "application/problem+json"
    assert headers["request-id"] == json.loads(body)["request_id"]


@pytest.mark.parametrize(
    ("version", "hosts", "status"),
    [("1.1", 0, 400), ("1.1", 2, 400), ("1.1", 1, 200), ("1.0", 0, 200), ("1.0", 2, 400)],
)
@pytest.mark.parametrize("asked", ["GET /healthz", "POST /v1/queues/q/messages/receive"])
async def test_a_request_names_its_host_once(
    service: Service, asked: str, version: str, hosts: int, status: int
) -> None:
    await service.queue()
    lines = [
        f"{asked} HTTP/{version}",
        *["Host: restante"] * hosts,
        *(f"Authorization: Bearer {ROOT_KEY}", "Content-Length: 0", "Connection: close", "", ""),
    ]
    answered, _, body = await exchange(service, "\r\n".join(lines).encode())
    assert answered == status
    assert status == 200 or json.loads(body)["code"] == "malformed_request"


async def test_answers_are_compact(service: Service) -> None:
    answer = await service.root.put("/v1/queues/q", json={"labels": {"a": "ü"}})
    assert answer.content == json.dumps(answer.json(), separators=(",", ":"), ensure_ascii=False).encode()


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate, gzip", "nonsense"])
async def test_a_compressed_body_is_refused(service: Service, encoding: str) -> None:
    answer = await service.root.put("/v1/queues/q", content=b"{}", headers={"Content-Encoding": encoding})
    assert problem(answer)[:2] == (415, "unsupported_media_type")
    answer = await service.root.put("/v1/queues/q", content=b"{}", headers={"Content-Encoding": "identity"})
    assert answer.status_code == 201


async def test_a_body_over_the_limit_is_answered_before_it_is_sent(service: Service) -> None:
    started = time.monotonic()
    head = request("PUT", "/v1/queues/q", f"Content-Length: {9 * MIB}")
    status, headers, body = await exchange(service, head, *[b" " * MIB] * 9)
    assert (status, headers["connection"]) == (413, "close")
    assert json.loads(body)["code"] == "payload_too_large"
    assert str(8 * MIB) in json.loads(body)["detail"]
    assert time.monotonic() - started < 5


async def test_a_client_that_sends_its_whole_body_first_gets_the_answer(service: Service) -> None:
    answer = await service.root.put("/v1/queues/q", content=b" " * (12 * MIB))
    assert problem(answer)[:2] == (413, "payload_too_large")


async def test_a_connection_goes_on_after_a_message_that_is_too_large(service: Service) -> None:
    await service.queue(max_message_bytes=10)
    started = time.monotonic()
    for _ in range(3):
        answer = await service.root.post("/v1/queues/q/messages", json={"body": "x" * 50})
        assert problem(answer)[:2] == (413, "payload_too_large")
        assert "connection" not in answer.headers
    assert time.monotonic() - started < 2


async def test_idle_connections_are_looked_for_at_one_pace_however_many_come_and_go(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, look = 0, deadlines._look_at_all

    def counted(state: ServerState, *more: Any) -> None:
        nonlocal looks
        looks += 1
        look(state, *more)

    monkeypatch.setattr(deadlines, "_look_at_all", counted)
    monkeypatch.setattr(deadlines, "_LOOK_SECONDS", 0.02)
    for _ in range(40):
        await exchange(service, request("GET", "/healthz", "Connection: close"))
    async with service.client(None) as client:
        await client.get("/healthz")
        began, already = time.monotonic(), looks
        async with asyncio.timeout(20):
            while looks < already + 20:  # noqa: ASYNC110 - a timer tells nobody
                await asyncio.sleep(0.01)
    assert time.monotonic() - began > 0.3


async def test_an_endless_body_is_cut_off(service: Service) -> None:
    """How much of it is taken in is bounded, so a client that never stops may find the connection gone."""

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield b" " * MIB

    with contextlib.suppress(httpx.TransportError):
        answer = await service.root.put("/v1/queues/q", content=endless())
        assert problem(answer)[:2] == (413, "payload_too_large")
    assert (await service.root.get("/v1/queues/q")).status_code == 404


async def test_a_body_at_the_limit_is_read(service: Service) -> None:
    answer = await service.root.put("/v1/queues/q", content=b"{}" + b" " * (8 * MIB - 2))
    assert answer.status_code == 201


async def test_a_slow_sender_is_not_waited_for_without_end(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.api.http.body.READ_SECONDS", 0.3)
    for sent in (b"", b'{"del'):
        head = request("PUT", "/v1/queues/q", "Content-Length: 11")
        status, headers, body = await exchange(service, head + sent)
        assert (status, headers["connection"]) == (400, "close")
        assert json.loads(body)["code"] == "malformed_request"


async def test_who_has_no_key_is_told_so_before_the_body_is_read(service: Service) -> None:
    head = request("PUT", "/v1/queues/q", f"Content-Length: {9 * MIB}", "Connection: close", key="wrong")
    status, _, body = await exchange(service, head)
    assert (status, json.loads(body)["code"]) == (401, "unauthenticated")


@pytest.mark.usefixtures("deadlines")
async def test_without_the_database_everything_is_503_in_time_and_well_again_after(
    service: Service, postgres: str, database: str
) -> None:
    await service.queue()
    name = urlsplit(database).path[1:]
    await service.sql.close()
    in_postgres(postgres, f"alter database {name} allow_connections false")
    in_postgres(postgres, f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'")
    asked = [
        ("GET", "/v1/queues/q"),
        ("PUT", "/v1/queues/q"),
        ("GET", "/v1/queues"),
        ("POST", "/v1/keys"),
        ("GET", "/readyz"),
    ]
    for method, path in asked:
        body = {"name": "x", "scopes": ["send"]} if path == "/v1/keys" else None
        started = time.monotonic()
        answer = await service.root.request(method, path, json=body)
        assert problem(answer)[:2] == (503, "unavailable")
        assert answer.headers["retry-after"] == "1"
        assert time.monotonic() - started < 5
    assert (await service.root.get("/healthz")).status_code == 200
    assert (await service.root.get("/metrics")).status_code == 200
    in_postgres(postgres, f"alter database {name} allow_connections true")
    assert (await service.root.get("/v1/queues/q")).status_code == 200
    # It is ready once it hears the other processes again.
    async with asyncio.timeout(15):
        while (await service.root.get("/readyz")).status_code != 200:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.05)


@pytest.mark.alone
@pytest.mark.usefixtures("deadlines")
async def test_a_locked_row_is_503_in_time_and_nothing_is_done(service: Service) -> None:
    await service.queue()
    async with service.sql.transaction():
        await service.sql.execute("select from queue for update")
        started = time.monotonic()
        answer = await service.root.patch("/v1/queues/q", json={"delay": 9})
        assert problem(answer)[:2] == (503, "unavailable")
        assert time.monotonic() - started < 5
    assert (await service.root.get("/v1/queues/q")).json()["delay"] == 0


async def test_a_changed_table_is_no_reason_to_fail(service: Service) -> None:
    for _ in range(3):
        await service.queue()
        assert (await service.root.get("/v1/queues")).status_code == 200
        await service.sql.execute("alter table queue alter column max_length type numeric")
        await service.sql.execute("alter table queue alter column max_length type bigint")
        assert (await service.root.get("/v1/queues/q")).status_code == 200


async def test_what_nobody_foresaw_is_503_and_says_nothing_of_the_inside(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        message = "select secret from inside"
        raise ZeroDivisionError(message)

    monkeypatch.setattr("service.domain.queues.get_queue", broken)
    answer = await service.root.get("/v1/queues/q")
    assert problem(answer)[:2] == (503, "unavailable")
    assert "secret" not in answer.text


@pytest.mark.parametrize("path", ["/v1/queues/q/messages", "/v1/keys"])
async def test_what_nobody_foresaw_is_logged_with_the_requests_id(
    service: Service, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("service.api.messaging.sends.send", broken)
    monkeypatch.setattr("service.domain.keys.create_key", broken)
    content = {"body": 1} if "queues" in path else {"name": "k", "scopes": ["send"]}
    with structlog.testing.capture_logs([structlog.contextvars.merge_contextvars]) as logged:
        answer = await service.root.post(path, json=content)
    assert answer.status_code == 503
    [event] = [event for event in logged if event["event"] == "unforeseen_error"]
    assert event["request_id"] == answer.json()["request_id"]
