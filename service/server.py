"""From settings to a service that answers: database, keys, schema, socket, processes."""

import asyncio
import contextlib
import errno
import gc
import os
import resource
import signal
import socket
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Any

import asyncpg
import structlog
import uvicorn
import uvloop

from service import embedded, log
from service.api.protocol import Protocol
from service.api.websocket_protocol import WebSocketProtocol
from service.banner import banner
from service.main import App, create_app
from service.model import MAX_REQUEST_BYTES
from service.settings import Deployment, Settings
from service.store.migrate import check, migrate
from service.supervisor import Supervisor

_log = structlog.get_logger()

_BACKLOG = 2048
_KEEP_ALIVE_SECONDS = 10
_DRAIN_SECONDS = 25
_DATABASE_SECONDS = 30.0
# Where the administrator has set no bound, or one in the millions.
_MOST_FILES = 65_536
# What the service speaks, for uvicorn. Pings show that a stream's far end lives; deflate would cost each 64 KB.
PROTOCOLS: dict[str, Any] = {
    "interface": "asgi3",
    "http": Protocol,
    "ws": WebSocketProtocol,
    "ws_max_size": MAX_REQUEST_BYTES,
    "ws_per_message_deflate": False,
    "ws_ping_interval": 20,
    "ws_ping_timeout": 20,
    "lifespan": "on",
}
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class CannotServe(Exception):  # noqa: N818 - it says what happened
    """The service cannot start; the sentence is for the operator and says what to do."""


def serve(settings: Settings) -> int:
    """Run until a signal ends it; return the exit code.

    Raises:
        CannotServe, CannotStart, SchemaMismatch: with what to do about it.
    """
    log.configure(settings)
    allow_connections()
    with contextlib.ExitStack() as stack:
        if settings.database_url is None:
            # First of all: a second start has to hear that one runs, not that its port is taken.
            stack.enter_context(embedded.hold(settings.data_dir))
        listener = stack.enter_context(listen(settings.host, settings.port))
        deployment = resolve(settings, stack.enter_context(database(settings)))
        asyncio.run(prepare(deployment))

        def announce() -> None:
            print(banner(deployment, listener), flush=True)  # noqa: T201 - what a first user waits for

        if settings.processes == 1:
            return run(deployment, listener, announce)
        return Supervisor(_work, (deployment, listener), announce).run(settings.processes)


def allow_connections() -> None:
    """Let us and what we start have as many files open as we may: each connection is one, and shells allow 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    # Some systems have a bound of their own below the one that they tell.
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


@contextlib.contextmanager
def database(settings: Settings) -> Iterator[str]:
    """Give the URL of the operator's database, or start the embedded one for as long; the caller holds its lock."""
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value()
        return
    # They describe another database, and our drivers would listen to them.
    for name in [name for name in os.environ if name.startswith("PG")]:
        del os.environ[name]
    with embedded.started(settings.data_dir) as url:
        yield url


def resolve(settings: Settings, database_url: str) -> Deployment:
    """Return the settings with the keys that a first start makes."""
    if settings.secret_key is None and settings.database_url is not None:
        message = (
            "RESTANTE_SECRET_KEY is required with RESTANTE_DATABASE_URL: it signs receipts and cursors, so every "
            "process on that database needs the same one. Make it once, for instance with `openssl rand -base64 32`."
        )
        raise CannotServe(message)
    direct_url = settings.database_direct_url
    secret_key = settings.secret_key.get_secret_value() if settings.secret_key else _kept(settings, "secret.key")
    return Deployment(
        settings=settings,
        database_url=database_url,
        database_direct_url=direct_url.get_secret_value() if direct_url else database_url,
        root_key=root_key(settings),
        secret_key=secret_key.encode(),
    )


def root_key(settings: Settings) -> str:
    """Return the operator's key: the setting, or the one in the data folder, made if there is none."""
    return settings.root_key.get_secret_value() if settings.root_key else _kept(settings, "root.key", "root_")


def known_root_key(settings: Settings) -> str:
    """Return the operator's key for a command that asks a running service.

    Raises:
        CannotServe: there is none yet.
    """
    if settings.root_key is None and not (settings.data_dir / "root.key").exists():
        message = (
            f"There is no root key in {settings.data_dir}. Set RESTANTE_ROOT_KEY or RESTANTE_DATA_DIR to the service's."
        )
        raise CannotServe(message)
    return root_key(settings)


