"""Start the service from its settings: socket, database, keys, schema, processes."""

import asyncio
import contextlib
import errno
import gc
import os
import resource
import shlex
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import asyncpg
import structlog
import uvicorn
import uvloop

from service import embedded, log, tracing
from service.api.http.protocol import Find, Protocol
from service.api.http.websocket_protocol import WebSocketProtocol
from service.banner import address, banner
from service.main import App, create_app
from service.model import MAX_REQUEST_BYTES
from service.prompt_server import PromptServer
from service.settings import Deployment, Settings
from service.starting import Waiting, waiting
from service.store.database import pooler
from service.store.database.connections import DISK_FULL
from service.store.database.schema import check, current, head
from service.store.database.secret_keys import claim
from service.store.store import SESSIONS
from service.supervisor import Supervisor

_log = structlog.get_logger()

_BACKLOG = 2048
_DRAIN_SECONDS = 25
_RETRY_SECONDS = 1.0
# Failed attempts to reach the database are logged at exponentially growing intervals, up to this many attempts.
_MAX_UNLOGGED_ATTEMPTS = 64
# Errors of the database that are temporary, so that the start waits and retries.
_TEMPORARY_ERRORS = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.DiskFullError,
)
# The limit on open files that is set if the system allows more.
_MAX_OPEN_FILES = 65_536
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def protocols(settings: Settings, find: Find | None = None) -> dict[str, Any]:
    """Return uvicorn's configuration of the protocols. `find` returns the hot operation of a request."""
    return {
        "interface": "asgi3",
        "lifespan": "on",
        "http": partial(Protocol, find=find),
        "timeout_keep_alive": settings.keep_alive,
        "headers": [("keep-alive", f"timeout={settings.keep_alive:.0f}")],
        "ws": WebSocketProtocol,
        "ws_max_size": MAX_REQUEST_BYTES,
        # Compression would cost 64 KB of memory for each connection. Pings detect clients that are gone.
        "ws_per_message_deflate": False,
        "ws_ping_interval": 20,
        "ws_ping_timeout": 20,
    }


class CannotServe(Exception):  # noqa: N818 - named after what happened
    """The service cannot start. The text tells the operator what to do."""


def serve(settings: Settings) -> int:
    """Run until a signal stops the service, and return the exit code.

    Raises CannotServe, CannotStart, SchemaMismatch or WrongSecretKey, with a sentence that says what to do.
    """
    log.configure(settings)
    tracing.check()
    allow_connections()
    with contextlib.ExitStack() as stack:
        if settings.database_url is None:
            # Before the socket, so that a second start reports the running service rather than a port in use.
            stack.enter_context(embedded.hold(settings.data_dir))
        listener = stack.enter_context(listen(settings.host, settings.port))
        with waiting(listener, protocols(settings)) as answering:
            deployment = resolve(settings, stack.enter_context(database(settings)))
            asyncio.run(prepare(deployment, answering))

        announcing = partial(announce, deployment, listener)
        if settings.processes == 1:
            return run(deployment, listener, announcing)
        return Supervisor(_work, (deployment, listener), announcing).run(settings.processes)


def announce(deployment: Deployment, listener: socket.socket) -> None:
    """Announce that the service answers: as text for people with the key, or as a log line without it."""
    at_terminal = sys.stdout.isatty()
    if at_terminal or log.is_text(deployment.settings):
        shown = at_terminal or deployment.root_key_is_new
        print(banner(deployment, listener, show_key=shown), flush=True)  # noqa: T201 - meant for the terminal
    else:
        _log.info("serving", url=address(listener), root_key=deployment.root_key_source)


def allow_connections() -> None:
    """Raise the limit on open files for this process and its children, because shells allow only 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _MAX_OPEN_FILES)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    # Some systems enforce a lower limit than they report.
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


@contextlib.contextmanager
def database(settings: Settings) -> Iterator[str]:
    """Yield the URL of the operator's database, or start the embedded one meanwhile. The caller holds its lock."""
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value()
        return
    # PG* variables describe another database, and the database drivers would use them.
    for name in [name for name in os.environ if name.startswith("PG")]:
        del os.environ[name]
    with embedded.started(settings.data_dir) as url:
        yield url


