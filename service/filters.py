"""Filters of subscriptions: conditions on a message's headers and on fields of its JSON body.

A filter in the API is `{"headers": {NAME: [condition, …]}, "body": {POINTER: [condition, …]}, "any": [filter, …],
"all": [filter, …]}`. `parse` validates it once; the result is then evaluated for every message.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from functools import cached_property
from typing import Any

import msgspec

from service.errors import FieldError, InvalidRequest, pointer_of
from service.message import Draft
from service.model import is_token

MAX_CONDITIONS = 100
MAX_LEVELS = 5

_is_number = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?\Z", re.ASCII).match
# An array index (RFC 6901, section 4). No body is large enough for longer ones.
_is_index = re.compile(r"(?:0|[1-9]\d{0,9})\Z", re.ASCII).match
_is_pointer = re.compile(r"(?:/(?:[^~/]|~[01])*)*\Z").match

# A JSON scalar with its kind, so that true differs from 1. Numbers are compared by value. Objects and arrays have
# a kind of their own.
Scalar = tuple[str, Any]
_CONTAINER: Scalar = ("container", None)
_BEYOND = object()
# The values of a field, None if the message does not have it. A condition holds if one of the values meets it.
Values = tuple[Scalar, ...] | None
Condition = Callable[[Values], bool]


def scalar(value: Any) -> Scalar:
    """Return a JSON value in the form in which values are compared."""
    if isinstance(value, str):
        return "string", value
    if isinstance(value, bool):
        return "boolean", value
    if value is None:
        return "null", None
    if isinstance(value, Decimal | int):
        return "number", Decimal(value)
    return ("number", Decimal(repr(value))) if isinstance(value, float) else _CONTAINER


def _number(text: str) -> Decimal | object:
    try:
        return Decimal(text)
    except InvalidOperation:
        # The number is out of Decimal's range and meets no condition.
        return _BEYOND


_decoder = json.JSONDecoder(parse_float=_number, parse_int=_number)


class Subject:
    """A message that filters are applied to. Its headers and body are parsed only if needed."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft

    @cached_property
    def _headers(self) -> dict[str, str]:
        return msgspec.json.decode(self._draft.headers, type=dict[str, str]) if self._draft.headers else {}

    @cached_property
    def _body(self) -> Any:
        """The parsed body if it is JSON, otherwise None."""
        return _decoder.decode(self._draft.body.decode()) if self._draft.is_json else None

    def values(self, where: "Where") -> Values:
        """Return the values of a field."""
        if where.header is not None:
            value = self._headers.get(where.header)
            return None if value is None else (("string", value),)
        return self._in_body(where.steps)

    def _in_body(self, steps: tuple[str, ...]) -> Values:
        if not self._draft.is_json:
            return None
        found = self._body
        for step in steps:
            if isinstance(found, dict) and step in found:
                found = found[step]
            elif isinstance(found, list) and _is_index(step) and int(step) < len(found):
                found = found[int(step)]
            else:
                return None
        return tuple(map(scalar, found)) if isinstance(found, list) else (scalar(found),)


