"""Sealing of receipts: a receipt names a lease, and its signature proves that the lease was given."""

import hashlib
import hmac
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64

from asyncpg.pgproto.pgproto import UUID as FastUUID  # noqa: N811 - what asyncpg reads and writes without conversion

from service.errors import NotFound
from service.model import Queue, Receipt

_LEASE = struct.Struct(">Q16sQ")
_PROJECT = struct.Struct(">Q")
_MAC_BYTES = 16
# Queue ids have 63 bits; the 64th holds the queue's type, so that a settle need not look the queue up.
_FIFO = 1 << 63
LENGTH = (_LEASE.size + _MAC_BYTES) * 4 // 3
MAX_LENGTH = 200


class ReceiptSeal:
    """Seals leases into receipts and opens them, with a key derived from the service's secret key."""

    def __init__(self, secret_key: bytes, *former: bytes) -> None:
        """Seal with the first key; open receipts that were sealed with any of the keys."""
        self._key, *self._former = (
            hashlib.blake2b(key, person=b"receipt", digest_size=32).digest() for key in (secret_key, *former)
        )

    def seal(self, queue: Queue, message_id: bytes, lease: int) -> str:
        """Return the receipt of a lease: 64 characters of A-Z a-z 0-9 - _."""
        payload = _LEASE.pack(queue.id | _FIFO if queue.is_fifo else queue.id, message_id, lease)
        project_id = queue.project_id
        return urlsafe_b64encode(payload + _mac(self._key, project_id, payload)).decode()

    def open(self, project_id: int, receipt: str) -> Receipt:
        """Return the lease of a receipt. Raises NotFound unless it was sealed by this service for this project."""
        try:
            sealed = urlsafe_b64decode(receipt) if len(receipt) == LENGTH else b""
        except (NotBase64, ValueError):
            sealed = b""
        payload, mac = sealed[: _LEASE.size], sealed[_LEASE.size :]
        if not hmac.compare_digest(mac, _mac(self._key, project_id, payload)) and not any(
            hmac.compare_digest(mac, _mac(key, project_id, payload)) for key in self._former
        ):
            raise receipt_not_found()
        queue_id, message_id, lease = _LEASE.unpack(payload)
        return Receipt(project_id, queue_id & ~_FIFO, FastUUID(message_id), lease, fifo=bool(queue_id & _FIFO))


def _mac(key: bytes, project_id: int, payload: bytes) -> bytes:
    return hashlib.blake2b(_PROJECT.pack(project_id) + payload, key=key, digest_size=_MAC_BYTES).digest()


def receipt_not_found() -> NotFound:
    """Return the same problem for everything that is not a receipt of this project."""
    return NotFound(
        "receipt", "This is not a receipt of this project, or its queue was deleted. Use a received message's receipt."
    )
