"""A file that reserves disk space. It is deleted when the disk is full, so that the server can start and be emptied."""

import contextlib
import os
import shutil
from pathlib import Path

_BYTES = 64 * 1024 * 1024
# The server may need this much for its write-ahead log when it starts.
_TOO_LITTLE_BYTES = 48 * 1024 * 1024


def give_way(path: Path) -> None:
    """Delete the file if there is too little free space to start the server."""
    if shutil.disk_usage(path.parent).free < _TOO_LITTLE_BYTES:
        path.unlink(missing_ok=True)


def take_room(path: Path) -> None:
    """Create the file if it does not exist and there is enough free space."""
    if path.exists() or shutil.disk_usage(path.parent).free < 4 * _BYTES:
        return
    # On a file system that cannot reserve space the file would be useless.
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, _BYTES)
        except OSError:
            path.unlink()
        finally:
            os.close(descriptor)