def resolve(settings: Settings, database_url: str) -> Deployment:
    """Return the settings together with the keys, which the first start creates. Raises CannotServe."""
    if settings.secret_key is None and settings.database_url is not None:
        message = (
            "RESTANTE_SECRET_KEY is required with RESTANTE_DATABASE_URL: it signs receipts and cursors, so every "
            "process on that database needs the same one. Create it once, for example with `openssl rand -base64 32`."
        )
        raise CannotServe(message)
    direct_url = settings.database_direct_url
    kept = settings.data_dir.absolute() / embedded.ROOT_KEY
    return Deployment(
        settings=settings,
        database_url=database_url,
        database_direct_url=direct_url.get_secret_value() if direct_url else database_url,
        root_key_is_new=settings.root_key is None and not kept.exists(),
        root_key_source=_root_key_source(settings, settings.root_key_file or kept),
        root_key=root_key(settings),
        secret_keys=secret_keys(settings),
    )


def _root_key_source(settings: Settings, file: Path) -> str:
    """Return a shell expression for the root key."""
    if settings.root_key is not None and settings.root_key_file is None:
        return "$RESTANTE_ROOT_KEY"
    return f"$(cat {shlex.quote(str(file))})"


def secret_keys(settings: Settings) -> tuple[bytes, ...]:
    """Return the secret key, which is created if needed, followed by the former ones."""
    current = settings.secret_key.get_secret_value() if settings.secret_key else _kept(settings, embedded.SECRET_KEY)
    return (current.encode(), *(key.get_secret_value().encode() for key in settings.secret_keys_old))


def root_key(settings: Settings) -> str:
    """Return the root key from the settings or the data folder, where it is created if needed."""
    return settings.root_key.get_secret_value() if settings.root_key else _kept(settings, embedded.ROOT_KEY, "root_")


def known_root_key(settings: Settings) -> str:
    """Return the root key for a command that calls a running service. Raises CannotServe if there is none."""
    if settings.root_key is None and not (settings.data_dir / embedded.ROOT_KEY).exists():
        message = (
            f"There is no root key in {settings.data_dir}. Set RESTANTE_ROOT_KEY or RESTANTE_DATA_DIR as for the "
            "service."
        )
        raise CannotServe(message)
    return root_key(settings)


def _kept(settings: Settings, name: str, prefix: str = "") -> str:
    try:
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        return embedded.kept(settings.data_dir / name, prefix)
    except OSError as error:
        message = (
            f"Cannot store {name} in {settings.data_dir} ({error.strerror}). Set RESTANTE_DATA_DIR to a writable "
            "folder, or set the key in the environment."
        )
        raise CannotServe(message) from error


async def prepare(deployment: Deployment, answering: Waiting) -> None:
    """Wait for the database without a time limit, and upgrade or check its schema.

    Raises:
        CannotServe: The database refuses the login, or its pooler is not suitable.
        SchemaMismatch: The schema is of another version, and upgrading it is disabled or impossible.
        WrongSecretKey: The database uses another secret key.
    """
    see_to_schema = _migrate if deployment.settings.auto_migrate else check
    attempts_until_logged = log_interval = 1
    while True:
        try:
            await _check_pooler(deployment)
            await see_to_schema(deployment.database_direct_url)
            await claim(deployment.database_direct_url, deployment.secret_keys)
        except _TEMPORARY_ERRORS as error:
            answering.reason = _database_problem(error)
            attempts_until_logged -= 1
            if attempts_until_logged == 0:
                _log.warning("database_awaited", reason=answering.reason, error=str(error))
                attempts_until_logged = log_interval = min(2 * log_interval, _MAX_UNLOGGED_ATTEMPTS)
            await asyncio.sleep(_RETRY_SECONDS)
        except (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError, ValueError) as error:
            message = f"The database refuses the login with RESTANTE_DATABASE_URL: {error}"
            raise CannotServe(message) from error
        else:
            return


