"""The lock on a data folder. The kernel releases it when its process ends for any reason."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from service.embedded.failure import CannotStart

_FILE = "lock"


@contextlib.contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Hold the exclusive lock of a data folder, creating the folder if needed.

    Raises CannotStart if another process holds the lock or the folder cannot be used.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder / _FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        message = (
            f"The data folder {folder.absolute()} cannot be used ({error.strerror}). Set RESTANTE_DATA_DIR to a "
            "writable folder."
        )
        raise CannotStart(message) from error
    try:
        _lock(descriptor, folder)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
        yield
    finally:
        os.close(descriptor)


def holder(folder: Path) -> int | None:
    """Return the id of the process that holds the folder's lock, or None."""
    try:
        descriptor = os.open(folder / _FILE, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return _written(descriptor)
    else:
        return None
    finally:
        os.close(descriptor)


def _lock(descriptor: int, folder: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        message = (
            f"Restante is already running on {folder.absolute()} (pid {_written(descriptor) or 'unknown'}). "
            "Stop that process first, or set RESTANTE_DATA_DIR to another folder."
        )
        raise CannotStart(message) from error


def _written(descriptor: int) -> int | None:
    text = os.pread(descriptor, 20, 0).strip()
    return int(text) if text.isdigit() else None
