"""What an API key's secret looks like: `rk_`, 43 characters of chance (256 bits), 6 of checksum.

The pattern for secret scanners is `rk_[A-Za-z0-9_-]{49}`; the last six are the CRC-32 of the 43 before them, four bytes
big-endian, in base64url. So a typing error or garbage never reaches the database.
"""

import secrets
from base64 import urlsafe_b64encode
from hashlib import sha256
from zlib import crc32

SECRET_PATTERN = "rk_[A-Za-z0-9_-]{49}"  # noqa: S105 - the form of secrets, not one of them
_PREFIX = b"rk_"
_LENGTH = 52


def new_secret() -> str:
    """Return a fresh secret."""
    chance = secrets.token_urlsafe(32).encode()
    return (_PREFIX + chance + _checksum(chance)).decode()


def is_secret(presented: bytes) -> bool:
    """Tell whether this has the form of a secret."""
    return len(presented) == _LENGTH and presented.startswith(_PREFIX) and _checksum(presented[3:46]) == presented[46:]


def hash_of(secret: bytes) -> bytes:
    """Return what is stored of a secret: 256 random bits need no slower hash."""
    return sha256(secret).digest()


def _checksum(chance: bytes) -> bytes:
    return urlsafe_b64encode(crc32(chance).to_bytes(4)).rstrip(b"=")
