"""Where clients find the server's socket: a path that is short enough for the kernel and plain enough for a URL."""

import contextlib
import hashlib
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from service.embedded.failure import CannotStart

# The kernel takes 107 bytes; macOS 103.
_LONGEST = 103 - len("/.s.PGSQL.5432")
# Drivers give a meaning to commas, colons and blanks in a host.
_PLAIN = re.compile(r"[A-Za-z0-9/._-]+")


def socket_folder(data: Path) -> Path:
    """Return the folder of the socket, or a short way to it: a link in a folder that only we may enter."""
    folder = data.resolve()
    if _suits(folder):
        return folder
    for link in _links(folder):
        if _suits(link) and _is_ours(link.parent):
            _point(link, folder)
            return link
    message = f"The path {folder} is too long for a socket, and no folder of our own can be made in /run or /tmp."
    raise CannotStart(message)


def forget(data: Path) -> None:
    """Remove the short way to the folder, if there is one."""
    for link in _links(data.resolve()):
        with contextlib.suppress(OSError):
            link.unlink()


def _links(folder: Path) -> Iterator[Path]:
    """Yield the names that a link to the folder may have."""
    name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
    for place in _places():
        yield place / f"restante-{os.geteuid()}" / name


def _places() -> Iterator[Path]:
    """Yield folders for the link; first those that nobody tidies up."""
    for place in (os.environ.get("XDG_RUNTIME_DIR"), "/run", tempfile.gettempdir(), "/tmp"):  # noqa: S108 - see _is_ours
        if place and os.access(place, os.W_OK):
            yield Path(place).resolve()


def _suits(folder: Path) -> bool:
    return len(os.fsencode(folder)) <= _LONGEST and _PLAIN.fullmatch(str(folder)) is not None


def _is_ours(folder: Path) -> bool:
    """Make the folder; tell whether it is a real one, ours, and closed to everybody else."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    status = folder.lstat()
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o077


def _point(link: Path, folder: Path) -> None:
    """Let the link lead to the folder."""
    if link.is_symlink() and link.readlink() == folder:
        return
    draft = link.with_name(f"{link.name}.{os.getpid()}")
    draft.symlink_to(folder)
    draft.replace(link)