@dataclass(frozen=True, slots=True)
class Where:
    """A field of a message: a header's name in lower case, or the steps of a JSON Pointer into the body."""

    header: str | None = None
    steps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Field:
    """A field and its conditions, one of which must hold. `equal`: the values, if all conditions test for equality."""

    where: Where
    pointer: str
    conditions: tuple[Condition, ...]
    equal: frozenset[Scalar] | None

    def holds(self, subject: Subject) -> bool:
        """Return whether one of the conditions holds."""
        values = subject.values(self.where)
        return any(condition(values) for condition in self.conditions)


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter: all of `fields` and `all` must hold, and one of `any` unless that is empty. `pointer`: its place."""

    pointer: str = ""
    fields: tuple[Field, ...] = ()
    any: tuple["Filter", ...] = ()
    all: tuple["Filter", ...] = ()

    def fails(self, subject: Subject) -> str | None:
        """Return the pointer to the first part that does not hold, or None if the message matches."""
        for one in self.fields:
            if not one.holds(subject):
                return one.pointer
        for part in self.all:
            if (failed := part.fails(subject)) is not None:
                return failed
        if self.any and all(part.fails(subject) is not None for part in self.any):
            return f"{self.pointer}/any"
        return None

    def anchors(self) -> Iterator[Field]:
        """Yield the fields that every matching message must have with one of certain values."""
        yield from (one for one in self.fields if one.equal is not None)
        for part in self.all:
            yield from part.anchors()


class Router:
    """Evaluates many filters. Filters that require a field to equal a value are indexed by that value."""

    def __init__(self, filters: Sequence[Filter]) -> None:
        self._filters = filters
        self._by_value: dict[Where, dict[Scalar, list[int]]] = {}
        self._others: list[int] = []
        for place, one in enumerate(filters):
            anchor = next(one.anchors(), None)
            if anchor is None:
                self._others.append(place)
                continue
            places = self._by_value.setdefault(anchor.where, {})
            for value in anchor.equal or ():
                places.setdefault(value, []).append(place)

    def matching(self, subject: Subject) -> list[int]:
        """Return the indexes of the filters that a message matches."""
        candidates = set(self._others)
        for where, places in self._by_value.items():
            for value in subject.values(where) or ():
                candidates.update(places.get(value, ()))
        return [place for place in sorted(candidates) if self._filters[place].fails(subject) is None]


def parse(given: Mapping[str, Any], pointer: str = "/filter") -> Filter:
    """Parse and validate a filter. Raises InvalidRequest."""
    parser = _Parser()
    parsed = parser.filter(given, pointer, 1)
    if parser.conditions > MAX_CONDITIONS:
        detail = f"Must have at most {MAX_CONDITIONS} conditions; this one has {parser.conditions}."
        parser.errors.append(FieldError(pointer, "out_of_range", detail))
    if not parser.errors and not _can_be_kept(given):
        detail = "Must not contain unpaired surrogates or numbers beyond 1.8e308."
        parser.errors.append(FieldError(pointer, "wrong_form", detail))
    if parser.errors:
        raise InvalidRequest(parser.errors)
    return parsed


def _can_be_kept(given: Mapping[str, Any]) -> bool:
    """Return whether a filter can be written as standard JSON in UTF-8."""
    try:
        json.dumps(given, allow_nan=False, ensure_ascii=False).encode()
    except ValueError:
        return False
    return True


@dataclass(slots=True)
class _Parser:
    """Parses a filter and collects its errors."""

    errors: list[FieldError] = field(default_factory=list)
    conditions: int = 0

    def wrong(self, pointer: str, code: str, detail: str) -> None:
        self.errors.append(FieldError(pointer, code, detail))

    def filter(self, given: Any, pointer: str, level: int) -> Filter:
        if not isinstance(given, Mapping):
            self.wrong(pointer, "wrong_type", "Must be an object.")
            return Filter()
        if level > MAX_LEVELS:
            self.wrong(pointer, "out_of_range", f"Must not be nested more than {MAX_LEVELS} levels deep.")
            return Filter()
        for name in given.keys() - {"headers", "body", "any", "all"}:
            self.wrong(
                pointer + pointer_of(name),
                "unknown_field",
                "A filter can only have `headers`, `body`, `any` and `all`.",
            )
        fields = [
            *self.fields(given.get("headers", {}), f"{pointer}/headers", _header),
            *self.fields(given.get("body", {}), f"{pointer}/body", _place),
        ]
        parts = {
            name: tuple(
                self.filter(part, f"{pointer}/{name}/{position}", level + 1)
                for position, part in enumerate(self.list(given[name], f"{pointer}/{name}"))
            )
            for name in ("any", "all")
            if name in given
        }
        return Filter(pointer, tuple(fields), parts.get("any", ()), parts.get("all", ()))

    def list(self, given: Any, pointer: str) -> list[Any]:
        if not isinstance(given, list):
            self.wrong(pointer, "wrong_type", "Must be a list.")
            return []
        if not given:
            self.wrong(pointer, "out_of_range", "Must not be empty.")
        return given

    def fields(self, given: Any, pointer: str, where: Callable[[str], Where | None]) -> Iterator[Field]:
        if not isinstance(given, Mapping):
            self.wrong(pointer, "wrong_type", "Must be an object.")
            return
        seen: set[Where | None] = set()
        for name, wanted in given.items():
            place = pointer + pointer_of(name)
            found = where(name)
            if found in seen:
                self.wrong(place, "conflict", "This field is given twice; header names are not case-sensitive.")
                continue
            seen.add(found)
            if found is None:
                self.wrong(place, "invalid_name", "Must be a header's name, or a JSON Pointer (RFC 6901).")
                continue
            given_conditions = self.list(wanted, place)
            self.conditions += len(given_conditions)
            conditions = [self.condition(one, f"{place}/{position}") for position, one in enumerate(given_conditions)]
            scalars = [scalar(one) for one in given_conditions]
            equal = frozenset(scalars) if _CONTAINER not in scalars else None
            yield Field(found, place, tuple(conditions), equal)

    def condition(self, given: Any, pointer: str) -> Condition:
        wanted = scalar(given)
        if wanted != _CONTAINER:
            return lambda values: values is not None and wanted in values
        if not isinstance(given, Mapping) or len(given) != 1 or next(iter(given)) not in _KINDS:
            detail = f"Must be a string, a number, true, false, null, or an object with one of {', '.join(_KINDS)}."
            self.wrong(pointer, "wrong_form", detail)
            return _never
        [(kind, argument)] = given.items()
        made = _KINDS[kind](argument)
        if isinstance(made, str):
            self.wrong(f"{pointer}/{kind}", "wrong_form", made)
            return _never
        return made


def _never(_values: Values) -> bool:
    return False


def _header(name: str) -> Where | None:
    return Where(header=name.lower()) if is_token(name) else None


def _place(pointer: str) -> Where | None:
    if not _is_pointer(pointer):
        return None
    return Where(steps=tuple(step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]))


# Each function returns the condition, or an error sentence about its argument.


def _prefix(argument: Any) -> Condition | str:
    if not isinstance(argument, str):
        return "Must be a string."
    return lambda values: (
        values is not None and any(kind == "string" and value.startswith(argument) for kind, value in values)
    )


def _exists(argument: Any) -> Condition | str:
    if not isinstance(argument, bool):
        return "Must be true or false."
    return lambda values: (values is not None) is argument


def _anything_but(argument: Any) -> Condition | str:
    if not isinstance(argument, list) or not argument or _CONTAINER in map(scalar, argument):
        return "Must be a non-empty list of strings, numbers, true, false and null."
    unwanted = frozenset(map(scalar, argument))
    return lambda values: values is not None and any(value not in unwanted for value in values)


_COMPARE: dict[str, Callable[[Decimal, Decimal], bool]] = {
    "<": lambda value, bound: value < bound,
    "<=": lambda value, bound: value <= bound,
    ">": lambda value, bound: value > bound,
    ">=": lambda value, bound: value >= bound,
    "=": lambda value, bound: value == bound,
}


def _numeric(argument: Any) -> Condition | str:
    wrong = 'Must be one or two comparisons, such as [">=", 1, "<", 5].'
    if not isinstance(argument, list) or len(argument) not in {2, 4}:
        return wrong
    signs, bounds = argument[::2], [scalar(bound) for bound in argument[1::2]]
    known = all(isinstance(sign, str) and sign in _COMPARE for sign in signs)
    if not known or any(kind != "number" for kind, _ in bounds):
        return wrong
    compared = [(_COMPARE[sign], bound) for sign, (_, bound) in zip(signs, bounds, strict=True)]

    def condition(values: Values) -> bool:
        numbers = map(_as_number, values or ())
        return any(
            number is not None and all(compare(number, bound) for compare, bound in compared) for number in numbers
        )

    return condition


def _as_number(value: Scalar) -> Decimal | None:
    """Return a number, or the number that a string contains in JSON's syntax; otherwise None."""
    kind, held = value
    if kind == "number":
        return Decimal(held)
    read = _number(held) if kind == "string" and _is_number(held) else None
    return read if isinstance(read, Decimal) else None


_KINDS: dict[str, Callable[[Any], Condition | str]] = {
    "prefix": _prefix,
    "numeric": _numeric,
    "exists": _exists,
    "anything_but": _anything_but,
}
