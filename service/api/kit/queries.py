"""Strict query parameters: unknown parameters and unusual spellings of values are refused, so no typo is ignored."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

from fastapi import Request
from fastapi.dependencies.models import Dependant
from pydantic import BaseModel, BeforeValidator
from pydantic_core import PydanticCustomError

from service.api.kit.validation import invalid_request

_is_whole_number = re.compile(r"-?[0-9]{1,18}\Z").match


def _read_whole_number(value: Any) -> Any:
    """Refuse other spellings that Python's `int` accepts: `1_0`, ` 5`, `+5`, digits of other scripts."""
    if isinstance(value, str) and not _is_whole_number(value):
        raise PydanticCustomError("wrong_type", "must be a whole number")
    return value


def _read_flag(value: Any) -> Any:
    """Refuse other spellings that pydantic accepts: `yes`, `1`, `on`."""
    if isinstance(value, str) and value not in {"true", "false"}:
        raise PydanticCustomError("wrong_type", "must be true or false")
    return value


# Pydantic runs the last validator of an annotation first, so write these last to run them before the bounds.
WHOLE_NUMBER = BeforeValidator(_read_whole_number)
FLAG = BeforeValidator(_read_flag)


def refuse_query(query: bytes, known: frozenset[str] = frozenset()) -> None:
    """Raise InvalidRequest if a query has parameters that are not in `known`."""
    names = dict.fromkeys(name for name, _ in parse_qsl(query.decode("latin-1"), keep_blank_values=True))
    unknown = [{"type": "extra_forbidden", "loc": ("query", name)} for name in names if name not in known]
    if unknown:
        raise invalid_request(unknown)


def check_query(request: Request) -> None:
    """Raise InvalidRequest if a request has query parameters that its route does not declare."""
    query: bytes = request.scope["query_string"]
    if not query:
        return
    parameters = dict(_parameters(request.scope["route"].dependant))
    # A route that reads its query into a pydantic model leaves unknown parameters to that model.
    if not any(isinstance(kind, type) and issubclass(kind, BaseModel) for kind in parameters.values()):
        refuse_query(query, frozenset(parameters))


def _parameters(dependant: Dependant) -> Iterator[tuple[str, object]]:
    for field in dependant.query_params:
        yield field.alias, field.field_info.annotation
    for inner in dependant.dependencies:
        yield from _parameters(inner)
