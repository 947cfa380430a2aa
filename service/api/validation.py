"""Turning what pydantic found wrong with a request into our problem."""

from collections.abc import Mapping, Sequence
from typing import Any

from service.errors import FieldError, InvalidRequest

INVALID_NAME = "1 to 128 of A-Z a-z 0-9 . _ ~ -, the first a letter or digit."

_CODES = {
    "missing": "missing",
    "extra_forbidden": "unknown_field",
    "literal_error": "not_allowed",
    "enum": "not_allowed",
    "string_pattern_mismatch": "wrong_form",
    "string_unicode": "invalid_text",
    "wrong_type": "wrong_type",
    "wrong_form": "wrong_form",
    "multiple_of": "out_of_range",
}
_RANGES = ("greater_than", "less_than", "too_long", "too_short", "out_of_range")
_SHOWN = 20


def invalid_request(errors: Sequence[Mapping[str, Any]]) -> InvalidRequest:
    """Return the problem that names every wrong field, or the first of very many."""
    return InvalidRequest([_field_error(error) for error in errors[:_SHOWN]])


def _field_error(error: Mapping[str, Any]) -> FieldError:
    place, *steps = error["loc"]
    pointer = _pointer(steps if place == "body" else [place, *steps])
    if place == "path" and error["type"] == "string_pattern_mismatch":
        return FieldError(pointer, "invalid_name", INVALID_NAME)
    return FieldError(pointer, _code(error["type"]), _sentence(error))


def _code(kind: str) -> str:
    if kind in _CODES:
        return _CODES[kind]
    return "out_of_range" if any(word in kind for word in _RANGES) else "wrong_type"


def _sentence(error: Mapping[str, Any]) -> str:
    if error["type"] == "extra_forbidden":
        return "There is no such field."
    if error["type"] == "missing":
        return "This field is required."
    sentence = error["msg"].removesuffix(".")
    return f"{sentence[:1].upper()}{sentence[1:]}."


def _pointer(steps: Sequence[str | int]) -> str:
    # pydantic says [key] after a key that is itself wrong.
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in steps if step != "[key]")
