"""The JSON of Socket.IO packets. Arguments stay unparsed, so that message bodies are stored byte for byte."""

import contextlib
import json
import re
from typing import Any, TypeVar

import msgspec
from socketio import packet

from service.api.http.exact_json import decode, elements
from service.errors import InvalidRequest, MalformedRequest, Problem, invalid
from service.model import MAX_ERROR_BYTES

T = TypeVar("T")

_event = re.compile(r'\s*\[\s*"(?P<name>[^"\\]{1,128})"').match


class _Json:
    """Replaces the module `json` in python-socketio."""

    @staticmethod
    def dumps(value: Any, **_options: Any) -> str:
        """Serialize a value; `msgspec.Raw` is written unchanged."""
        return msgspec.json.encode(value).decode("utf-8", "surrogatepass")

    @staticmethod
    def loads(text: str, **_options: Any) -> Any:
        """Parse a packet's JSON. The arguments of an event or acknowledgement are returned as `msgspec.Raw`.

        If the arguments are invalid, a Problem replaces them, so that an invalid event does not end the connection.
        """
        try:
            return _arguments(text) if text.lstrip().startswith("[") else msgspec.json.decode(text)
        except (InvalidRequest, MalformedRequest) as problem:
            name = _event(text)
            return [name["name"], problem] if name else [problem]
        except (msgspec.DecodeError, RecursionError) as error:
            raise ValueError(str(error)) from None


class Packet(packet.Packet):  # type: ignore[misc] # the library has no types
    """A Socket.IO packet that uses `_Json`; python-socketio stores the JSON module as a class attribute."""

    json = _Json


def _arguments(text: str) -> list[Any]:
    written: list[Any] = [msgspec.Raw(element.encode("utf-8", "surrogatepass")) for element in elements(text)]
    # The first argument of an event is its name, which must be parsed; that of an acknowledgement can be anything.
    if written and not bytes(written[0]).startswith((b"{", b"[")):
        written[0] = value(written[0])
    return written


def read(decoder: msgspec.json.Decoder[T], argument: Any) -> T:
    """Decode an event's argument to the decoder's type. Raises InvalidRequest, MalformedRequest."""
    if isinstance(argument, Problem):
        raise argument
    if not isinstance(argument, msgspec.Raw):
        raise invalid("", "wrong_type", "Send exactly one argument, an object.")
    return decode(decoder, bytes(argument))


def value(argument: Any) -> Any:
    """Return the parsed value of an argument, or its text if it cannot be parsed."""
    if isinstance(argument, Problem):
        return argument.detail
    if not isinstance(argument, msgspec.Raw):
        return argument
    text = bytes(argument).decode("utf-8", "replace")
    with contextlib.suppress(ValueError, RecursionError):
        return json.loads(text)
    return text


def is_done(argument: Any) -> bool:
    """Return whether an acknowledgement reports success.

    Clients report success in many ways: no argument, null, true, "ok", or an object with `"status": "ok"` or a null
    `error`.
    """
    said = value(argument)
    if isinstance(said, dict):
        named = {"error", "status"} & said.keys()
        return bool(named) and said.get("error") is None and said.get("status", "ok") == "ok"
    return said is None or said is True or said == "ok"


def error_text(argument: Any) -> str:
    """Return a consumer's error text, truncated to MAX_ERROR_BYTES and without U+0000."""
    said = value(argument)
    text = said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)
    return text.replace("\x00", "").encode("utf-8", "replace")[:MAX_ERROR_BYTES].decode("utf-8", "ignore")
