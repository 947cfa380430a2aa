"""The server's own log: a file that never grows past twice its limit, and the last lines for an error message."""

import contextlib
import os
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

_LIMIT_BYTES = 4 * 1024 * 1024
_LAST_LINES = 12


class ServerLog:
    """`postgres.log`, and `postgres.log.1` with what came before it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._last: deque[str] = deque(maxlen=_LAST_LINES)

    def follow(self, lines: Iterable[bytes]) -> None:
        """Write down the lines until they end. A full disk loses lines, never the server that waits for us to read."""
        for line in lines:
            self._last.append(line.decode(errors="replace").rstrip())
            with contextlib.suppress(OSError):
                self._write(line)
        if self._file is not None:
            self._file.close()
            self._file = None

    def last_lines(self) -> str:
        """Return what it said last."""
        return "\n".join(self._last)

    def _write(self, line: bytes) -> None:
        if self._file is None:
            # Not through a symbolic link: the folder may belong to another account, and we may be root.
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
            self._file = os.fdopen(os.open(self._path, flags, 0o600), "ab", buffering=0)
        if os.fstat(self._file.fileno()).st_size > _LIMIT_BYTES:
            self._path.replace(self._path.with_name(f"{self._path.name}.1"))
            self._file.close()
            self._file = None
            return self._write(line)
        self._file.write(line)
        return None
