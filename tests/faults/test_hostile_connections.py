"""Whoever has no key cannot cost others anything: not memory, not time, not the end of the process."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from tests.api.http.raw_forms import HANDSHAKE
from tests.conftest import created
from tests.faults.conftest import SHARED
from tests.serving import Serving, serving

pytestmark = pytest.mark.timeout(120)

MIB = 1024 * 1024
_HOST = b"Host: a\r\n"
_CHUNKED = b"POST /v1/queues/q/raw HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
_OFFER = "\r\n".join(HANDSHAKE).encode() + b"\r\n"

# What is said first, and then again and again, if anything.
ENDLESS = {
    "a request line": (b"GET /", b"a" * 65536),
    "a header": (b"GET / HTTP/1.1\r\nX: ", b"a" * 65536),
    "headers": (b"GET / HTTP/1.1\r\n", b"X-Header: value\r\n" * 4096),
    "blank lines": (b"", b"\r\n" * 32768),
    "a trailer": (_CHUNKED + b"0\r\nX: ", b"a" * 65536),
    "trailers": (_CHUNKED + b"0\r\n", b"X-Trailer: value\r\n" * 4096),
    "a chunk's extension": (_CHUNKED + b"1;", b"a" * 65536),
    "chunks": (_CHUNKED, b"10000\r\n" + b"a" * 65536 + b"\r\n"),
    "a body": (b"POST /v1/queues/q/raw HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999999\r\n\r\n", b"a" * 65536),
    "requests": (b"", b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n" * 2000),
    "requests of a large page": (b"", b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n" * 1000),
}
QUIET = {
    "nothing": b"",
    "half a head": b"GET / HTTP/1.1\r\nHos",
    "half a body": b"PUT /v1/queues/q HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n{",
    "half a chunk": _CHUNKED + b"5\r\nab",
    "a body that was promised": b"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n",
    "an upgrade with a body": b"POST / HTTP/1.1\r\nHost: a\r\n" + _OFFER + b"Content-Length: 1\r\n\r\nx",
    "an upgrade that is not finished": b"GET /v1/queues/q/stream HTTP/1.1\r\nHost: a\r\n" + _OFFER,
    "a WebSocket without a key": b"GET /v1/queues/q/stream HTTP/1.1\r\nHost: a\r\n" + _OFFER + b"\r\n",
    "a large page that is not read": b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n" * 50,
    "a client of Socket.IO": b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: a\r\n" + _OFFER + b"\r\n",
    "a poll of Socket.IO": b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: a\r\n\r\n",
}


@pytest.fixture(scope="module")
def standing(postgres: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """Start one service for all floods, which have to leave it as it was."""
    for database in created(postgres, template):
        with serving(tmp_path_factory.mktemp("standing"), database_url=database, **SHARED) as service:
            yield service


@contextlib.contextmanager
def connected(service: Serving) -> Iterator[socket.socket]:
    """Give a connection that reads nothing."""
    address = urlsplit(service.url)
    with socket.create_connection((address.hostname, address.port)) as client:
        client.settimeout(5)
        yield client


def flood(client: socket.socket, piece: bytes, total: int, *, seconds: float = 15) -> int:
    """Send until so much is sent, the service has ended the connection, or does not read any more; return how much."""
    sent, until = 0, time.monotonic() + seconds
    client.settimeout(min(2, seconds))
    with contextlib.suppress(OSError):
        while sent < total and time.monotonic() < until:
            sent += client.send(piece)
    return sent


@pytest.mark.alone
@pytest.mark.parametrize("name", ENDLESS)
def test_what_does_not_end_takes_no_memory_and_holds_up_nobody(standing: Serving, name: str) -> None:
    first, piece = ENDLESS[name]
    process = psutil.Process(standing.process.pid)
    with standing.client() as other:
        other.get("/healthz")
        with connected(standing) as rehearsal:
            rehearsal.sendall(first)
            flood(rehearsal, piece, MIB)
        before = process.memory_info().rss
        with connected(standing) as client:
            client.sendall(first)
            flooding = threading.Thread(target=flood, args=(client, piece, 300 * MIB))
            flooding.start()
            times = []
            while flooding.is_alive():
                began = time.monotonic()
                assert other.get("/healthz").status_code == 200
                times.append(time.monotonic() - began)
                time.sleep(0.01)
        assert process.memory_info().rss - before < 30 * MIB
        assert max(times) < 1


class _Receiver(BaseHTTPRequestHandler):
    """A webhook's far end that takes its time."""

    taken = threading.Event()
    finished = threading.Event()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        type(self).taken.set()
        time.sleep(2)
        self.send_response(200)
        self.end_headers()
        type(self).finished.set()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def receiver() -> Iterator[str]:
    _Receiver.taken.clear()
    _Receiver.finished.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), _Receiver) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()


@pytest.mark.parametrize("processes", ["1", "2"])
def test_whatever_sockets_are_open_a_process_that_is_told_to_stop_ends_cleanly_and_in_time(
    database: str, data_folder: Path, capfd: pytest.CaptureFixture[str], processes: str
) -> None:
    settings = {"database_url": database, "processes": processes, "push_allow": "127.0.0.0/8"} | SHARED
    with receiver() as url, serving(data_folder, **settings) as service, contextlib.ExitStack() as open_sockets:
        with service.client() as client:
            client.put("/v1/queues/q").raise_for_status()
            client.put("/v1/queues/pushed").raise_for_status()
            client.put("/v1/queues/pushed/webhooks/w", json={"url": url}).raise_for_status()
            for first in QUIET.values():
                open_sockets.enter_context(connected(service)).sendall(first)
            for first, piece in ENDLESS.values():
                hostile = open_sockets.enter_context(connected(service))
                hostile.sendall(first)
                flood(hostile, piece, 4 * MIB, seconds=0.2)
            client.post("/v1/queues/pushed/messages", json={"body": 1}).raise_for_status()
            assert _Receiver.taken.wait(10)
        began = time.monotonic()
        assert service.stop(30) == 0
        assert time.monotonic() - began < 15
        assert _Receiver.finished.is_set()
    logged = capfd.readouterr().err.splitlines()
    # Socket.IO's library tells of the first client that speaks it wrongly, and of no other.
    told = [line for line in logged if "further occurrences" not in line]
    assert not [line for line in told if any(word in line for word in ("error", "Traceback", "critical"))], told
    with serving(data_folder, **settings) as again, again.client() as client:
        assert client.get("/v1/queues/pushed").json()["stats"]["total"] == 0
