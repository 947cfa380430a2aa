"""The format of an API key's secret: `rk_`, 43 random characters (256 bits), and a checksum of 6 characters.

The pattern for secret scanners is `rk_[A-Za-z0-9_-]{49}`. The checksum is the CRC-32 of the 43 random characters, as
four bytes big-endian in base64url. It rejects mistyped keys without a database query.
"""

import secrets
from base64 import urlsafe_b64encode
from hashlib import sha256
from zlib import crc32

SECRET_PATTERN = "rk_[A-Za-z0-9_-]{49}"  # noqa: S105 - a pattern, not a secret
_PREFIX = b"rk_"
_LENGTH = 52


def new_secret() -> str:
    """Return a new random secret."""
    chance = secrets.token_urlsafe(32).encode()
    return (_PREFIX + chance + _checksum(chance)).decode()


def is_secret(presented: bytes) -> bool:
    """Return whether this has the format of a secret, with a valid checksum."""
    return len(presented) == _LENGTH and presented.startswith(_PREFIX) and _checksum(presented[3:46]) == presented[46:]


def hash_of(secret: bytes) -> bytes:
    """Return the hash under which a secret is stored. With 256 random bits a fast hash is sufficient."""
    return sha256(secret).digest()


def _checksum(chance: bytes) -> bytes:
    return urlsafe_b64encode(crc32(chance).to_bytes(4)).rstrip(b"=")
