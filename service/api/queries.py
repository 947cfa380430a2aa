"""Parameters in a query that an operation does not have are refused: a typing error never passes silently."""

from collections.abc import Iterator
from urllib.parse import parse_qsl

from fastapi import Request
from fastapi.dependencies.models import Dependant
from pydantic import BaseModel

from service.api.validation import invalid_request


def refuse_query(query: bytes, known: frozenset[str] = frozenset()) -> None:
    """Raise InvalidRequest if a query has other parameters than these."""
    names = dict.fromkeys(name for name, _ in parse_qsl(query.decode("latin-1"), keep_blank_values=True))
    unknown = [{"type": "extra_forbidden", "loc": ("query", name)} for name in names if name not in known]
    if unknown:
        raise invalid_request(unknown)


def check_query(request: Request) -> None:
    """Raise InvalidRequest if a request's query has parameters that its route does not have."""
    query: bytes = request.scope["query_string"]
    if not query:
        return
    parameters = dict(_parameters(request.scope["route"].dependant))
    # Whoever takes its query as a whole refuses what is not in it, or takes what it likes.
    if not any(isinstance(kind, type) and issubclass(kind, BaseModel) for kind in parameters.values()):
        refuse_query(query, frozenset(parameters))


def _parameters(dependant: Dependant) -> Iterator[tuple[str, object]]:
    for field in dependant.query_params:
        yield field.alias, field.field_info.annotation
    for inner in dependant.dependencies:
        yield from _parameters(inner)
