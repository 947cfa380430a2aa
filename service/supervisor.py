"""Several processes on one socket: whoever dies is replaced, and none of them outlives us."""

import contextlib
import ctypes
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from typing import Any

import structlog
from prometheus_client.multiprocess import mark_process_dead

_log = structlog.get_logger()

_PR_SET_PDEATHSIG = 1
# A worker drains for up to 25 s, and the whole ends within 30.
_DRAIN_SECONDS = 28.0
# One that dies young is replaced a little later, so that a fault they all share does not keep a core busy.
_YOUNG_SECONDS = 1.0
_REST_SECONDS = 0.5
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Supervisor:
    """Keeps a number of worker processes until a signal ends it."""

    def __init__(self, work: Callable[..., None], arguments: tuple[Any, ...], on_serving: Callable[[], None]) -> None:
        """Each process runs `work`, with the arguments and a connection to which it sends a byte once it serves."""
        self._context = multiprocessing.get_context("spawn")
        self._work = work
        self._arguments = arguments
        self._on_serving = on_serving
        self._reader, self._writer = self._context.Pipe(duplex=False)
        self._wanted = 0
        self._serving = False
        self._stopping = False
        self._workers: dict[SpawnProcess, float] = {}

    def run(self, number: int) -> int:
        """Return the exit code: 0 after a signal, 1 when no worker ever came to serve."""
        with _metrics_folder() as metrics, _woken_by_signals(self._stop) as waker:
            self._wanted = number
            self._start_missing()
            while not self._stopping and self._workers:
                ready = wait([*(worker.sentinel for worker in self._workers), self._reader, waker])
                if self._reader in ready:
                    self._hear()
                for worker in [worker for worker in self._workers if not worker.is_alive()]:
                    self._bury(worker, metrics)
            self._end()
        return 0 if self._stopping else 1

    def _start_missing(self) -> None:
        for _ in range(self._wanted - len(self._workers)):
            self._start()

    def _start(self) -> None:
        worker = self._context.Process(target=_run, args=(os.getpid(), self._work, *self._arguments, self._writer))
        worker.start()
        self._workers[worker] = time.monotonic()

    def _hear(self) -> None:
        self._reader.recv_bytes()
        if not self._serving:
            self._serving = True
            # Some may have died before anybody knew that there is anything to be replaced.
            self._start_missing()
            self._on_serving()

    def _bury(self, worker: SpawnProcess, metrics: str) -> None:
        """Forget a dead worker and start another; but give up when none has ever served."""
        lived = time.monotonic() - self._workers.pop(worker)
        mark_process_dead(worker.pid, metrics)  # type: ignore[no-untyped-call]
        if self._serving:
            _log.error("worker_ended", pid=worker.pid, code=worker.exitcode, next="another one is started")
            time.sleep(_REST_SECONDS if lived < _YOUNG_SECONDS else 0)
            self._start_missing()

    def _stop(self) -> None:
        self._stopping = True

    def _end(self) -> None:
        """Let the workers drain, and end those that do not come to an end."""
        for listener in (argument for argument in self._arguments if isinstance(argument, socket.socket)):
            # So that new connections are refused from the moment the last worker stops to listen.
            listener.close()
        for worker in self._workers:
            worker.terminate()
        deadline = time.monotonic() + _DRAIN_SECONDS
        for worker in self._workers:
            worker.join(max(0.0, deadline - time.monotonic()))
            worker.kill()


def _run(supervisor: int, work: Callable[..., None], *arguments: Any) -> None:
    """Be a worker: end when the supervisor does, and leave Ctrl-C to it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() == supervisor:
        work(*arguments)


@contextlib.contextmanager
def _metrics_folder() -> Iterator[str]:
    """Give the workers a fresh folder to count into; they find it in their environment."""
    with tempfile.TemporaryDirectory(prefix="restante-metrics-", ignore_cleanup_errors=True) as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        try:
            yield folder
        finally:
            del os.environ["PROMETHEUS_MULTIPROC_DIR"]


@contextlib.contextmanager
def _woken_by_signals(stop: Callable[[], None]) -> Iterator[socket.socket]:
    """Call `stop` on a signal, and make the socket readable, since a wait goes on after the handler has run."""
    reader, writer = socket.socketpair()
    with reader, writer:
        writer.setblocking(False)  # noqa: FBT003 - the standard library's
        before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        handlers = {number: signal.signal(number, lambda *_: stop()) for number in _STOP_SIGNALS}
        try:
            yield reader
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(before)
