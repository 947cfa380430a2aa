"""What a caller may do."""

from service.errors import Forbidden
from service.model import Caller, Scope


def require(caller: Caller, *scopes: Scope) -> None:
    """Raise Forbidden unless the key carries every one of these scopes."""
    for scope in scopes:
        if not caller.has_scope(scope):
            raise Forbidden(f"This needs the scope '{scope}', which the key does not have. Use a key that has it.")


def require_queue(caller: Caller, name: str) -> None:
    """Raise Forbidden unless the key's patterns cover this queue."""
    if not caller.covers(name):
        patterns = ", ".join(caller.queues)
        raise Forbidden(f"The key is bound to queues that match {patterns}; this one does not. Use another key.")
