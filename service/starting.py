"""Answer requests during startup: the process is alive, and what it is waiting for."""

import asyncio
import contextlib
import signal
import socket
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

import uvicorn
from starlette.types import Receive, Scope, Send

from service.api.http.body import send_answer
from service.api.http.cycle import CLOSE
from service.api.http.edge import Edge
from service.errors import Unavailable
from service.prompt_server import PromptServer

# A quicker startup needs no temporary server; clients that connect meanwhile wait for the service itself.
_GRACE_SECONDS = 0.3
# How long the temporary server still answers connections that it accepted just before it ends.
_LAST_SECONDS = 0.05
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_ALIVE = b'{"status":"ok"}'


class Waiting:
    """An ASGI application that answers requests until the service is ready.

    Every response closes its connection: the service takes over the listening socket, not the connections, and a
    request on a connection that the client kept could be lost.
    """

    def __init__(self) -> None:
        # Anonymous clients can read it, so it must not contain addresses or names.
        self.reason = "The service is starting."

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Answer /healthz with 200; raise Unavailable for all other paths."""
        if scope["path"] != "/healthz":
            problem = Unavailable(f"{self.reason} Retry the request.")
            problem.headers["Connection"] = "close"
            raise problem
        kind = (b"content-type", b"application/json")
        await send_answer(send, 200, [kind, (b"content-length", b"%d" % len(_ALIVE)), CLOSE], _ALIVE)


@contextlib.contextmanager
def waiting(listener: socket.socket, protocols: dict[str, Any]) -> Iterator[Waiting]:
    """Answer requests on the socket, in a thread, until the block ends. A stop signal in the block ends the process."""
    app, over = Waiting(), threading.Event()
    with listener.dup() as copy:
        config = uvicorn.Config(
            Edge(app),
            **protocols | {"lifespan": "off", "ws": "none"},
            loop="asyncio",
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
        thread = threading.Thread(target=_serve, args=(_WaitingServer(config), copy, over), name="waiting", daemon=True)
        with _ended_by_signals():
            thread.start()
            try:
                yield app
            finally:
                over.set()
                thread.join()


class _WaitingServer(PromptServer):
    """A server that does not handle signals, and answers everything that it accepted."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        await asyncio.sleep(_LAST_SECONDS)
        await super().shutdown(sockets)


def _serve(server: _WaitingServer, listener: socket.socket, over: threading.Event) -> None:
    if not over.wait(_GRACE_SECONDS):
        asyncio.run(_serve_until(server, listener, over))


async def _serve_until(server: _WaitingServer, listener: socket.socket, over: threading.Event) -> None:
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    await asyncio.to_thread(over.wait)
    server.stop()
    await serving


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Exit in an orderly way on a stop signal. Process 1 of a container ignores signals without a handler."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(0)

    heard = [number for number in _STOP_SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, stop) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
