r"""Decode JSON requests in which message bodies must stay byte for byte as they were sent.

msgspec decodes the request and leaves `body` unparsed (`msgspec.Raw`). However, it refuses strings with an unpaired
surrogate, such as `\ud800`, which JSON allows. A request that msgspec refuses is therefore read again by a slower,
exact scanner. That answers 400 if the request is not JSON, accepts unpaired surrogates in a body, and answers 422 if
they occur elsewhere.
"""

import json
import re
from collections.abc import Iterator
from itertools import accumulate
from typing import Any, NoReturn, TypeVar

import msgspec

from service.errors import InvalidRequest, MalformedRequest, invalid, pointer_of
from service.model import MAX_DEPTH, TIME_RULE

T = TypeVar("T")

JSON_TYPE = "application/json"

_MESSAGE = re.compile(r"(?P<detail>.*?)(?: - at `\$(?P<path>.*)`)?\Z", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>.*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(?P<name>.*)`", re.DOTALL)
_WRONG_TYPE = re.compile(r"Expected `(?P<wanted>[a-z |]+)`(?:, got `(?P<given>\w+)`)?")
_BEYOND = "The number is out of range."
# For each of msgspec's errors about a value of the right type: the error code and the sentence of the response.
_REFUSED = (
    (re.compile(r"Number out of range"), "out_of_range", _BEYOND),
    (re.compile(r"Expected `datetime` with a timezone component|Invalid RFC3339 .*"), "wrong_form", TIME_RULE),
    (
        re.compile(r"Invalid (?:enum )?value .*", re.DOTALL),
        "not_allowed",
        "This value is not allowed; /docs lists those that are.",
    ),
)
_TYPES = {
    "object": "an object",
    "array": "an array",
    "str": "a string",
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "datetime": "an RFC 3339 time",
    "null": "null",
}
_HAS_DECIMAL = re.compile(r"Expected `int[^`]*`, got `float`").match
# Python refuses to convert longer integers (sys.set_int_max_str_digits).
_MOST_DIGITS = 400
# A double represents every integer up to this one exactly.
_MOST_EXACT = 2**53
_SHOWN = 40
_STEP = re.compile(r"\.(?P<name>[^.\[]+)|\[(?P<index>\d+)\]")
_NO_BRACKET = bytes(set(range(256)) - set(b"[]{}"))
_ONE_KIND = bytes.maketrans(b"{}", b"[]")
_STEP_OF = {ord("["): 1, ord("]"): -1}
_STRETCH = 128
_TOO_DEEP = f"The JSON is nested more than {MAX_DEPTH} levels deep. Flatten it, or send it as text."
_HALF_PAIR = "A string outside a message body contains an unpaired surrogate (\\ud800 to \\udfff). Remove it."
# The fields in which a batch has its messages, and the field in which a frame has its single message.
_LISTS = ("messages", "send")
_FRAMED = "message"
_BLANK = re.compile(r"[ \t\n\r]*")


def decode(decoder: msgspec.json.Decoder[T], data: bytes) -> T:
    """Decode a request to the decoder's type.

    Raises MalformedRequest if the data is not JSON, InvalidRequest if it is JSON but not of this type.
    """
    text = utf8(data)
    if data.count(b"[") + data.count(b"{") > MAX_DEPTH:
        check_depth(text)
    try:
        return decoder.decode(data)
    except msgspec.ValidationError as error:
        if not _HAS_DECIMAL(str(error)):
            raise _invalid(str(error)) from None
    except (msgspec.DecodeError, RecursionError):
        pass
    return _decode_exactly(decoder, text)


def integer(digits: str) -> int | float:
    """Return an integer, or infinity if it has more digits than Python converts; no field accepts such a number."""
    return int(digits) if len(digits) < _MOST_DIGITS else float(digits)


def is_absent(data: bytes) -> bool:
    """Return whether an optional body was left out. `null` counts as left out: many clients send it for no body."""
    return not data or data.strip(b" \t\n\r") == b"null"


def number(text: str) -> int | float:
    """Parse a number with a fraction or exponent; `1.0` and `1e2` become integers (JSON Schema, 6.1.1).

    Raises InvalidRequest for a number other than zero that a double would round to zero.
    """
    value = float(text)
    if value == 0 and text.lower().partition("e")[0].strip("-0.") != "":
        raise invalid("", "out_of_range", f"{text[:_SHOWN]} is too close to zero: it would be rounded to 0.")
    return int(value) if value.is_integer() and abs(value) <= _MOST_EXACT else value


def utf8(data: bytes) -> str:
    """Decode UTF-8, or raise MalformedRequest."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        message = f"The request is not valid UTF-8 at byte {error.start}. Send JSON in UTF-8, without a BOM."
        raise MalformedRequest(message) from None


def is_json(data: bytes) -> bool:
    """Return whether the data is a single JSON value (RFC 8259) nested at most MAX_DEPTH levels deep."""
    try:
        text = data.decode("utf-8")
        if data.count(b"[") + data.count(b"{") > MAX_DEPTH:
            check_depth(text)
        _value_end(text, _skip(text, 0), whole=True)
    except (UnicodeDecodeError, InvalidRequest, MalformedRequest):
        return False
    return True


def check_depth(text: str) -> None:
    """Raise InvalidRequest if the text is nested more than MAX_DEPTH levels deep."""
    # With escapes removed, every other piece between quotation marks is outside the strings.
    outside = text.replace("\\\\", "").replace('\\"', "").split('"')[::2]
    brackets = "".join(outside).encode().translate(_ONE_KIND, _NO_BRACKET)
    depth = 0
    for start in range(0, len(brackets), _STRETCH):
        stretch = brackets[start : start + _STRETCH]
        opening = stretch.count(b"[")
        # Only a stretch with enough opening brackets to reach the limit is examined bracket by bracket.
        if (
            depth + opening > MAX_DEPTH
            and max(accumulate(map(_STEP_OF.__getitem__, stretch), initial=depth)) > MAX_DEPTH
        ):
            raise invalid("", "too_deep", _TOO_DEEP)
        depth += 2 * opening - len(stretch)


def _invalid(message: str) -> InvalidRequest:
    """Turn msgspec's error message into an InvalidRequest with a JSON Pointer to the field."""
    match = _MESSAGE.match(message)
    assert match is not None  # noqa: S101 - the pattern matches every text
    pointer = pointer_of(*(step["name"] or step["index"] for step in _STEP.finditer(match["path"] or "")))
    detail = match["detail"]
    if unknown := _UNKNOWN.fullmatch(detail):
        return invalid(pointer + pointer_of(unknown["name"]), "unknown_field", "There is no such field.")
    if missing := _MISSING.fullmatch(detail):
        return invalid(pointer + pointer_of(missing["name"]), "missing", "This field is required.")
    for refused, code, sentence in _REFUSED:
        if refused.fullmatch(detail):
            return invalid(pointer, code, sentence)
    return invalid(pointer, "wrong_type", _of_type(detail))


def _of_type(detail: str) -> str:
    """Describe the expected type in JSON's terms."""
    match = _WRONG_TYPE.fullmatch(detail)
    if match is None:
        return f"{detail}."
    wanted = " or ".join(_TYPES[name] for name in match["wanted"].split(" | "))
    if match["given"] is None:
        return f"Must be {wanted}."
    given = "a decimal number" if match["given"] == "float" else _TYPES[match["given"]]
    return f"Must be {wanted}; this is {given}."


def _refuse_constant(name: str) -> NoReturn:
    message = f"{name} is not JSON"
    raise ValueError(message)


# Numbers stay strings, because Python cannot convert arbitrarily long ones.
_scanner = json.JSONDecoder(parse_constant=_refuse_constant, parse_int=str, parse_float=str)


def _value_end(text: str, start: int, *, whole: bool = False) -> int:
    """Return the end of the JSON value that starts at `start`; `whole`: only whitespace may follow it."""
    try:
        _, end = _scanner.raw_decode(text, start)
    except RecursionError:
        raise invalid("", "too_deep", _TOO_DEEP) from None
    except ValueError as error:
        raise malformed(text, str(error)) from None
    if whole and _skip(text, end) != len(text):
        raise malformed(text, f"there is extra data after the value, at character {end}")
    return end


def malformed(text: str, reason: str) -> MalformedRequest:
    """Return the problem for a text that is not JSON."""
    if text.startswith("\ufeff"):
        reason = "it begins with a byte order mark (BOM)"
    return MalformedRequest(f"The request is not JSON: {reason}. Send one JSON value in UTF-8.")


def _skip(text: str, position: int) -> int:
    match = _BLANK.match(text, position)
    return match.end() if match else position


def _members(text: str, start: int) -> Iterator[tuple[str, int, int]]:
    """Yield the name, start and end of each member of the object at `start`. The text must be valid JSON."""
    position = _skip(text, start + 1)
    while text[position] != "}":
        name, position = _scanner.raw_decode(text, position)
        value = _skip(text, _skip(text, position) + 1)
        end = _value_end(text, value)
        yield name, value, end
        position = _skip(text, end)
        if text[position] == ",":
            position = _skip(text, position + 1)


def elements(text: str) -> list[str]:
    """Return the elements of a JSON array as unparsed JSON.

    Raises MalformedRequest if the text is not an array, InvalidRequest if it is nested too deep.
    """
    check_depth(text)
    start = _skip(text, 0)
    _value_end(text, start, whole=True)
    if text[start] != "[":
        raise malformed(text, "it is not an array")
    return [text[element : _value_end(text, element)] for element in _elements(text, start)]


def _elements(text: str, start: int) -> Iterator[int]:
    """Yield the start of each element of the array at `start`. The text must be valid JSON."""
    position = _skip(text, start + 1)
    while text[position] != "]":
        yield position
        position = _skip(text, _value_end(text, position))
        if text[position] == ",":
            position = _skip(text, position + 1)


def _bodies(text: str, start: int) -> Iterator[tuple[int, int]]:
    """Yield the start and end of every message body in a request."""
    if text[start] != "{":
        return
    for name, value, end in _members(text, start):
        if name == "body":
            yield value, end
        elif name == _FRAMED:
            yield from _bodies(text, value)
        elif name in _LISTS and text[value] == "[":
            for element in _elements(text, value):
                yield from _bodies(text, element)


def _decode_exactly(decoder: msgspec.json.Decoder[T], text: str) -> T:
    """Decode a request that msgspec refused.

    Each body is replaced by its index, the rest is rewritten in a form that msgspec accepts and decoded, and the
    original bodies are put back.
    """
    start = _skip(text, 0)
    _value_end(text, start, whole=True)
    spans = list(_bodies(text, start))
    rest, position = [], 0
    for place, (begin, end) in enumerate(spans):
        rest += [text[position:begin], str(place)]
        position = end
    try:
        request = decoder.decode(_rewritten("".join([*rest, text[position:]])))
    except msgspec.ValidationError as error:
        raise _invalid(str(error)) from None
    for message in _messages(request):
        if getattr(message, "body", b""):
            begin, end = spans[int(bytes(message.body))]
            message.body = msgspec.Raw(text[begin:end].encode("utf-8"))
    return request


def _rewritten(text: str) -> bytes:
    """Rewrite JSON so that msgspec accepts it. Raises InvalidRequest for values that no field accepts."""
    try:
        document = json.loads(text, parse_float=number, parse_int=integer)
        return json.dumps(document, ensure_ascii=False, allow_nan=False).encode()
    except RecursionError:
        raise invalid("", "too_deep", _TOO_DEEP) from None
    except UnicodeEncodeError:
        raise invalid("", "invalid_text", _HALF_PAIR) from None
    except ValueError:
        raise invalid("", "out_of_range", _BEYOND) from None


def _messages(request: Any) -> list[Any]:
    """Return the messages of a request; each may have a body."""
    for name in _LISTS:
        if hasattr(request, name):
            return list(getattr(request, name))
    return [getattr(request, _FRAMED, request)]
