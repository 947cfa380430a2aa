"""The frames of a stream: what client and server say on a WebSocket, as JSON text."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from service.api.drafts import Message
from service.api.exact_json import decode
from service.api.messages import Received
from service.api.problems import problem_document
from service.api.receipts import ErrorText, Item, ReceiptText
from service.errors import FieldError, InvalidRequest, MalformedRequest, Problem

_MAX_REF = 128

Ref = Annotated[
    str | int | None, Meta(description="Of the client's own: the result has it too. At most 128 characters.")
]


class _Frame(Struct, forbid_unknown_fields=True, tag_field="type", kw_only=True):
    """A client's frame."""


class CreditFrame(_Frame, tag="credit"):
    """Let so many messages more be sent. Each that is sent uses up one."""

    n: Annotated[int, Meta(description="1 to 1000, with what is outstanding.")]


class _Settle(_Frame, kw_only=True):
    """A frame about a message that was received."""

    receipt: ReceiptText
    ref: Ref = None


class AckFrame(_Settle, tag="ack"):
    """The message is done."""


class ExtendFrame(_Settle, tag="extend", kw_only=True):
    """Hold it so many seconds from now."""

    visibility_timeout: float


class ReleaseFrame(_Settle, tag="release"):
    """Back to the queue."""

    delay: float | None = None
    error: ErrorText = None
    count: bool = True


class RejectFrame(_Settle, tag="reject"):
    """It cannot be processed."""

    error: ErrorText = None


class SendFrame(_Frame, tag="send", kw_only=True):
    """Store a message."""

    message: Message
    queue: Annotated[str | None, Meta(description="Where to; default: the queue of the stream.")] = None
    ref: Ref = None


class AuthFrame(_Frame, tag="auth"):
    """The first frame, where the key could not be given before; `project` stands for the header Restante-Project."""

    key: str
    project: str | None = None


ClientFrame = CreditFrame | AckFrame | ExtendFrame | ReleaseFrame | RejectFrame | SendFrame | AuthFrame

_decoder: msgspec.json.Decoder[ClientFrame] = msgspec.json.Decoder(ClientFrame)


class BadFrame(Exception):  # noqa: N818 - it says what came
    """A frame that is none: the connection ends."""

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        self.problem = problem


class _Known(Struct):
    type: str
    ref: Any = None


_known = msgspec.json.Decoder(_Known)
_TYPES = frozenset({"credit", "ack", "extend", "release", "reject", "send", "auth"})


def read(text: str | None) -> ClientFrame:
    """Return a client's frame. Raises BadFrame, and InvalidRequest for a frame of a known type with a wrong field."""
    if text is None:
        raise BadFrame(MalformedRequest("Frames are JSON as text; this one is octets."))
    data = text.encode("utf-8", "surrogatepass")
    try:
        frame = decode(_decoder, data)
    except MalformedRequest as problem:
        raise BadFrame(problem) from None
    except InvalidRequest as problem:
        if _type_of(data) not in _TYPES:
            raise BadFrame(problem) from None
        raise
    ref = getattr(frame, "ref", None)
    if isinstance(ref, str) and len(ref) > _MAX_REF:
        raise BadFrame(MalformedRequest(f"A ref has at most {_MAX_REF} characters."))
    return frame


def _type_of(data: bytes) -> str | None:
    try:
        return _known.decode(data).type
    except msgspec.MsgspecError:
        return None


def ref_of(text: str) -> Any:
    """Return the ref of a frame that has something wrong, if it has one that can be given back."""
    try:
        ref = _known.decode(text.encode("utf-8", "surrogatepass")).ref
    except msgspec.MsgspecError:
        return None
    return ref if isinstance(ref, int) or (isinstance(ref, str) and len(ref) <= _MAX_REF) else None


def item_of(frame: AckFrame | ExtendFrame | ReleaseFrame | RejectFrame) -> Item:
    """Return what a frame asks for, as an item of a batch of settles does."""
    if isinstance(frame, AckFrame):
        return Item(frame.receipt, "delete")
    if isinstance(frame, ExtendFrame):
        return Item(frame.receipt, "extend", visibility_timeout=frame.visibility_timeout)
    if isinstance(frame, ReleaseFrame):
        return Item(frame.receipt, "release", delay=frame.delay, error=frame.error, count=frame.count)
    return Item(frame.receipt, "reject", error=frame.error)


class MessageFrame(Struct, tag="message", tag_field="type"):
    """A message, leased to this connection."""

    message: Received


class ReadyFrame(Struct, tag="ready", tag_field="type"):
    """The connection was let in."""


class ErrorFrame(Struct, tag="error", tag_field="type"):
    """What is wrong with the connection, which is closed after it."""

    problem: dict[str, Any]


class ResultFrame(Struct, tag="result", tag_field="type"):
    """What became of a frame: `ok`, or the code of the problem it had. Of a send also what a send answers."""

    ref: Ref
    status: str
    detail: str | msgspec.UnsetType = msgspec.UNSET
    errors: Annotated[
        list[FieldError] | msgspec.UnsetType, Meta(description="The wrong fields of a refused frame, as in a problem.")
    ] = msgspec.UNSET
    lease_expires_at: str | msgspec.UnsetType = msgspec.UNSET


# For the OpenAPI document, which knows no WebSockets.
KINDS: list[type] = [
    AuthFrame,
    CreditFrame,
    AckFrame,
    ExtendFrame,
    ReleaseFrame,
    RejectFrame,
    SendFrame,
    ReadyFrame,
    MessageFrame,
    ResultFrame,
    ErrorFrame,
]
READY = msgspec.json.encode(ReadyFrame()).decode()


def done(ref: Any, more: bytes = b"") -> str:
    """Return the frame that says that something was done; `more`: members of its own."""
    return (b'{"type":"result","ref":%b,"status":"ok"%b}' % (msgspec.json.encode(ref), more)).decode()


def failed(ref: Any, problem: Problem) -> str:
    """Return the frame that says that something was not done, and why."""
    errors = list(problem.errors) or msgspec.UNSET
    told = ResultFrame(ref, problem.problem_code, problem.detail, errors)
    return msgspec.json.encode(told).decode()


def error(problem: Problem, request_id: str) -> str:
    """Return the frame that tells of a problem with the connection."""
    return msgspec.json.encode({"type": "error", "problem": problem_document(problem, request_id)}).decode()
