"""Clean up after a service that was killed: a server that still runs, or the lock files of one that does not."""

import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from service.embedded.failure import CannotStart

_PATIENCE_SECONDS = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0))
# The server's lock files. Each contains its process id.
_NOTES = ("postmaster.pid", ".s.PGSQL.5432.lock")


def clear(data: Path) -> None:
    """Stop every server process of this cluster, then remove the server's lock files.

    The caller holds the folder's lock, so the service of such a process has ended. PostgreSQL itself relies on the
    process id in its lock files, which after the restart of a container often belongs to another program.

    Raises CannotStart if a process does not end.
    """
    if not Path("/proc/self/cwd").exists():
        # Without /proc, rely on PostgreSQL's own check of its lock files.
        return
    for number, seconds in _PATIENCE_SECONDS:
        for process in servers_in(data):
            # The postmaster, which is the first, stops the others in an orderly way; the last signal must reach all.
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, number)
        if _within(seconds, lambda: not servers_in(data)):
            for note in _NOTES:
                (data / note).unlink(missing_ok=True)
            return
    message = (
        "A PostgreSQL server of an earlier start does not stop. End it with: kill -9 "
        f"{' '.join(map(str, servers_in(data)))}"
    )
    raise CannotStart(message)


def servers_in(data: Path) -> list[int]:
    """Return the ids of the cluster's PostgreSQL processes, which have its folder as their working directory."""
    here = data.stat()
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with contextlib.suppress(OSError):
                there = (process / "cwd").stat()
                if (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino) and _is_postgres(process):
                    found.append(int(process.name))
    return sorted(found)


def _is_postgres(process: Path) -> bool:
    return (process / "comm").read_text().strip() == "postgres"


def _within(seconds: float, holds: Callable[[], bool]) -> bool:
    """Return whether the condition became true within that time."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