async def _migrate(url: str) -> None:
    """Upgrade the schema if it is not the one that this version works with. Raises SchemaMismatch."""
    if await current(url) != head():
        from service.store.database.migrate import migrate  # noqa: PLC0415 - most starts do not need it, see `schema`

        await migrate(url)


async def _check_pooler(deployment: Deployment) -> None:
    """Raise CannotServe if the database is only reachable through a pooler that is not suitable."""
    settings = deployment.settings
    if settings.database_url is None or settings.database_direct_url is not None:
        return
    try:
        await pooler.check(deployment.database_url, SESSIONS * settings.processes)
    except pooler.UnfitPooler as error:
        raise CannotServe(str(error)) from error


def _database_problem(error: Exception) -> str:
    if isinstance(error, asyncpg.CannotConnectNowError):
        return "The database is starting or recovering."
    if isinstance(error, asyncpg.TooManyConnectionsError):
        return "The database has no connections left."
    if isinstance(error, asyncpg.DiskFullError):
        return DISK_FULL
    return "The database cannot be reached. Check that it is running and that RESTANTE_DATABASE_URL is right."


@contextlib.contextmanager
def listen(host: str, port: int) -> Iterator[socket.socket]:
    """Open the listening socket that all processes share.

    Raises CannotServe if the address does not belong to this machine or the port is in use.
    """
    try:
        families = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = min(families, key=lambda found: found[0] != socket.AF_INET)
        both = host == "::" and socket.has_dualstack_ipv6()
        listener = socket.create_server(address[:2], family=family, backlog=_BACKLOG, dualstack_ipv6=both)
    except OSError as error:
        raise CannotServe(_listen_error(error, host, port)) from error
    with listener:
        yield listener


def _listen_error(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} on {host} is in use. Stop the other program, or set RESTANTE_PORT; 0 selects a free port."
    if error.errno == errno.EACCES:
        return f"Only root can use port {port}. Set RESTANTE_PORT to a port above 1023."
    return f"Cannot listen on {host} port {port} ({error.strerror}). Set RESTANTE_HOST to an address of this machine."


def run(deployment: Deployment, listener: socket.socket, announce: Callable[[], None]) -> int:
    """Serve in this process until a signal stops it, and return the exit code."""
    server = _Server(create_app(deployment), deployment.settings, announce)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(server.serve(sockets=[listener]))
    except SystemExit:
        # uvicorn's startup failed; the application has logged the reason.
        return 1
    return 0


def _tune_garbage_collection() -> None:
    """Exclude permanent objects from garbage collection, and run it less often.

    A request creates about fifty objects and no reference cycles. With the default threshold, collections would take
    2.5 % of the time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def _work(deployment: Deployment, listener: socket.socket, serving: Connection) -> None:
    """Run a worker process."""
    log.configure(deployment.settings)
    raise SystemExit(run(deployment, listener, lambda: serving.send_bytes(b"1")))


class _Server(PromptServer):
    """uvicorn with signal handlers that drain waiting receives before it stops."""

    def __init__(self, app: App, settings: Settings, announce: Callable[[], None]) -> None:
        self._app = app
        self._announce = announce
        super().__init__(
            uvicorn.Config(
                app,
                **protocols(settings, app.find),
                access_log=False,
                log_config=None,
                proxy_headers=False,
                server_header=False,
                backlog=_BACKLOG,
                timeout_graceful_shutdown=_DRAIN_SECONDS,
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Announce the service after a successful startup."""
        await super().startup(sockets)
        if self.started:
            _tune_garbage_collection()
            self._announce()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals in the event loop.

        uvicorn's implementation raises the signal again at the end, which would end the process before the embedded
        database is stopped.
        """
        loop = asyncio.get_running_loop()
        for number in _STOP_SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                loop.add_signal_handler(number, self._stop, number)
        yield

    def _stop(self, number: signal.Signals) -> None:
        """Drain and stop on the first signal; on a second Ctrl-C, stop without waiting for running requests.

        Only Ctrl-C counts as a second signal: when the supervisor ends, a worker can get several SIGTERM, one for each
        of the supervisor's threads.
        """
        self._app.drain()
        self.force_exit = self.should_exit and number == signal.SIGINT
        self.stop()
