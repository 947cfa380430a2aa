"""The log of the embedded server: a file with limited size, and the last lines for error messages."""

import contextlib
import os
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

_LIMIT_BYTES = 4 * 1024 * 1024
_LAST_LINES = 12


class ServerLog:
    """`postgres.log`, and its predecessor `postgres.log.1`; each has at most about _LIMIT_BYTES."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._last: deque[str] = deque(maxlen=_LAST_LINES)

    def follow(self, lines: Iterable[bytes]) -> None:
        """Write the lines to the file until they end. On a full disk lines are dropped, and the server never blocks."""
        for line in lines:
            self._last.append(line.decode(errors="replace").rstrip())
            with contextlib.suppress(OSError):
                self._write(line)
        if self._file is not None:
            self._file.close()
            self._file = None

    def last_lines(self) -> str:
        """Return the last lines, for an error message."""
        return "\n".join(self._last)

    def _write(self, line: bytes) -> None:
        if self._file is None:
            # Do not follow symbolic links, because the folder may belong to another account while this process is root.
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
            self._file = os.fdopen(os.open(self._path, flags, 0o600), "ab", buffering=0)
        if os.fstat(self._file.fileno()).st_size > _LIMIT_BYTES:
            self._path.replace(self._path.with_name(f"{self._path.name}.1"))
            self._file.close()
            self._file = None
            return self._write(line)
        self._file.write(line)
        return None
