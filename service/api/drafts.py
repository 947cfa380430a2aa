"""Drafts: what a request says of a message to send, read and checked."""

import re
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from service import model
from service.api.exact_json import decode, is_json, utf8
from service.errors import FieldError, InvalidRequest, MalformedRequest, invalid
from service.model import Draft
from service.store.clock import EPOCH

JSON_TYPE = "application/json"
_HOP = model.HOP.encode()
# Of the caller, and of a webhook that pushes messages on to here.
_NOT_OF_MESSAGES = frozenset({b"restante-project", b"restante-queue", b"restante-attempt", _HOP})
OCTETS = "application/octet-stream"
_MOST_TYPE = 256

_is_token = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}\Z").match
_is_media_type = re.compile(r"[!#$&^_.+0-9A-Za-z-]+/[!#$&^_.+0-9A-Za-z-]+(?:[ \t]*;[ -~]*)?\Z").match
_is_json_type = re.compile(r"application/json[ \t]*(?:;|\Z)|[^;]+/[^;]*\+json[ \t]*(?:;|\Z)", re.IGNORECASE).match
_has_control = re.compile("[\x00-\x1f\x7f-\x9f]").search
_is_traceparent = re.compile(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(?:-[!-~]{0,200})?\Z").match
_is_tracestate = re.compile(rb"[ -~]{1,512}\Z").match
_is_number = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,9})?\Z").match
_is_idempotency_key = re.compile(rb'(?:"(?P<quoted>[!#-~ ]{1,128})"|(?P<bare>[!#-~][!-~]{0,127}))\Z').match


class Message(Struct, forbid_unknown_fields=True):
    """A message to send."""

    body: Annotated[msgspec.Raw, Meta(description="Any JSON value; kept byte for byte.")] = msgspec.field(
        default_factory=msgspec.Raw
    )
    body_base64: Annotated[str | None, Meta(description="Instead of `body`: octets in base64 (RFC 4648).")] = None
    content_type: Annotated[
        str | None,
        Meta(description="Beside `body` a JSON type, default application/json; else default application/octet-stream."),
    ] = None
    headers: Annotated[
        dict[str, str] | None,
        Meta(
            description="Up to 64 pairs. Names are tokens, given back in lower case; values without control characters."
        ),
    ] = None
    delay: Annotated[
        float | None, Meta(description="Seconds until it becomes visible, 0 to 31536000; default: the queue's.")
    ] = None
    deliver_at: Annotated[
        Annotated[datetime, Meta(tz=True)] | None, Meta(description="Instead of `delay`: a time (RFC 3339); past: now.")
    ] = None
    ttl: Annotated[
        float | None,
        Meta(description="Seconds it is kept once it is visible, 1 to 31536000; default: the queue's retention."),
    ] = None
    priority: Annotated[int | None, Meta(description="0 (default) to 9, the highest first; standard queues only.")] = (
        None
    )
    group: Annotated[
        str | None,
        Meta(description="1 to 128 characters. In a fifo queue the messages of a group are in order; else shown."),
    ] = None
    deduplication_id: Annotated[
        str | None,
        Meta(
            description="1 to 128 characters: sent again to this queue within its deduplication window, nothing is "
            "stored and the first message's id is answered."
        ),
    ] = None


class Batch(Struct, forbid_unknown_fields=True):
    """Messages that are stored wholly or not at all, in order."""

    messages: Annotated[list[Message], Meta(description="1 to 1000 messages.")]


_message_decoder = msgspec.json.Decoder(Message)
_batch_decoder = msgspec.json.Decoder(Batch)


def one_draft(body: bytes) -> Draft:
    """Return the message of a request. Raises MalformedRequest, InvalidRequest."""
    message = decode(_message_decoder, body)
    errors: list[FieldError] = []
    draft = draft_of(message, "", errors)
    if errors:
        raise InvalidRequest(errors)
    return draft


