"""Cursors: where the next page of a list begins, signed, so that one of another list or filter is found out."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2b
from hmac import compare_digest

from service.errors import MalformedRequest

_MAC_BYTES = 16


class Cursors:
    """The signer of one deployment's cursors."""

    def __init__(self, secret_key: bytes) -> None:
        self._key = blake2b(secret_key, digest_size=32, person=b"restante-cursor").digest()

    def seal(self, position: str, *listing: object) -> str:
        """Return a cursor that continues after this position of the list that `listing` (list, project, filters) is."""
        text = position.encode("utf-8")
        return urlsafe_b64encode(self._mac(text, listing) + text).rstrip(b"=").decode("ascii")

    def open(self, cursor: str, *listing: object) -> str:
        """Return the position in a cursor. Raises MalformedRequest when it is not one of this list."""
        try:
            sealed = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
            position = sealed[_MAC_BYTES:].decode("utf-8")
        except ValueError:
            position = ""
        if not compare_digest(self.seal(position, *listing).encode(), cursor.encode("utf-8", "replace")):
            raise MalformedRequest(
                "The cursor is not one of this list. Pass next_cursor on as it came, with the same filters, or none."
            )
        return position

    def _mac(self, text: bytes, listing: tuple[object, ...]) -> bytes:
        context = repr(listing).encode("utf-8", "backslashreplace")
        return blake2b(len(context).to_bytes(8) + context + text, key=self._key, digest_size=_MAC_BYTES).digest()
