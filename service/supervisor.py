"""Run several worker processes on one socket. Workers that die are replaced, and none outlives the supervisor."""

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
# A worker drains for up to 25 s, and the service must end within 30 s.
_DRAIN_SECONDS = 28.0
# A worker that dies soon after its start is replaced after a pause, so that a persistent fault does not busy a core.
_EARLY_DEATH_SECONDS = 1.0
_PAUSE_SECONDS = 0.5
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Supervisor:
    """Keeps a number of worker processes running until a signal stops it."""

    def __init__(self, work: Callable[..., None], arguments: tuple[Any, ...], on_serving: Callable[[], None]) -> None:
        """Each worker calls `work` with the arguments and a connection, to which it sends a byte when it serves."""
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
        """Run until a signal, and return the exit code: 0 after a signal, 1 if all workers died before any served."""
        with _metrics_folder() as metrics, _woken_by_signals(self._stop) as waker:
            self._wanted = number
            self._start_missing()
            while not self._stopping and self._workers:
                ready = wait([*(worker.sentinel for worker in self._workers), self._reader, waker])
                if self._reader in ready:
                    self._note_serving()
                for worker in [worker for worker in self._workers if not worker.is_alive()]:
                    self._replace(worker, metrics)
            self._end()
        return 0 if self._stopping else 1

    def _start_missing(self) -> None:
        for _ in range(self._wanted - len(self._workers)):
            self._start()

    def _start(self) -> None:
        worker = self._context.Process(target=_run, args=(os.getpid(), self._work, *self._arguments, self._writer))
        worker.start()
        self._workers[worker] = time.monotonic()

    def _note_serving(self) -> None:
        self._reader.recv_bytes()
        if not self._serving:
            self._serving = True
            # Workers that died before any worker served have not been replaced yet.
            self._start_missing()
            self._on_serving()

    def _replace(self, worker: SpawnProcess, metrics: str) -> None:
        """Remove a dead worker, and replace it unless no worker has ever served."""
        lived = time.monotonic() - self._workers.pop(worker)
        mark_process_dead(worker.pid, metrics)  # type: ignore[no-untyped-call]
        if self._serving:
            _log.error("worker_ended", pid=worker.pid, code=worker.exitcode, next="a new worker is started")
            time.sleep(_PAUSE_SECONDS if lived < _EARLY_DEATH_SECONDS else 0)
            self._start_missing()

    def _stop(self) -> None:
        self._stopping = True

    def _end(self) -> None:
        """Let the workers drain, and kill those that do not end in time."""
        for listener in (argument for argument in self._arguments if isinstance(argument, socket.socket)):
            # Otherwise new connections would still be accepted after the last worker has stopped listening.
            listener.close()
        for worker in self._workers:
            worker.terminate()
        deadline = time.monotonic() + _DRAIN_SECONDS
        for worker in self._workers:
            worker.join(max(0.0, deadline - time.monotonic()))
            worker.kill()


def _run(supervisor: int, work: Callable[..., None], *arguments: Any) -> None:
    """Run a worker, which ends when the supervisor does and ignores Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() == supervisor:
        work(*arguments)


@contextlib.contextmanager
def _metrics_folder() -> Iterator[str]:
    """Yield a temporary folder for the workers' metrics, which they find in their environment."""
    with tempfile.TemporaryDirectory(prefix="restante-metrics-", ignore_cleanup_errors=True) as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        try:
            yield folder
        finally:
            del os.environ["PROMETHEUS_MULTIPROC_DIR"]


@contextlib.contextmanager
def _woken_by_signals(stop: Callable[[], None]) -> Iterator[socket.socket]:
    """Call `stop` on a signal, and make the yielded socket readable to interrupt a wait for the workers."""
    reader, writer = socket.socketpair()
    with reader, writer:
        writer.setblocking(False)  # noqa: FBT003 - required by the standard library
        before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        handlers = {number: signal.signal(number, lambda *_: stop()) for number in _STOP_SIGNALS}
        try:
            yield reader
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(before)