def batch_drafts(body: bytes) -> list[Draft]:
    """Return the messages of a request that has several. Raises MalformedRequest, InvalidRequest."""
    messages = decode(_batch_decoder, body).messages
    if not 1 <= len(messages) <= model.MAX_BATCH:
        detail = f"A batch has 1 to {model.MAX_BATCH} messages, this one {len(messages)}."
        raise invalid("/messages", "out_of_range", detail)
    errors: list[FieldError] = []
    drafts = [draft_of(message, f"/messages/{position}", errors) for position, message in enumerate(messages)]
    if errors:
        raise InvalidRequest(errors)
    return drafts


def duration(
    seconds: float | None, pointer: str, errors: list[FieldError], least: timedelta, most: timedelta
) -> timedelta | None:
    """Return seconds as a duration in whole milliseconds; what is out of range becomes an error."""
    if seconds is None:
        return None
    if not least.total_seconds() <= seconds <= most.total_seconds():
        bounds = f"{least.total_seconds():g} to {most.total_seconds():.0f} seconds"
        errors.append(out_of_range(pointer, bounds, seconds))
        return None
    return timedelta(milliseconds=round(seconds * 1000))


def out_of_range(pointer: str, bounds: str, value: object) -> FieldError:
    """Return the error of a value that is not within its bounds."""
    return FieldError(pointer, "out_of_range", f"Must be {bounds}; this is {value}.")


def draft_of(message: Message, pointer: str, errors: list[FieldError]) -> Draft:
    """Return the message as it is going to be stored; what is wrong with it goes into `errors`."""
    body = bytes(message.body)
    plain = message.body_base64 is None and body
    draft = Draft(body, len(body)) if plain else _octets(message, body, pointer, errors)
    if message.content_type is not None:
        draft.content_type = _content_type(message.content_type, draft, pointer, errors)
    if message.headers:
        _put_headers(draft, message.headers.items(), f"{pointer}/headers", errors)
    if message.delay is not None or message.deliver_at is not None:
        _put_delay(draft, message, pointer, errors)
    if message.ttl is not None:
        draft.ttl = duration(message.ttl, f"{pointer}/ttl", errors, model.SECOND, model.MAX_RETENTION)
    if message.priority is not None:
        draft.urgency = _urgency(message.priority, f"{pointer}/priority", errors)
    if message.group is not None:
        draft.group = _label(message.group, model.MAX_GROUP, f"{pointer}/group", errors)
    if message.deduplication_id is not None:
        place = f"{pointer}/deduplication_id"
        draft.deduplication_id = _label(message.deduplication_id, model.MAX_DEDUPLICATION_ID, place, errors)
    return draft


def _octets(message: Message, body: bytes, pointer: str, errors: list[FieldError]) -> Draft:
    """Return a draft of `body_base64`, which stands alone."""
    octets = b""
    if message.body_base64 is None:
        errors.append(FieldError(f"{pointer}/body", "missing", "A message has a body: give `body` or `body_base64`."))
    elif body:
        errors.append(FieldError(f"{pointer}/body_base64", "conflict", "Give `body` or `body_base64`, not both."))
    else:
        try:
            octets = b64decode(message.body_base64, validate=True)
        except (NotBase64, ValueError):
            detail = "This is not base64 (RFC 4648, section 4)."
            errors.append(FieldError(f"{pointer}/body_base64", "invalid_base64", detail))
    return Draft(octets, len(octets), is_json=False, content_type=OCTETS)


def _content_type(content_type: str, draft: Draft, pointer: str, errors: list[FieldError]) -> str | None:
    if len(content_type) > _MOST_TYPE or not _is_media_type(content_type):
        detail = f"Must be type/subtype, at most {_MOST_TYPE} characters."
        errors.append(FieldError(f"{pointer}/content_type", "invalid_media_type", detail))
    elif draft.is_json and not _is_json_type(content_type):
        detail = "Beside `body` this must be a JSON type; send other types with `body_base64` or to /raw."
        errors.append(FieldError(f"{pointer}/content_type", "not_json_type", detail))
    return None if draft.is_json and content_type == JSON_TYPE else content_type


