"""Secrets that a first start makes and that stay in the data folder, readable by their owner alone."""

import contextlib
import os
import secrets
from pathlib import Path


def kept(path: Path, prefix: str = "") -> str:
    """Return the secret in the file; a file that is not there yet is made, with 256 random bits.

    Several may call at once: one of them makes it, whole, and all return the same.
    """
    if not path.exists():
        _make(path, prefix + secrets.token_urlsafe(32))
    return path.read_text("ascii").strip()


def _make(path: Path, secret: str) -> None:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"{secret}\n")
            file.flush()
            os.fsync(descriptor)
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(draft)
    finally:
        draft.unlink()
