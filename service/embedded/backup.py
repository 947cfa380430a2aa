"""Back up the embedded database and its keys into one file while the service runs, and restore it.

The file is a zip archive with the output of pg_dump and the key files. It does not depend on the version of PostgreSQL.
"""

import contextlib
import os
import secrets
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from service.embedded.binaries import find_binaries
from service.embedded.cluster import DATA, environment_of, is_made, major_of, started
from service.embedded.failure import CannotStart
from service.embedded.kept import ROOT_KEY, SECRET_KEY
from service.embedded.lock import hold

_DUMP = "database.dump"


def back_up(folder: Path, file: Path) -> None:
    """Write a snapshot of the running database of a data folder, and the folder's keys, to a new file.

    Raises CannotStart with a sentence that says what to do.
    """
    if file.exists():
        message = f"{file} already exists. Choose another file name, or move this file away."
        raise CannotStart(message)
    draft = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    try:
        with _opened(draft) as sink, zipfile.ZipFile(sink, "w") as archive:
            for name in (ROOT_KEY, SECRET_KEY):
                with contextlib.suppress(FileNotFoundError):
                    archive.writestr(name, (folder / name).read_bytes())
            with archive.open(_DUMP, "w", force_zip64=True) as dump:
                _dump(folder, dump)
        draft.rename(file)
    finally:
        draft.unlink(missing_ok=True)


def restore(folder: Path, file: Path) -> None:
    """Create a database in a data folder from a backup. The folder must not have a database yet.

    Raises CannotStart with a sentence that says what to do; the folder is then unchanged.
    """
    with hold(folder):
        if is_made(folder):
            message = f"The data folder {folder} already has a database. Set RESTANTE_DATA_DIR to a new folder."
            raise CannotStart(message)
        with _archive(file) as archive:
            keys = _new_keys(folder, archive)
            try:
                with started(folder), archive.open(_DUMP) as dump:
                    _restore(folder, dump)
            except BaseException:
                shutil.rmtree(folder / DATA, ignore_errors=True)
                raise
            for path, content in keys.items():
                with _opened(path) as sink:
                    sink.write(content)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """Create a file that only its owner can read, and flush it to disk at the end. Raises CannotStart."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        message = f"{path} cannot be written ({error.strerror})."
        raise CannotStart(message) from error
    with os.fdopen(descriptor, "w+b") as sink:
        yield sink
        sink.flush()
        os.fsync(descriptor)


@contextlib.contextmanager
def _archive(file: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(file) as archive:
            archive.getinfo(_DUMP)
            yield archive
    except OSError as error:
        message = f"{file} cannot be read ({error.strerror})."
        raise CannotStart(message) from error
    except (zipfile.BadZipFile, KeyError) as error:
        message = f"{file} is not a complete backup. Use a file that `restante backup` has written."
        raise CannotStart(message) from error


def _new_keys(folder: Path, archive: zipfile.ZipFile) -> dict[Path, bytes]:
    """Return the keys that the folder does not have yet. Raises CannotStart if it has different ones."""
    keys = {folder / name: archive.read(name) for name in (ROOT_KEY, SECRET_KEY) if name in archive.namelist()}
    there = [path for path in keys if path.exists()]
    for path in there:
        if path.read_bytes() != keys[path]:
            message = f"{path} differs from the key in the backup. Set RESTANTE_DATA_DIR to a new folder."
            raise CannotStart(message)
    return {path: content for path, content in keys.items() if path not in there}


def _dump(folder: Path, sink: IO[bytes]) -> None:
    with _program(folder, "pg_dump", "--format=custom", "--no-owner", "--no-privileges") as process:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        shutil.copyfileobj(process.stdout, sink, 1024 * 1024)


def _restore(folder: Path, source: IO[bytes]) -> None:
    words = ("--exit-on-error", "--single-transaction", "--no-owner", "--dbname=postgres")
    with _program(folder, "pg_restore", *words) as process, contextlib.suppress(BrokenPipeError):
        assert process.stdin is not None  # noqa: S101 - it is a pipe
        shutil.copyfileobj(source, process.stdin, 1024 * 1024)


@contextlib.contextmanager
def _program(folder: Path, name: str, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a client program of PostgreSQL on the folder's database. Raises CannotStart if it fails."""
    path = find_binaries(major_of(folder)).folder / name
    if not os.access(path, os.X_OK):
        message = f"{path} is missing. Install PostgreSQL's client programs."
        raise CannotStart(message)
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([path, *words], env=os.environ | environment_of(folder), **pipes) as process:
        yield process
        _, said = process.communicate()
    if process.returncode != 0:
        message = f"{name} failed with:\n{said.decode(errors='replace').strip()}"
        raise CannotStart(message)
