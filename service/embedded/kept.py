"""Secrets that the first start creates in the data folder, readable only by their owner."""

import contextlib
import os
import secrets
from pathlib import Path

# The file names of the root key and of the key that signs and encrypts.
ROOT_KEY = "root.key"
SECRET_KEY = "secret.key"  # noqa: S105 - a file name


def kept(path: Path, prefix: str = "") -> str:
    """Return the secret in the file, which is created with 256 random bits if it does not exist.

    Concurrent calls are safe: one of them creates the complete file, and all return the same secret.
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
