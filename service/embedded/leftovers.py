"""What a killed service left behind: a server that still runs, or the note of one that does not."""

import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from service.embedded.failure import CannotStart

_PATIENCE_SECONDS = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0))
# Each carries the process id of the server that wrote it.
_NOTES = ("postmaster.pid", ".s.PGSQL.5432.lock")


def clear(data: Path) -> None:
    """End every server process that works in this cluster, then remove the notes of it.

    The caller holds the lock of the folder, so whoever works there has lost its service. PostgreSQL itself goes by the
    process id in its notes, which after a restart of a container is as likely as not that of another program.

    Raises:
        CannotStart: one would not end.
    """
    if not Path("/proc/self/cwd").exists():
        # Nothing to look with: PostgreSQL's own check of its notes decides.
        return
    for number, seconds in _PATIENCE_SECONDS:
        for process in servers_in(data):
            # Only the first one, the postmaster, ends the others in good order; at the end each is told.
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, number)
        if _within(seconds, lambda: not servers_in(data)):
            for note in _NOTES:
                (data / note).unlink(missing_ok=True)
            return
    message = (
        f"A PostgreSQL that an earlier start left behind does not end: kill -9 {' '.join(map(str, servers_in(data)))}"
    )
    raise CannotStart(message)


def servers_in(data: Path) -> list[int]:
    """Return the ids of the PostgreSQL processes that work in this cluster: all of them stand in its folder."""
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
    """Tell whether it came to hold within that time."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
