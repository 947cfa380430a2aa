r"""Reading JSON requests in which a message's body has to stay byte for byte.

msgspec does the work and keeps `body` as it came (`msgspec.Raw`). It refuses one thing that is JSON: half a surrogate
pair, such as `\ud800`, in a string. What it refuses is read again by a slow, exact scanner that tells what is no
JSON (400) from what is (a body may hold anything; elsewhere half a pair is 422).
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

_MESSAGE = re.compile(r"(?P<detail>.*?)(?: - at `\$(?P<path>.*)`)?\Z", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>.*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(?P<name>.*)`", re.DOTALL)
_WRONG_TYPE = re.compile(r"Expected `(?P<wanted>[a-z |]+)`(?:, got `(?P<given>\w+)`)?")
# What msgspec says of a value that has the type and is still none: the code, and our sentence.
_REFUSED = (
    (re.compile(r"Number out of range"), "out_of_range", "This number is beyond all bounds."),
    (re.compile(r"Expected `datetime` with a timezone component|Invalid RFC3339 .*"), "wrong_form", TIME_RULE),
    (re.compile(r"Invalid (?:enum )?value .*", re.DOTALL), "not_allowed", "This is none of the values that there are."),
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
_STEP = re.compile(r"\.(?P<name>[^.\[]+)|\[(?P<index>\d+)\]")
_NO_BRACKET = bytes(set(range(256)) - set(b"[]{}"))
_ONE_KIND = bytes.maketrans(b"{}", b"[]")
_STEP_OF = {ord("["): 1, ord("]"): -1}
_STRETCH = 128
_TOO_DEEP = f"The JSON nests more than {MAX_DEPTH} levels. Flatten it, or send it as text."
_HALF_PAIR = "A string outside a body holds half a surrogate pair (\\ud800 to \\udfff)."
# What a request calls its messages, if it has several.
_LISTS = ("messages", "send")
_BLANK = re.compile(r"[ \t\n\r]*")


def decode(decoder: msgspec.json.Decoder[T], data: bytes) -> T:
    """Return the request as the decoder's type.

    Raises MalformedRequest when it is not JSON, InvalidRequest when it is JSON but not of this type.
    """
    text = utf8(data)
    if data.count(b"[") + data.count(b"{") > MAX_DEPTH:
        check_depth(text)
    try:
        return decoder.decode(data)
    except msgspec.ValidationError as error:
        raise _invalid(str(error)) from None
    except (msgspec.DecodeError, RecursionError):
        return _decode_exactly(decoder, text)


def utf8(data: bytes) -> str:
    """Return the text, or raise MalformedRequest."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        message = f"The request is not UTF-8: octet {error.start} cannot be read. Send JSON in UTF-8, without BOM."
        raise MalformedRequest(message) from None


def is_json(data: bytes) -> bool:
    """Tell whether these octets are one JSON text (RFC 8259), nested no deeper than the service reads."""
    try:
        text = data.decode("utf-8")
        if data.count(b"[") + data.count(b"{") > MAX_DEPTH:
            check_depth(text)
        _value_end(text, _skip(text, 0), whole=True)
    except (UnicodeDecodeError, InvalidRequest, MalformedRequest):
        return False
    return True


def check_depth(text: str) -> None:
    """Raise InvalidRequest when the text nests deeper than MAX_DEPTH."""
    # Without escapes, every second piece between quotes is outside the strings.
    outside = text.replace("\\\\", "").replace('\\"', "").split('"')[::2]
    brackets = "".join(outside).encode().translate(_ONE_KIND, _NO_BRACKET)
    depth = 0
    for start in range(0, len(brackets), _STRETCH):
        stretch = brackets[start : start + _STRETCH]
        opening = stretch.count(b"[")
        # Most stretches cannot reach the limit; only one that could is walked through.
        if (
            depth + opening > MAX_DEPTH
            and max(accumulate(map(_STEP_OF.__getitem__, stretch), initial=depth)) > MAX_DEPTH
        ):
            raise invalid("", "too_deep", _TOO_DEEP)
        depth += 2 * opening - len(stretch)


def _invalid(message: str) -> InvalidRequest:
    """Turn msgspec's sentence into the problem of one field, with a JSON Pointer."""
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
    """Say in JSON's words which type is expected."""
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


# Numbers stay text: none is too large to be looked at.
_scanner = json.JSONDecoder(parse_constant=_refuse_constant, parse_int=str, parse_float=str)


def _value_end(text: str, start: int, *, whole: bool = False) -> int:
    """Return where the JSON value that starts here ends; `whole`: nothing but blanks may follow."""
    try:
        _, end = _scanner.raw_decode(text, start)
    except RecursionError:
        raise invalid("", "too_deep", _TOO_DEEP) from None
    except ValueError as error:
        raise malformed(text, str(error)) from None
    if whole and _skip(text, end) != len(text):
        raise malformed(text, f"something follows the value at character {end}")
    return end


def malformed(text: str, reason: str) -> MalformedRequest:
    """Return the problem of a text that is not JSON."""
    if text.startswith("\ufeff"):
        reason = "it begins with a byte order mark (BOM)"
    return MalformedRequest(f"The request is not JSON: {reason}. Send one JSON value in UTF-8.")


def _skip(text: str, position: int) -> int:
    match = _BLANK.match(text, position)
    return match.end() if match else position


def _members(text: str, start: int) -> Iterator[tuple[str, int, int]]:
    """Yield name, start and end of each value of the object that starts here. The text is known to be JSON."""
    position = _skip(text, start + 1)
    while text[position] != "}":
        name, position = _scanner.raw_decode(text, position)
        value = _skip(text, _skip(text, position) + 1)
        end = _value_end(text, value)
        yield name, value, end
        position = _skip(text, end)
        if text[position] == ",":
            position = _skip(text, position + 1)


def _elements(text: str, start: int) -> Iterator[int]:
    """Yield where each element of the array that starts here begins. The text is known to be JSON."""
    position = _skip(text, start + 1)
    while text[position] != "]":
        yield position
        position = _skip(text, _value_end(text, position))
        if text[position] == ",":
            position = _skip(text, position + 1)


def _bodies(text: str, start: int) -> Iterator[tuple[int, int]]:
    """Yield start and end of every message body of a request, batch or not."""
    if text[start] != "{":
        return
    for name, value, end in _members(text, start):
        if name == "body":
            yield value, end
        elif name in _LISTS and text[value] == "[":
            for element in _elements(text, value):
                yield from _bodies(text, element)


def _decode_exactly(decoder: msgspec.json.Decoder[T], text: str) -> T:
    """Read a request that msgspec refused: bodies are set aside, and put back as they came."""
    start = _skip(text, 0)
    _value_end(text, start, whole=True)
    spans = list(_bodies(text, start))
    rest, position = [], 0
    for number, (begin, end) in enumerate(spans):
        rest += [text[position:begin], str(number)]
        position = end
    try:
        request = decoder.decode("".join([*rest, text[position:]]))
    except msgspec.ValidationError as error:
        raise _invalid(str(error)) from None
    except msgspec.DecodeError:
        raise invalid("", "invalid_text", _HALF_PAIR) from None
    messages: list[Any] = next((getattr(request, name) for name in _LISTS if hasattr(request, name)), [request])
    for message in messages:
        if getattr(message, "body", b""):
            begin, end = spans[int(bytes(message.body))]
            message.body = msgspec.Raw(text[begin:end].encode("utf-8"))
    return request
