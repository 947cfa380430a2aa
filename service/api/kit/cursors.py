"""Signed cursors of paginated lists. The signature covers the list and its filters."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2b
from hmac import compare_digest

from service.errors import MalformedRequest

_MAC_BYTES = 16


class Cursors:
    """Signs and verifies the cursors of a deployment."""

    def __init__(self, *secret_keys: bytes) -> None:
        """Sign with the first key; accept signatures by any of the keys."""
        self._keys = [blake2b(key, digest_size=32, person=b"restante-cursor").digest() for key in secret_keys]

    def seal(self, position: str, *listing: object) -> str:
        """Return a cursor that continues after `position`. `listing` identifies the list, its project and filters."""
        return _sealed(self._keys[0], position, listing)

    def open(self, cursor: str, *listing: object) -> str:
        """Return the position in a cursor. Raises MalformedRequest if the cursor does not belong to this list."""
        try:
            sealed = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
            position = sealed[_MAC_BYTES:].decode("utf-8")
        except ValueError:
            position = ""
        told = cursor.encode("utf-8", "replace")
        if not any(compare_digest(_sealed(key, position, listing).encode(), told) for key in self._keys):
            raise MalformedRequest(
                "The cursor does not belong to this list. Pass `next_cursor` unchanged and with the same filters, or "
                "omit `cursor` to start at the first page."
            )
        return position


def _sealed(key: bytes, position: str, listing: tuple[object, ...]) -> str:
    text = position.encode("utf-8")
    context = repr(listing).encode("utf-8", "backslashreplace")
    mac = blake2b(len(context).to_bytes(8) + context + text, key=key, digest_size=_MAC_BYTES).digest()
    return urlsafe_b64encode(mac + text).rstrip(b"=").decode("ascii")
