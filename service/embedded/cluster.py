"""The PostgreSQL cluster in a data folder, and its server."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import structlog

from service.embedded import ballast, leftovers
from service.embedded.account import Account
from service.embedded.binaries import Binaries, find_binaries, reachable
from service.embedded.failure import CannotStart
from service.embedded.kept import kept
from service.embedded.lock import hold
from service.embedded.log import ServerLog
from service.embedded.socket_folder import forget, socket_folder

_log = structlog.get_logger()

SUPERUSER = "restante"
DATA = "postgres"
_PASSWORD = "database.password"  # noqa: S105 - a file name
# Recovery after a crash replays up to max_wal_size of log.
_START_SECONDS = 300.0
_STOP_SECONDS = 20.0
_POLL_SECONDS = 0.02
_RESTART_SECONDS = 0.5

_SETTINGS = {
    "listen_addresses": "",
    # Relative to the cluster's folder, which is the working directory of all server processes.
    "unix_socket_directories": ".",
    "port": "5432",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
    "max_connections": "100",
    "shared_buffers": "256MB",
    "jit": "off",
    # The embedded server has no replicas.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "autovacuum_naptime": "5s",
    "autovacuum_vacuum_cost_delay": "0",
    "idle_in_transaction_session_timeout": "60s",
    # Needed in tests too: otherwise a crash of the server's processes would lose acknowledged data.
    "synchronous_commit": "on",
}
_DURABLE = {"fsync": "on", "full_page_writes": "on"}
# For tests: data is lost only if the machine crashes.
_FAST = {"fsync": "off", "full_page_writes": "off"}


@contextlib.contextmanager
def running(folder: Path, *, binaries: Binaries | None = None, durable: bool = True) -> Iterator[str]:
    """Lock the data folder, creating it if needed, run a server on it, and yield its URL.

    Raises CannotStart with a sentence that says what to do.
    """
    with hold(folder), started(folder, binaries=binaries, durable=durable) as url:
        yield url


@contextlib.contextmanager
def started(folder: Path, *, binaries: Binaries | None = None, durable: bool = True) -> Iterator[str]:
    """Run a server on the data folder and yield its URL. The caller holds the folder's lock."""
    cluster = Cluster(folder, binaries=binaries, durable=durable)
    cluster.start()
    try:
        yield cluster.url
    finally:
        cluster.stop()
        forget(cluster.data)


class Cluster:
    """A server that a thread restarts until it is stopped. The caller holds the folder's lock."""

    def __init__(self, folder: Path, *, binaries: Binaries | None, durable: bool) -> None:
        self.data = folder / DATA
        _check_owner(self.data)
        self._account = Account.of(self.data)
        self._binaries = reachable(binaries or find_binaries(major_of(folder)), self._account)
        self._durable = durable
        self._password = kept(folder / _PASSWORD)
        self.url = url_of(folder)
        self._log = ServerLog(folder / "postgres.log")
        self._ballast = folder / "ballast"
        self._process: subprocess.Popen[bytes] | None = None
        self._launching = threading.Lock()
        self._started = threading.Event()
        self._stopping = threading.Event()
        # The kernel stops the server when the thread that forked it ends, so this thread must keep running.
        self._keeper = threading.Thread(target=self._keep, name="postgres", daemon=True)

    def start(self) -> None:
        """Create the cluster if there is none, and return when the server accepts connections. Raises CannotStart."""
        if not self.data.exists():
            _initialise(self.data, self._binaries, self._account, self._password, durable=self._durable)
        _hand_over(self.data, self._account)
        self._keeper.start()
        deadline = time.monotonic() + _START_SECONDS
        while not self._takes_connections():
            self._keeper.join(_POLL_SECONDS)
            if not self._keeper.is_alive() or time.monotonic() > deadline:
                self.stop()
                message = f"PostgreSQL does not start on {self.data}. Its log ends with:\n{self._log.last_lines()}"
                raise CannotStart(message)
        self._started.set()
        if self._durable:
            ballast.take_room(self._ballast)

    def stop(self) -> None:
        """Stop the server: in an orderly way if possible, otherwise by force after some time."""
        with self._launching:
            self._stopping.set()
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            if not self._keeper.is_alive():
                return
            if self._process is not None:
                self._process.send_signal(number)
            self._keeper.join(_STOP_SECONDS)

    def _keep(self) -> None:
        """Run the server, and restart it if it exits after it has started successfully."""
        while True:
            leftovers.clear(self.data)
            with self._launching:
                if self._stopping.is_set():
                    return
                self._process = process = self._launch()
            assert process.stderr is not None  # noqa: S101 - it was asked for
            self._log.follow(process.stderr)
            code = process.wait()
            process.stderr.close()
            if self._stopping.is_set() or not self._started.is_set():
                return
            _log.error("postgres_ended", code=code, next="the server is restarted")
            self._stopping.wait(_RESTART_SECONDS)

    def _launch(self) -> subprocess.Popen[bytes]:
        ballast.give_way(self._ballast)
        settings = _SETTINGS | (_DURABLE if self._durable else _FAST)
        if self._binaries.has_lz4:
            settings["wal_compression"] = "lz4"
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with _reachable(self.data) as (path, descriptors):
            return self._account.popen(
                [self._binaries.folder / "postgres", "-D", path, *options],
                ends_with_us=True,
                pass_fds=descriptors,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )

    def _takes_connections(self) -> bool:
        """Return whether the server is ready: line 1 of postmaster.pid is its process id, line 8 its state."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        process = self._process
        return process is not None and len(lines) >= 8 and lines[0] == str(process.pid) and lines[7].strip() == "ready"


def url_of(folder: Path) -> str:
    """Return the URL of the server on this data folder, including the password."""
    password = kept(folder / _PASSWORD)
    return f"postgresql://{SUPERUSER}:{password}@/postgres?host={socket_folder(folder / DATA)}"


def environment_of(folder: Path) -> dict[str, str]:
    """Return the same for PostgreSQL's programs as environment variables, which hide the password from other users."""
    return {
        "PGHOST": str(socket_folder(folder / DATA)),
        "PGPORT": "5432",
        "PGUSER": SUPERUSER,
        "PGPASSWORD": kept(folder / _PASSWORD),
        "PGDATABASE": "postgres",
    }


