"""The folder of the server's socket, as a path that is short enough for the kernel and safe in a URL."""

import contextlib
import hashlib
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from service.embedded.failure import CannotStart

# The maximum length of a socket path is 107 bytes on Linux and 103 on macOS.
_LONGEST = 103 - len("/.s.PGSQL.5432")
# Drivers interpret commas, colons and spaces in a host.
_PLAIN = re.compile(r"[A-Za-z0-9/._-]+")


def socket_folder(data: Path) -> Path:
    """Return the folder of the socket, or a short symbolic link to it in a private folder. Raises CannotStart."""
    folder = data.resolve()
    if _suits(folder):
        return folder
    for link in _links(folder):
        if _suits(link) and _is_ours(link.parent):
            _point(link, folder)
            return link
    message = (
        f"The path {folder} is too long for a socket, and no private folder can be created in /run or /tmp. "
        "Set RESTANTE_DATA_DIR to a shorter path."
    )
    raise CannotStart(message)


def forget(data: Path) -> None:
    """Remove the symbolic link to the folder, if there is one."""
    for link in _links(data.resolve()):
        with contextlib.suppress(OSError):
            link.unlink()


def _links(folder: Path) -> Iterator[Path]:
    """Yield the possible paths of the link to the folder."""
    name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
    for place in _places():
        yield place / f"restante-{os.geteuid()}" / name


def _places() -> Iterator[Path]:
    """Yield folders for the link, first those that are not cleaned up periodically."""
    for place in (os.environ.get("XDG_RUNTIME_DIR"), "/run", tempfile.gettempdir(), "/tmp"):  # noqa: S108 - see _is_ours
        if place and os.access(place, os.W_OK):
            yield Path(place).resolve()


def _suits(folder: Path) -> bool:
    return len(os.fsencode(folder)) <= _LONGEST and _PLAIN.fullmatch(str(folder)) is not None


def _is_ours(folder: Path) -> bool:
    """Create the folder, and return whether it is a real folder that only this account can access."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    status = folder.lstat()
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o077


def _point(link: Path, folder: Path) -> None:
    """Make the link point to the folder, atomically."""
    if link.is_symlink() and link.readlink() == folder:
        return
    draft = link.with_name(f"{link.name}.{os.getpid()}")
    draft.symlink_to(folder)
    draft.replace(link)
