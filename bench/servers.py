"""Starting and stopping the servers that are measured: Restante from this checkout, and its peers."""

import contextlib
import http.client
import json
import os
import resource
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bench import scripts
from bench.load import BUILD, Load, Running, begin, build

ROOT = Path(__file__).parent.parent
PEERS = Path(__file__).parent / "peers"
LOCKS = {"bench": ROOT / "requirements-bench.lock", "ministack": PEERS / "ministack.lock"}
START_SECONDS = 60
STOP_SECONDS = 40


@dataclass(frozen=True)
class Server:
    """A server under measurement, on 127.0.0.1."""

    name: str
    port: int
    pid: int
    headers: tuple[str, ...] = ()

    def load(self, script: str, *, connections: int, seconds: float, **more: Any) -> Load:
        """Put load on the server and wait for the end; the result includes the processor time of its process."""
        began, before = time.monotonic(), cpu_seconds(self.pid)
        seen = self.begin_load(script, connections=connections, seconds=seconds, **more).finish()
        return replace(seen, server_cpu=(cpu_seconds(self.pid) - before) / (time.monotonic() - began))

    def begin_load(self, script: str, *, connections: int, seconds: float, **more: Any) -> Running:
        """Start to put load on the server."""
        return begin(script, port=self.port, connections=connections, seconds=seconds, headers=self.headers, **more)

    def request(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Make one request on a connection of its own; return the status and the decoded answer."""
        status, content = self._exchange(method, path, body)
        return status, json.loads(content) if content else None

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """Make one request that must succeed; return the decoded answer."""
        status, answer = self.request(method, path, body)
        if status >= 300:
            message = f"{self.name}: {method} {path} answered {status}: {answer}"
            raise RuntimeError(message)
        return answer

    def text(self, path: str) -> str:
        """Return the answer to a GET as text."""
        return self._exchange("GET", path)[1].decode()

    def _exchange(self, method: str, path: str, body: object = None) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = dict(header.split(": ", 1) for header in self.headers)
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        response = connection.getresponse()
        content = response.read()
        connection.close()
        return response.status, content

    @contextlib.contextmanager
    def queue(self, name: str, **config: object) -> Iterator[str]:
        """Create a queue for one measurement, and delete it afterwards."""
        self.ask("PUT", f"/v1/queues/{name}", config)
        yield name
        self.request("DELETE", f"/v1/queues/{name}")

    def fill(self, queue: str, messages: int, *, groups: int = 0) -> float:
        """Store `messages` messages, spread over groups; return how many per second were stored."""
        size = 20 if groups else 1000
        seen = self.load(
            scripts.batch_send(size, '"group":"$random",' if groups else ""),
            connections=4,
            seconds=600,
            warm_up=0,
            cycles=messages // size,
            spread=max(groups, 1),
            values={"queue": queue},
        )
        if seen.troubles("fill"):
            raise RuntimeError(seen.troubles("fill"))
        return seen.rate * size


@dataclass(frozen=True)
class Service(Server):
    """Restante with its embedded PostgreSQL, or one more process on the same database."""

    data_dir: Path = Path()
    secret_key: str = ""

    @property
    def database_url(self) -> str:
        """The URL of the embedded PostgreSQL."""
        return embedded_url(self.data_dir)


def embedded_url(data_dir: Path) -> str:
    """Return the URL of the embedded PostgreSQL of a service, from its data folder."""
    cluster = data_dir / "postgres"
    password = (data_dir / "database.password").read_text().strip()
    # The fifth line of postmaster.pid is the folder of its socket, seen from the cluster.
    folder = cluster / (cluster / "postmaster.pid").read_text().splitlines()[4]
    return f"postgresql://restante:{quote(password)}@/postgres?host={quote(str(folder.resolve()))}"


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a process so far, in user mode and in the kernel."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    """Return a port that is not in use."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def raise_open_files() -> None:
    """Raise the limit on open files as far as allowed; the servers inherit it."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _wait(process: subprocess.Popen[bytes], name: str, port: int, ready: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not _answers(port, ready):
        if process.poll() is not None or time.monotonic() > deadline:
            message = f"{name} did not start: {log.read_text(errors='replace')[-2000:]}"
            raise RuntimeError(message)
        time.sleep(0.05)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextlib.contextmanager
def running(
    name: str, command: Sequence[str | Path], port: int, *, ready: str = "/", variables: dict[str, str] | None = None
) -> Iterator[int]:
    """Start a server, wait until it answers, yield its process id, and stop it at the end."""
    log = Path(tempfile.mkstemp(prefix=f"bench-{name}-", suffix=".log")[1])
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env=os.environ | (variables or {}),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=ROOT,
        )
    try:
        _wait(process, name, port, ready, log)
        yield process.pid
    finally:
        _stop(process)
        log.unlink()


@contextlib.contextmanager
def restante(beside: Service | None = None) -> Iterator[Service]:
    """Start the service on a new data folder, or `beside` another one, on the same database."""
    port, root_key = free_port(), secrets.token_urlsafe(24)
    secret_key = beside.secret_key if beside else secrets.token_urlsafe(32)
    # Not below a folder that only root can enter, because the embedded PostgreSQL runs as an ordinary user.
    data_dir = Path(tempfile.mkdtemp(prefix="restante-bench-"))
    variables = {
        "RESTANTE_DATA_DIR": str(data_dir),
        "RESTANTE_PORT": str(port),
        "RESTANTE_ROOT_KEY": root_key,
        "RESTANTE_SECRET_KEY": secret_key,
        "RESTANTE_LOG_LEVEL": "warning",
        "RESTANTE_PUSH_ALLOW": "127.0.0.0/8",
    }
    if beside:
        variables["RESTANTE_DATABASE_URL"] = beside.database_url
    command: list[str | Path] = [Path(sys.executable).parent / "restante", "serve"]
    try:
        with running("restante", command, port, ready="/readyz", variables=variables) as pid:
            yield Service("restante", port, pid, (f"Authorization: Bearer {root_key}",), data_dir, secret_key)
    finally:
        shutil.rmtree(data_dir, ignore_errors=True)


def _peer(name: str, port: int, python: str | Path = sys.executable) -> list[str | Path]:
    return [python, PEERS / f"{name}.py", str(port)]


@contextlib.contextmanager
def noop() -> Iterator[Server]:
    """Start the FastAPI endpoint that does nothing."""
    port = free_port()
    with running("noop", _peer("noop", port), port) as pid:
        yield Server("noop", port, pid, ("Content-Type: application/json",))


@contextlib.contextmanager
def plain(database_url: str) -> Iterator[Server]:
    """Start the plain FastAPI queue on a PostgreSQL."""
    port = free_port()
    variables = {"PLAIN_DATABASE_URL": database_url}
    with running("plain", _peer("plain", port), port, variables=variables) as pid:
        yield Server("plain", port, pid, ("Content-Type: application/json",))


@contextlib.contextmanager
def receiver() -> Iterator[Server]:
    """Start the receiver of webhooks that has a quick and a slow path."""
    port = free_port()
    with running("receiver", _peer("receiver", port), port) as pid:
        yield Server("receiver", port, pid)


SQS_HEADERS = (
    "Content-Type: application/x-amz-json-1.0",
    "Authorization: AWS4-HMAC-SHA256 Credential=bench/20260101/us-east-1/sqs/aws4_request, Signature=0",
)


@contextlib.contextmanager
def moto() -> Iterator[Server]:
    """Start moto's SQS server."""
    port = free_port()
    with running("moto", _peer("moto_sqs", port, environment("bench")), port, ready="/moto-api/") as pid:
        yield Server("moto", port, pid, SQS_HEADERS)


@contextlib.contextmanager
def ministack() -> Iterator[Server]:
    """Start MiniStack's SQS server."""
    port = free_port()
    with running("ministack", _peer("ministack_sqs", port, environment("ministack")), port) as pid:
        yield Server("ministack", port, pid, SQS_HEADERS)


@contextlib.contextmanager
def responder() -> Iterator[Server]:
    """Start the C program that answers everything."""
    port = free_port()
    with running("responder", [build("responder"), str(port)], port) as pid:
        yield Server("responder", port, pid)


def environment(name: str) -> Path:
    """Return the Python of a virtual environment of the bench, which is created from its lock file if need be."""
    folder, lock = BUILD / f"{name}-venv", LOCKS[name]
    python, stamp = folder / "bin/python", folder / "installed"
    if stamp.exists() and stamp.read_text() == lock.read_text():
        return python
    subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
    pip: list[str | Path] = [python, "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    subprocess.run([*pip, "--require-hashes", "-r", lock], check=True)
    stamp.write_text(lock.read_text())
    return python