def _kept(settings: Settings, name: str, prefix: str = "") -> str:
    try:
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        return embedded.kept(settings.data_dir / name, prefix)
    except OSError as error:
        message = (
            f"Cannot keep {name} in {settings.data_dir} ({error.strerror}). Set RESTANTE_DATA_DIR to a folder that you "
            "may write in, or give the key by a setting."
        )
        raise CannotServe(message) from error


async def prepare(deployment: Deployment) -> None:
    """Wait until the database answers, and see to its schema.

    Raises:
        CannotServe: it does not answer in time, or lets nobody in.
        SchemaMismatch: the schema is not this version's, and may not or cannot be made so.
    """
    see_to_schema = migrate if deployment.settings.auto_migrate else check
    give_up = asyncio.get_running_loop().time() + _DATABASE_SECONDS
    while True:
        try:
            await see_to_schema(deployment.database_direct_url)
        except (OSError, asyncpg.CannotConnectNowError, asyncpg.TooManyConnectionsError) as error:
            if asyncio.get_running_loop().time() > give_up:
                message = f"The database of RESTANTE_DATABASE_URL cannot be reached ({error}). Is the URL right?"
                raise CannotServe(message) from error
            _log.warning("database_awaited", error=str(error))
            await asyncio.sleep(1)
        except (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError, ValueError) as error:
            message = f"The database of RESTANTE_DATABASE_URL does not let us in: {error}"
            raise CannotServe(message) from error
        else:
            return


@contextlib.contextmanager
def listen(host: str, port: int) -> Iterator[socket.socket]:
    """Open the listening socket that all processes share.

    Raises:
        CannotServe: the address is not ours or the port is taken.
    """
    try:
        families = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = min(families, key=lambda found: found[0] != socket.AF_INET)
        both = host == "::" and socket.has_dualstack_ipv6()
        listener = socket.create_server(address[:2], family=family, backlog=_BACKLOG, dualstack_ipv6=both)
    except OSError as error:
        raise CannotServe(_why_not(error, host, port)) from error
    with listener:
        yield listener


def _why_not(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} on {host} is taken. Stop what listens there, or set RESTANTE_PORT to another; 0 takes any."
    if error.errno == errno.EACCES:
        return f"Port {port} is for root alone. Set RESTANTE_PORT to one above 1023."
    return f"Cannot listen on {host} port {port} ({error.strerror}). Set RESTANTE_HOST to an address of this machine."


def run(deployment: Deployment, listener: socket.socket, announce: Callable[[], None]) -> int:
    """Serve in this process until a signal ends it."""
    server = _Server(create_app(deployment), announce)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(server.serve(sockets=[listener]))
    except SystemExit:
        # uvicorn's word for a start that failed; the application has logged why.
        return 1
    return 0


def _collect_seldom() -> None:
    """Let the garbage collector pass over what stays for good, and look at the rest less often.

    A request makes some fifty objects and no cycles; looking for them after every fourteenth cost a fortieth of the
    time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def _work(deployment: Deployment, listener: socket.socket, serving: Connection) -> None:
    """Be one of several processes."""
    log.configure(deployment.settings)
    raise SystemExit(run(deployment, listener, lambda: serving.send_bytes(b"1")))


class _Server(uvicorn.Server):
    """uvicorn, told to stop by a handler of ours, which first lets go of whoever waits."""

    def __init__(self, app: App, announce: Callable[[], None]) -> None:
        self._app = app
        self._announce = announce
        super().__init__(
            uvicorn.Config(
                app,
                **PROTOCOLS,
                access_log=False,
                log_config=None,
                proxy_headers=False,
                server_header=False,
                backlog=_BACKLOG,
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=_DRAIN_SECONDS,
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Say where we are once we answer."""
        await super().startup(sockets)
        if self.started:
            _collect_seldom()
            self._announce()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Listen to signals on the loop.

        uvicorn's own way raises the signal again at the end; the process would be gone before the database is stopped.
        """
        loop = asyncio.get_running_loop()
        for number in _STOP_SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                loop.add_signal_handler(number, self._stop, number)
        yield

    def _stop(self, number: signal.Signals) -> None:
        """Drain at the first signal; end without waiting for anybody when somebody presses Ctrl-C again.

        A worker hears of the end of its supervisor once for each thread that the supervisor had.
        """
        self._app.drain()
        self.force_exit = self.should_exit and number == signal.SIGINT
        self.should_exit = True
