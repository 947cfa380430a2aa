"""Dispatch hot operations before FastAPI.

FastAPI takes five times as long to find and call an endpoint as a complete send takes here. Requests for other
operations, and requests with percent-encoded paths, are passed on to FastAPI, which has the hot operations as ordinary
routes too. The contract tests cover both dispatchers.
"""

from collections.abc import Awaitable

from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.messaging.operations import OPERATIONS, Operation
from service.api.messaging.performer import Performer

# The number of slashes in /v1/{noun}.
_IN_NOUN = 2

_Key = tuple[str, str, str, str]


class Express:
    """ASGI middleware that answers hot operations."""

    def __init__(self, app: ASGIApp, performer: Performer) -> None:
        self._app = app
        self._performer = performer
        self._operations: dict[_Key, Operation] = {
            _key(operation): operation for operation in OPERATIONS if operation.path.count("/") > _IN_NOUN
        }
        # Fixed words in the place of a name, as in /v1/receipts/batch.
        self._words = {(noun, word) for _, noun, word, _ in self._operations if word}

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Answer a hot operation, or pass the request on."""
        if scope["type"] == "http":
            # /v1/{noun}/{name}/{rest}
            parts = scope["path"].split("/", 4)
            if len(parts) >= 4 and parts[1] == "v1":
                noun, name = parts[2], parts[3]
                word = name if (noun, name) in self._words else ""
                operation = self._operations.get((scope["method"], noun, word, parts[4] if len(parts) == 5 else ""))
                if operation is not None and name and b"%" not in scope["raw_path"]:
                    return self._performer.perform(operation, name, scope, receive, send)
        return self._app(scope, receive, send)


def _key(operation: Operation) -> _Key:
    """Return what identifies an operation: method, noun, the fixed word in place of a name if any, rest of the path."""
    _, _, noun, name, *rest = operation.path.split("/", 4)
    return operation.method, noun, "" if name.startswith("{") else name, rest[0] if rest else ""
