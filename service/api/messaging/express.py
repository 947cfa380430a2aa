"""Find hot operations ahead of FastAPI.

FastAPI takes five times as long to find and call an endpoint as a complete send takes here. It has the hot operations
as ordinary routes too, for requests in an unusual form; the contract tests cover both ways.
"""

from functools import partial

from service.api.http.call import Respond
from service.api.messaging.operations import OPERATIONS, Operation
from service.api.messaging.performer import Performer
from service.model import Scope

# The number of slashes in /v1/{noun}.
_IN_NOUN = 2
_REMEMBERED = 2_000
_REMEMBERED_BYTES = 200

_Key = tuple[bytes, bytes, bytes, bytes]


class Express:
    """The hot operations, by method and path."""

    def __init__(self, performer: Performer) -> None:
        self._performer = performer
        self._known: dict[tuple[bytes, bytes], Respond] = {}
        # A match of a topic takes its turn among the long reads, which only a task can wait for.
        self._operations: dict[_Key, Operation] = {
            _key(operation): operation
            for operation in OPERATIONS
            if operation.path.count("/") > _IN_NOUN and operation.scope is not Scope.MANAGE
        }
        # Fixed words in the place of a name, as in /v1/receipts/batch.
        self._words = {(noun, word) for _, noun, word, _ in self._operations if word}

    def find(self, method: bytes, path: bytes) -> Respond | None:
        """Return what responds to such a request, or None for FastAPI's. `path` is as in the request, in ASCII."""
        known = self._known.get((method, path))
        if known is not None:
            return known
        # /v1/{noun}/{name}/{rest}
        parts = path.split(b"/", 4)
        if len(parts) < 4 or parts[1] != b"v1" or b"%" in path or b"?" in path:
            return None
        noun, name = parts[2], parts[3]
        word = name if (noun, name) in self._words else b""
        operation = self._operations.get((method, noun, word, parts[4] if len(parts) == 5 else b""))
        if operation is None or not name:
            return None
        respond = partial(self._performer.respond, operation, name.decode("ascii"))
        if operation.is_named and len(path) <= _REMEMBERED_BYTES:
            self._remember(method, path, respond)
        return respond

    def _remember(self, method: bytes, path: bytes, respond: Respond) -> None:
        """Find the operation sooner the next time. A receipt's path is seen once, that of a queue again and again."""
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[method, path] = respond


def _key(operation: Operation) -> _Key:
    """Return what identifies an operation: method, noun, the fixed word in place of a name if any, rest of the path."""
    _, _, noun, name, *rest = operation.path.encode().split(b"/", 4)
    return operation.method.encode(), noun, b"" if name.startswith(b"{") else name, rest[0] if rest else b""