def is_made(folder: Path) -> bool:
    """Return whether a data folder has a database."""
    return (folder / DATA).exists()


def major_of(folder: Path) -> int | None:
    """Return the major version that created the cluster and that its server must have; None if there is no cluster."""
    try:
        return int((folder / DATA / "PG_VERSION").read_text())
    except FileNotFoundError:
        return None


@contextlib.contextmanager
def _reachable(data: Path) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield a path by which the server's account can access the folder, and the file descriptors that it must inherit.

    A descriptor opened by this process gives access even if the parent folders are closed to the account. Starting the
    server in the folder would be sufficient only for PostgreSQL 16 and later; earlier versions change the working
    directory and return by its full path.
    """
    if sys.platform != "linux":
        yield str(data.resolve()), ()
        return
    descriptor = os.open(data, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}", (descriptor,)
    finally:
        os.close(descriptor)


def _check_owner(data: Path) -> None:
    if data.exists() and os.geteuid() not in (0, owner := data.stat().st_uid):
        message = (
            f"The database in {data} belongs to the account with the id {owner}. Start Restante as that account, "
            "or set RESTANTE_DATA_DIR to another folder."
        )
        raise CannotStart(message)


def _hand_over(data: Path, account: Account) -> None:
    """Make the server's account the owner of a cluster that root has copied here."""
    if account.other and data.stat().st_uid == 0:
        for folder, _, files in os.walk(data):
            for path in (Path(folder), *(Path(folder, name) for name in files)):
                account.own(path)


def _initialise(data: Path, binaries: Binaries, account: Account, password: str, *, durable: bool) -> None:
    """Create the cluster under a temporary name and rename it, so that it exists completely or not at all."""
    unfinished = data.with_name(f"{data.name}.new")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    account.own(unfinished)
    locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"] if binaries.major >= 17 else []
    options = [
        *("-U", SUPERUSER, "--auth=scram-sha-256", "--pwfile=/dev/stdin", "--no-instructions"),
        *("--encoding=UTF8", "--locale=C", *locale),
        *([] if durable else ["--no-sync"]),
    ]
    reader, writer = os.pipe()
    if account.other:
        # initdb opens /dev/stdin again, with the permissions of the account.
        os.fchown(reader, account.uid, account.gid)
    with (
        _reachable(unfinished) as (path, descriptors),
        os.fdopen(reader, "rb") as source,
        os.fdopen(writer, "wb") as sink,
    ):
        process = account.popen(
            [binaries.folder / "initdb", "-D", path, *options],
            pass_fds=descriptors,
            stdin=source,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        sink.write(f"{password}\n".encode())
    said, _ = process.communicate()
    if process.returncode != 0:
        message = f"PostgreSQL could not create a cluster in {data}. It reported:\n{said.decode(errors='replace')}"
        raise CannotStart(message)
    unfinished.rename(data)
