"""Encryption of data in the database that only the service may read: secrets and headers of webhooks."""

import contextlib
import os
from hashlib import blake2b

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from service.errors import Conflict

_NONCE_BYTES = 12


class WrongKey(Conflict):
    """Sealed data cannot be read with the secret keys."""

    def __init__(self) -> None:
        super().__init__(
            "This was encrypted under another RESTANTE_SECRET_KEY. Delete it and create it again, or start the service "
            "with that key."
        )


class Sealing:
    """AES-256-GCM with a key derived from the service's secret key. Each sealed text belongs to one `owner`."""

    def __init__(self, *secret_keys: bytes) -> None:
        """Seal with the first key; open data that was sealed with any of the keys."""
        self._ciphers = [
            AESGCM(blake2b(key, digest_size=32, person=b"restante-sealing").digest()) for key in secret_keys
        ]

    def seal(self, owner: int, text: bytes) -> bytes:
        """Encrypt a text, with a different result each time."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._ciphers[0].encrypt(nonce, text, owner.to_bytes(8, "big"))

    def open(self, owner: int, sealed: bytes) -> bytes:
        """Decrypt a text. Raises WrongKey, also if it was sealed for another owner."""
        for cipher in self._ciphers:
            with contextlib.suppress(InvalidTag):
                return cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], owner.to_bytes(8, "big"))
        raise WrongKey