def _raw_type(content_type: str, draft: Draft, errors: list[FieldError]) -> str | None:
    """Keep whatever the sender calls it."""
    if len(content_type) > _MOST_TYPE:
        errors.append(out_of_range("/header/content-type", f"at most {_MOST_TYPE} characters", len(content_type)))
    elif _has_control(content_type):
        errors.append(FieldError("/header/content-type", "control_character", "Control characters cannot be sent."))
    return None if draft.is_json and content_type == JSON_TYPE else content_type


def _put_headers(draft: Draft, pairs: Iterable[tuple[str, str]], pointer: str, errors: list[FieldError]) -> None:
    headers = {}
    for name, value in pairs:
        if not _is_token(name):
            errors.append(FieldError(pointer, "invalid_name", f"{name[:130]!r} is not a token of 1 to 128 characters."))
        elif _has_control(value):
            place = f"{pointer}/{name.replace('~', '~0')}"
            errors.append(FieldError(place, "control_character", "Control characters cannot be sent."))
        headers[name.lower()] = value
    if len(headers) > model.MAX_HEADERS:
        errors.append(out_of_range(pointer, f"at most {model.MAX_HEADERS} headers", len(headers)))
    if headers:
        draft.headers = msgspec.json.encode(headers)
        draft.size += sum(len(name) + len(value.encode()) for name, value in headers.items())


def _put_delay(draft: Draft, message: Message, pointer: str, errors: list[FieldError]) -> None:
    if message.delay is not None and message.deliver_at is not None:
        errors.append(FieldError(f"{pointer}/deliver_at", "conflict", "Give `delay` or `deliver_at`, not both."))
    draft.delay = duration(message.delay, f"{pointer}/delay", errors, model.NOTHING, model.MAX_DELAY)
    # A day more than the limit: our clock is not the database's.
    latest = datetime.now(UTC) + model.MAX_DELAY + model.DAY
    if message.deliver_at is not None and message.deliver_at > latest:
        errors.append(out_of_range(f"{pointer}/deliver_at", "at most 365 days ahead", message.deliver_at.isoformat()))
    elif message.deliver_at is not None:
        # What is past is now; in UTC the calendar's first hours are none.
        draft.deliver_at = max(message.deliver_at, EPOCH)


def raw_draft(body: bytes, headers: dict[bytes, bytes]) -> Draft:
    """Return the draft of a raw body, which is received as JSON when its type says so and it is."""
    errors: list[FieldError] = []
    draft = Draft(body, len(body), is_json=False, content_type=OCTETS)
    if b"content-type" in headers:
        content_type = headers[b"content-type"].decode("latin-1").strip()
        draft.is_json = _is_json_type(content_type) is not None and is_json(body)
        draft.content_type = _raw_type(content_type, draft, errors)
    pairs = []
    for name, value in headers.items():
        if not name.startswith(b"restante-") or name in _NOT_OF_MESSAGES:
            continue
        text = _header_text(name, value)
        if name.startswith(b"restante-header-"):
            pairs.append((name.removeprefix(b"restante-header-").decode("latin-1"), text))
        else:
            _put_raw(draft, name, text, errors)
    if pairs:
        _put_headers(draft, pairs, "/header", errors)
    if errors:
        raise InvalidRequest(errors)
    return draft


def _put_raw(draft: Draft, name: bytes, text: str, errors: list[FieldError]) -> None:
    """Take in what one Restante header says of the message."""
    if name == b"restante-delay":
        draft.delay = _header_duration(name, text, errors, model.NOTHING, model.MAX_DELAY)
    elif name == b"restante-ttl":
        draft.ttl = _header_duration(name, text, errors, model.SECOND, model.MAX_RETENTION)
    elif name == b"restante-group":
        draft.group = _label(text, model.MAX_GROUP, header_pointer(name), errors)
    elif name == b"restante-deduplication-id":
        draft.deduplication_id = _label(text, model.MAX_DEDUPLICATION_ID, header_pointer(name), errors)
    elif name == b"restante-priority":
        draft.urgency = _header_urgency(name, text, errors)
    else:
        errors.append(FieldError(header_pointer(name), "unknown_field", "There is no such Restante header."))


