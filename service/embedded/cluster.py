"""One PostgreSQL cluster in a data folder, and the server that runs on it."""

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

from service.embedded import leftovers
from service.embedded.account import Account
from service.embedded.binaries import Binaries, find_binaries, reachable
from service.embedded.failure import CannotStart
from service.embedded.kept import kept
from service.embedded.lock import hold
from service.embedded.log import ServerLog
from service.embedded.socket_folder import forget, socket_folder

_log = structlog.get_logger()

SUPERUSER = "restante"
_CLUSTER = "postgres"
_PASSWORD = "database.password"  # noqa: S105 - the file of it
# Recovery after a crash replays up to max_wal_size of log.
_START_SECONDS = 300.0
_STOP_SECONDS = 20.0
_POLL_SECONDS = 0.02
_RESTART_SECONDS = 0.5

_SETTINGS = {
    "listen_addresses": "",
    # Relative to the cluster, where every process of the server stands.
    "unix_socket_directories": ".",
    "port": "5432",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
    "max_connections": "100",
    "shared_buffers": "256MB",
    "jit": "off",
    # Nobody replicates from an embedded server.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "autovacuum_naptime": "5s",
    "autovacuum_vacuum_cost_delay": "0",
    "idle_in_transaction_session_timeout": "60s",
    # On also for tests: without it the end of the server's processes would lose what was answered.
    "synchronous_commit": "on",
}
_DURABLE = {"fsync": "on", "full_page_writes": "on"}
# For tests: only the end of the machine loses anything.
_FAST = {"fsync": "off", "full_page_writes": "off"}


@contextlib.contextmanager
def running(folder: Path, *, binaries: Binaries | None = None, durable: bool = True) -> Iterator[str]:
    """Lock the data folder, which is made at the first time, run a server on it, and give its URL.

    Raises:
        CannotStart: with what to do about it.
    """
    with hold(folder), started(folder, binaries=binaries, durable=durable) as url:
        yield url


@contextlib.contextmanager
def started(folder: Path, *, binaries: Binaries | None = None, durable: bool = True) -> Iterator[str]:
    """Run a server on the data folder, whose lock the caller holds, and give its URL."""
    cluster = Cluster(folder, binaries=binaries, durable=durable)
    cluster.start()
    try:
        yield cluster.url
    finally:
        cluster.stop()
        forget(cluster.data)


class Cluster:
    """A server that a thread keeps running until it is stopped. The caller holds the folder's lock."""

    def __init__(self, folder: Path, *, binaries: Binaries | None, durable: bool) -> None:
        self.data = folder / _CLUSTER
        _check_owner(self.data)
        self._account = Account.of(self.data)
        self._binaries = reachable(binaries or find_binaries(_major(self.data)), self._account)
        self._durable = durable
        self._password = kept(folder / _PASSWORD)
        self.url = url_of(folder)
        self._log = ServerLog(folder / "postgres.log")
        self._process: subprocess.Popen[bytes] | None = None
        self._launching = threading.Lock()
        self._started = threading.Event()
        self._stopping = threading.Event()
        # The kernel ends the server when the thread that forked it ends, so that is one that stays.
        self._keeper = threading.Thread(target=self._keep, name="postgres", daemon=True)

    def start(self) -> None:
        """Make the cluster if there is none, and return when the server takes connections."""
        if not self.data.exists():
            _initialise(self.data, self._binaries, self._account, self._password, durable=self._durable)
        _hand_over(self.data, self._account)
        self._keeper.start()
        deadline = time.monotonic() + _START_SECONDS
        while not self._takes_connections():
            self._keeper.join(_POLL_SECONDS)
            if not self._keeper.is_alive() or time.monotonic() > deadline:
                self.stop()
                message = f"PostgreSQL does not start on {self.data}. It said:\n{self._log.last_lines()}"
                raise CannotStart(message)
        self._started.set()

    def stop(self) -> None:
        """End the server, in good order if that can be had in time."""
        with self._launching:
            self._stopping.set()
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            if not self._keeper.is_alive():
                return
            if self._process is not None:
                self._process.send_signal(number)
            self._keeper.join(_STOP_SECONDS)

    def _keep(self) -> None:
        """Run the server; one that dies after it once ran is started again."""
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
            _log.error("postgres_ended", code=code, next="it is started again")
            self._stopping.wait(_RESTART_SECONDS)

    def _launch(self) -> subprocess.Popen[bytes]:
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
        """Read the server's own note: the process id is its first line, its state the eighth."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        process = self._process
        return process is not None and len(lines) >= 8 and lines[0] == str(process.pid) and lines[7].strip() == "ready"


def url_of(folder: Path) -> str:
    """Return where the server on this data folder is reached, with the password in it."""
    password = kept(folder / _PASSWORD)
    return f"postgresql://{SUPERUSER}:{password}@/postgres?host={socket_folder(folder / _CLUSTER)}"


@contextlib.contextmanager
def _reachable(data: Path) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Give a path by which the server's account reaches the folder, and the descriptors it has to inherit for that.

    A descriptor that we opened leads there whatever the folders above are closed to. (To stand in the folder would do
    for PostgreSQL 16 and later; before, its programs leave their working directory and come back by its full path.)
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
    """Give a cluster that was copied by root to the server's account."""
    if account.other and data.stat().st_uid == 0:
        for folder, _, files in os.walk(data):
            for path in (Path(folder), *(Path(folder, name) for name in files)):
                account.own(path)


def _major(data: Path) -> int | None:
    """Return the version of PostgreSQL that made the cluster, which alone can run it."""
    try:
        return int((data / "PG_VERSION").read_text())
    except FileNotFoundError:
        return None


def _initialise(data: Path, binaries: Binaries, account: Account, password: str, *, durable: bool) -> None:
    """Make the cluster under another name first, so that it is there as a whole or not at all."""
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
        # It is opened anew by its path, with the rights of the account.
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
        message = f"PostgreSQL could not make a cluster in {data}. It said:\n{said.decode(errors='replace')}"
        raise CannotStart(message)
    unfinished.rename(data)
