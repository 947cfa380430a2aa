"""Encryption of what the database keeps and nobody but the service may read: secrets and headers of webhooks."""

import os
from hashlib import blake2b

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from service.errors import Conflict

_NONCE_BYTES = 12


class WrongKey(Conflict):
    """What was sealed cannot be read with this secret key."""

    def __init__(self) -> None:
        super().__init__(
            "It was encrypted under another RESTANTE_SECRET_KEY. Delete it and make it anew, or start the service with "
            "that key."
        )


class Sealing:
    """AES-256-GCM with a key made from the service's secret key. Each sealed text belongs to one `owner`."""

    def __init__(self, secret_key: bytes) -> None:
        self._cipher = AESGCM(blake2b(secret_key, digest_size=32, person=b"restante-sealing").digest())

    def seal(self, owner: int, text: bytes) -> bytes:
        """Encrypt; each time to something else."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, text, owner.to_bytes(8, "big"))

    def open(self, owner: int, sealed: bytes) -> bytes:
        """Decrypt. Raises WrongKey, also when it was sealed for somebody else."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], owner.to_bytes(8, "big"))
        except InvalidTag as error:
            raise WrongKey from error
