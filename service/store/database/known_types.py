"""PostgreSQL's built-in types, which are asked for once in a process instead of on every connection.

The driver knows no arrays except those of text, and asking for a type takes longer than connecting.
"""

from collections.abc import Collection, Sequence
from types import SimpleNamespace
from typing import Any

import asyncpg

# Types with lower numbers are the same in every server.
_FIRST_OTHER_TYPE = 10_000
_known: dict[frozenset[int], Sequence[asyncpg.Record]] = {}
# Stands for the statement by which the driver would have asked; with this name it does not replace the unnamed one.
_NO_STATEMENT = SimpleNamespace(name="none")


class DriverConnection(asyncpg.Connection):
    """A connection that does not ask for types that another connection has asked for."""

    async def _introspect_types(self, typeoids: Collection[int], seconds: float | None) -> tuple[Any, Any]:
        key = frozenset(typeoids)
        if key in _known:
            return _known[key], _NO_STATEMENT
        found, statement = await super()._introspect_types(typeoids, seconds)  # type: ignore[misc]
        if max(typeoids) < _FIRST_OTHER_TYPE:
            _known[key] = found
        return found, statement