def header_pointer(name: bytes) -> str:
    """Return the pointer of a header."""
    return f"/header/{name.decode('latin-1')}"


def _header_text(name: bytes, value: bytes) -> str:
    try:
        return utf8(value)
    except MalformedRequest:
        raise invalid(header_pointer(name), "invalid_text", "The header's value is not UTF-8.") from None


def _header_duration(
    name: bytes, text: str, errors: list[FieldError], least: timedelta, most: timedelta
) -> timedelta | None:
    pointer = header_pointer(name)
    if not _is_number(text):
        errors.append(FieldError(pointer, "wrong_type", "Must be a number of seconds such as 5 or 0.5."))
        return None
    return duration(float(text), pointer, errors, least, most)


def _urgency(priority: int, pointer: str, errors: list[FieldError]) -> int:
    if not 0 <= priority <= model.LEAST_URGENT:
        errors.append(out_of_range(pointer, "a priority of 0 to 9", priority))
        return model.LEAST_URGENT
    return model.LEAST_URGENT - priority


def _header_urgency(name: bytes, text: str, errors: list[FieldError]) -> int:
    pointer = header_pointer(name)
    if not (text.isascii() and text.isdigit()):
        errors.append(FieldError(pointer, "wrong_type", "Must be a number of 0 to 9."))
        return model.LEAST_URGENT
    return _urgency(int(text[:9]), pointer, errors)


def _label(label: str, most: int, pointer: str, errors: list[FieldError]) -> str:
    if not 1 <= len(label) <= most:
        errors.append(out_of_range(pointer, f"1 to {most} characters", len(label)))
    elif _has_control(label):
        errors.append(FieldError(pointer, "control_character", "Control characters cannot be sent."))
    return label


def idempotency_key(headers: dict[bytes, bytes]) -> str | None:
    """Return the Idempotency-Key, without the quotes that its draft standard has around it. Raises MalformedRequest."""
    value = headers.get(b"idempotency-key")
    if value is None:
        return None
    match = _is_idempotency_key(value)
    if match is None:
        raise MalformedRequest("An Idempotency-Key has 1 to 128 visible ASCII characters, in quotes or without.")
    return (match["quoted"] or match["bare"]).decode("ascii")


def keep_key(draft: Draft, headers: dict[bytes, bytes], pointer: str) -> None:
    """Let an Idempotency-Key stand for the message's own id, which is at `pointer`. Raises a Problem."""
    if (key := idempotency_key(headers)) is not None:
        if draft.deduplication_id not in (None, key):
            raise invalid(pointer, "conflict", "The Idempotency-Key is another one. Give one of the two.")
        draft.deduplication_id = key


def keep_context(drafts: list[Draft], headers: dict[bytes, bytes]) -> None:
    """Let messages keep what their request is part of: a trace, a way from queue to queue. Raises InvalidRequest."""
    _keep_trace(drafts, headers)
    if (value := headers.get(_HOP)) is not None:
        _keep_hop(drafts, value)


def _keep_hop(drafts: list[Draft], value: bytes) -> None:
    """Let messages keep how often webhooks pushed them on to this service itself: no circle goes on for ever."""
    if not (value.isdigit() and int(value[:9]) <= model.MAX_HOPS):
        detail = f"Must be a number of 0 to {model.MAX_HOPS}: beyond that, webhooks push messages round in a circle."
        raise invalid(header_pointer(_HOP), "too_many_hops", detail)
    for draft in drafts:
        headers = msgspec.json.decode(draft.headers, type=dict[str, str]) if draft.headers else {}
        draft.headers = msgspec.json.encode(headers | {model.HOP: value.decode()})


def _keep_trace(drafts: list[Draft], headers: dict[bytes, bytes]) -> None:
    """Let messages keep the trace context (W3C) that they were sent with; what is malformed is ignored, as it asks."""
    parent, state = headers.get(b"traceparent"), headers.get(b"tracestate")
    if parent is None or not _is_traceparent(parent):
        return
    for draft in drafts:
        draft.traceparent = parent.decode("ascii")
        if state is not None and _is_tracestate(state):
            draft.tracestate = state.decode("ascii")
