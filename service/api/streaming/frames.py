"""The frames of a WebSocket stream, as JSON text."""

import json
import re
from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from service.api.http.exact_json import decode
from service.api.http.problems import problem_document
from service.api.messaging.drafts import Message
from service.api.messaging.receipts import Drop, ErrorText, Item, ReceiptText
from service.api.messaging.receives import Received
from service.errors import FieldError, InvalidRequest, MalformedRequest, Problem

_MAX_REF = 128

Ref = Annotated[
    str | int | None, Meta(description="Chosen by the client and repeated in the result; at most 128 characters.")
]


class _Frame(Struct, forbid_unknown_fields=True, tag_field="type", kw_only=True):
    """A frame sent by the client."""


class CreditFrame(_Frame, tag="credit"):
    """Allow the server to send up to `n` more messages. Each message that is sent uses one."""

    n: Annotated[int, Meta(description="1 to 1000; at most 1000 together with unused credit.")]


class _Settle(_Frame, kw_only=True):
    """A frame that settles a received message."""

    receipt: ReceiptText
    ref: Ref = None


class AckFrame(_Settle, tag="ack"):
    """Delete the message: it has been processed."""


class ExtendFrame(_Settle, tag="extend", kw_only=True):
    """Set the end of the lease to `visibility_timeout` seconds from now."""

    visibility_timeout: float


class ReleaseFrame(_Settle, tag="release"):
    """Return the message to its queue."""

    delay: float | None = None
    error: ErrorText = None
    count: bool = True


class RejectFrame(_Settle, tag="reject"):
    """Report that the message cannot be processed."""

    error: ErrorText = None
    drop: Drop = False


class SendFrame(_Frame, tag="send", kw_only=True):
    """Send a message to a queue."""

    message: Message
    queue: Annotated[str | None, Meta(description="The queue to send to; default: the queue of the stream.")] = None
    ref: Ref = None


class PublishFrame(_Frame, tag="publish", kw_only=True):
    """Publish a message to a topic. The result has the message's `id`, `delivered_to` and `duplicate`."""

    topic: str
    message: Message
    ref: Ref = None


class AuthFrame(_Frame, tag="auth"):
    """Authenticate, as the first frame, if the handshake had no key. `project` is the header Restante-Project."""

    key: str
    project: str | None = None


ClientFrame = CreditFrame | AckFrame | ExtendFrame | ReleaseFrame | RejectFrame | SendFrame | PublishFrame | AuthFrame

_decoder: msgspec.json.Decoder[ClientFrame] = msgspec.json.Decoder(ClientFrame)


class BadFrame(Exception):  # noqa: N818 - named after the frame
    """The client sent an unreadable frame, so the connection must be closed."""

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        self.problem = problem


class _KnownFields(Struct):
    type: str
    ref: Any = None


_known = msgspec.json.Decoder(_KnownFields)
_TYPES = frozenset({"credit", "ack", "extend", "release", "reject", "send", "publish", "auth"})
# An object's member whose value is not nested, and all members after the last nested one.
_MEMBER = r'\s*"(?P<name>\w{1,20})"\s*:\s*(?P<value>"(?:[^"\\]|\\.){0,2000}"|[-+.\w]{1,40})\s*'
_member = re.compile(rf"{_MEMBER},").match
_last_members = re.compile(rf"(?:,{_MEMBER.replace('?P<name>', '?:').replace('?P<value>', '?:')})+\}}\s*\Z").search
_END = 4096


def read(text: str | None) -> ClientFrame:
    """Parse a client's frame. Raises BadFrame, or InvalidRequest if the frame has a known type and an invalid field."""
    if text is None:
        raise BadFrame(MalformedRequest("Send frames as text with JSON; this one is binary."))
    data = text.encode("utf-8", "surrogatepass")
    try:
        frame = decode(_decoder, data)
    except MalformedRequest as problem:
        raise BadFrame(problem) from None
    except InvalidRequest as problem:
        if _known_of(text).type not in _TYPES:
            raise BadFrame(problem) from None
        raise
    ref = getattr(frame, "ref", None)
    if isinstance(ref, str) and len(ref) > _MAX_REF:
        raise BadFrame(MalformedRequest(f"`ref` must have at most {_MAX_REF} characters."))
    return frame


