"""Checks of a caller's scopes and queue patterns."""

from collections.abc import Iterable

from service.errors import Forbidden
from service.model import Caller, Scope


def require(caller: Caller, scopes: Iterable[Scope]) -> None:
    """Raise Forbidden unless the key has all of these scopes."""
    for scope in scopes:
        if not caller.has_scope(scope):
            raise Forbidden(f"This needs the scope '{scope}', which the key does not have. Use a key that has it.")


def require_queue(caller: Caller, name: str) -> None:
    """Raise Forbidden unless the key's patterns cover this queue or topic."""
    if not caller.covers(name):
        patterns = ", ".join(caller.queues)
        # Without the name: it may be that of a queue which the caller must not learn of.
        raise Forbidden(f"The key covers only queues and topics that match {patterns}. Use another key.")
