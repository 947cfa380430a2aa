"""The hot operations, answered ahead of FastAPI.

FastAPI takes five times as long to find and call an endpoint as the whole of a send takes here. What is not one of
the hot operations, or is written in an unusual way, goes on to FastAPI, where the same operations stand as ordinary
routes; the contract tests run both ways.
"""

from collections.abc import Awaitable

from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.operations import OPERATIONS, Operation
from service.api.performer import Performer

# /v1/{noun}
_IN_NOUN = 2

_Key = tuple[str, str, str]


class Express:
    """An ASGI application in front of another."""

    def __init__(self, app: ASGIApp, performer: Performer) -> None:
        self._app = app
        self._performer = performer
        self._operations: dict[_Key, Operation] = {
            _key(operation): operation for operation in OPERATIONS if operation.path.count("/") > _IN_NOUN
        }

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Answer a hot operation, pass on everything else."""
        if scope["type"] == "http":
            # /v1/{noun}/{name}/{rest}
            parts = scope["path"].split("/", 4)
            if len(parts) >= 4 and parts[1] == "v1":
                rest = parts[4] if len(parts) == 5 else ""
                operation = self._operations.get((scope["method"], parts[2], rest))
                if operation is not None and parts[3] and b"%" not in scope["raw_path"]:
                    return self._performer.perform(operation, parts[3], scope, receive, send)
        return self._app(scope, receive, send)


def _key(operation: Operation) -> _Key:
    """Return what distinguishes an operation's requests: method, noun, and what follows the name."""
    _, _, noun, _, *rest = operation.path.split("/", 4)
    return operation.method, noun, rest[0] if rest else ""