def ref_of(text: str) -> Any:
    """Return the `ref` of an invalid frame, or None if it has no valid one."""
    ref = _known_of(text).ref
    return ref if isinstance(ref, int) or (isinstance(ref, str) and len(ref) <= _MAX_REF) else None


def _known_of(text: str) -> _KnownFields:
    """Return type and ref of a JSON frame, even if other members have unpaired surrogates or nest too deep."""
    try:
        return _known.decode(text.encode("utf-8", "surrogatepass"))
    except msgspec.ValidationError:
        return _KnownFields("")
    except (msgspec.DecodeError, RecursionError):
        outer = dict(_outer_members(text))
        return _KnownFields(str(outer.get("type")), outer.get("ref"))


def _outer_members(text: str) -> Iterator[tuple[str, Any]]:
    """Yield an object's members before its first nested member and after its last."""
    position = text.find("{") + 1
    while match := _member(text, position):
        yield match["name"], json.loads(match["value"])
        position = match.end()
    if last := _last_members(text, max(position, len(text) - _END)):
        yield from json.loads("{" + last[0][1:]).items()


def item_of(frame: AckFrame | ExtendFrame | ReleaseFrame | RejectFrame) -> Item:
    """Return the batch item that is equivalent to a frame."""
    if isinstance(frame, AckFrame):
        return Item(frame.receipt, "delete")
    if isinstance(frame, ExtendFrame):
        return Item(frame.receipt, "extend", visibility_timeout=frame.visibility_timeout)
    if isinstance(frame, ReleaseFrame):
        return Item(frame.receipt, "release", delay=frame.delay, error=frame.error, count=frame.count)
    return Item(frame.receipt, "reject", error=frame.error, drop=frame.drop)


class MessageFrame(Struct, tag="message", tag_field="type"):
    """A message leased to this connection."""

    message: Received


class ReadyFrame(Struct, tag="ready", tag_field="type"):
    """The client is authenticated and may grant credit."""


class ErrorFrame(Struct, tag="error", tag_field="type"):
    """An error that ends the connection; the server closes it after this frame."""

    problem: dict[str, Any]


class ResultFrame(Struct, tag="result", tag_field="type"):
    """The result of a frame. `status` is `ok` or an error code. After a send it also has the fields of its response."""

    ref: Ref
    status: str
    detail: str | msgspec.UnsetType = msgspec.UNSET
    errors: Annotated[
        list[FieldError] | msgspec.UnsetType,
        Meta(description="The invalid fields of a refused frame, as in a problem."),
    ] = msgspec.UNSET
    lease_expires_at: str | msgspec.UnsetType = msgspec.UNSET


# Added to the schemas of the OpenAPI document, which cannot describe WebSockets otherwise.
KINDS: list[type] = [
    AuthFrame,
    CreditFrame,
    AckFrame,
    ExtendFrame,
    ReleaseFrame,
    RejectFrame,
    SendFrame,
    PublishFrame,
    ReadyFrame,
    MessageFrame,
    ResultFrame,
    ErrorFrame,
]
READY = msgspec.json.encode(ReadyFrame()).decode()


def done(ref: Any, more: bytes = b"") -> str:
    """Return the result frame of a success; `more`: further members, as JSON that begins with a comma."""
    return (b'{"type":"result","ref":%b,"status":"ok"%b}' % (msgspec.json.encode(ref), more)).decode()


def failed(ref: Any, problem: Problem) -> str:
    """Return the result frame of a failure."""
    errors = list(problem.errors) or msgspec.UNSET
    told = ResultFrame(ref, problem.problem_code, problem.detail, errors)
    return msgspec.json.encode(told).decode()


def error(problem: Problem, request_id: str) -> str:
    """Return the error frame that is sent before the connection is closed."""
    return msgspec.json.encode({"type": "error", "problem": problem_document(problem, request_id)}).decode()
