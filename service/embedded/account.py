"""The operating system account of the server. PostgreSQL refuses to run as root, so root runs it as another user."""

import ctypes
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from service.embedded.failure import CannotStart

_PR_SET_PDEATHSIG = 1

# The caller's environment is not inherited: PG* variables would redirect the server's programs, and LANG and LC_* may
# name locales that are not installed.
_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC", "HOME": "/"}


@dataclass(frozen=True, slots=True)
class Account:
    """The account of the server's processes; `other` if it differs from that of this process."""

    uid: int
    gid: int
    other: bool

    @classmethod
    def of(cls, folder: Path) -> Self:
        """Return the account for a cluster in this folder.

        It is the current account or, for root, the folder's owner, `postgres` or `nobody`.
        """
        if os.geteuid() != 0:
            return cls(os.geteuid(), os.getegid(), other=False)
        owner = folder.stat().st_uid if folder.exists() else 0
        entry = _entry(owner) if owner else _entry("postgres") or _entry("nobody")
        if entry is None:
            message = (
                "PostgreSQL does not run as root, and there is no account `postgres` or `nobody` to run it as. "
                "Create one (useradd --system postgres) or start Restante as an ordinary user."
            )
            raise CannotStart(message)
        return cls(entry.pw_uid, entry.pw_gid, other=True)

    def own(self, path: Path) -> None:
        """Make the account the owner of a path that this process has created."""
        if self.other:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def popen(
        self, command: Sequence[str | Path], *, ends_with_us: bool = False, **options: Any
    ) -> subprocess.Popen[bytes]:
        """Start a program under this account.

        With `ends_with_us`, the kernel stops the program when the calling thread ends, so that thread must not end.
        """
        if self.other:
            options |= {"user": self.uid, "group": self.gid, "extra_groups": []}
        if ends_with_us and sys.platform == "linux":
            # Changing the user clears this setting, but subprocess calls preexec_fn after that.
            options["preexec_fn"] = _end_with(os.getpid())
        # In its own session the program does not get Ctrl-C from the terminal; the service stops it when it is done.
        return subprocess.Popen(command, cwd="/", env=_ENVIRONMENT, start_new_session=True, **options)


def _entry(who: int | str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwuid(who) if isinstance(who, int) else pwd.getpwnam(who)
    except KeyError:
        return None


def _end_with(parent: int) -> Callable[[], None]:
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0)
        if os.getppid() != parent:
            # The parent ended before prctl was called.
            os._exit(1)

    return ask
