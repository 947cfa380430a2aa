"""Convert pydantic's validation errors into an InvalidRequest."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from service.api.kit.fields import FORMS
from service.errors import FieldError, InvalidRequest, pointer_of
from service.model import NAME_RULE

_CODES = {
    "missing": "missing",
    "extra_forbidden": "unknown_field",
    "literal_error": "not_allowed",
    "enum": "not_allowed",
    "string_pattern_mismatch": "wrong_form",
    "string_unicode": "invalid_text",
    "wrong_type": "wrong_type",
    "wrong_form": "wrong_form",
    "unknown_field": "unknown_field",
    "reserved_name": "reserved_name",
    "multiple_of": "out_of_range",
}
_SENTENCES = {
    "extra_forbidden": "There is no such field.",
    "missing": "This field is required.",
    "model_type": "Must be an object.",
    "model_attributes_type": "Must be an object.",
    "dict_type": "Must be an object.",
    "list_type": "Must be an array.",
    "string_type": "Must be a string.",
    "string_unicode": "Must be text that can be encoded in UTF-8, without unpaired surrogates.",
    "bool_type": "Must be true or false.",
    "bool_parsing": "Must be true or false.",
    "int_type": "Must be a whole number.",
    "int_parsing": "Must be a whole number.",
    "int_from_float": "Must be a whole number.",
    "float_type": "Must be a number.",
    "float_parsing": "Must be a number.",
}
_SUBJECT = re.compile(r"^\w+ should ")
_RANGES = ("greater_than", "less_than", "too_long", "too_short", "out_of_range")
_SHOWN = 20


def invalid_request(errors: Sequence[Mapping[str, Any]]) -> InvalidRequest:
    """Return an InvalidRequest that names the invalid fields, at most the first twenty."""
    return InvalidRequest([_field_error(error) for error in errors[:_SHOWN]])


def _field_error(error: Mapping[str, Any]) -> FieldError:
    # pydantic appends [key] to the location of an invalid dictionary key.
    place, *steps = (step for step in error["loc"] if step != "[key]")
    pointer = pointer_of(*steps) if place == "body" else pointer_of(place, *steps)
    if place == "path" and error["type"] == "string_pattern_mismatch":
        return FieldError(pointer, "invalid_name", NAME_RULE)
    return FieldError(pointer, _code(error["type"]), _sentence(error))


def _code(kind: str) -> str:
    if kind in _CODES:
        return _CODES[kind]
    return "out_of_range" if any(word in kind for word in _RANGES) else "wrong_type"


def _sentence(error: Mapping[str, Any]) -> str:
    if error["type"] in _SENTENCES:
        return _SENTENCES[error["type"]]
    if error["type"] == "string_pattern_mismatch":
        return FORMS[error["ctx"]["pattern"]]
    sentence = _SUBJECT.sub("Must ", error["msg"]).replace(" after validation", "").removesuffix(".")
    return f"{sentence[:1].upper()}{sentence[1:]}."
