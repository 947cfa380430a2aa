"""Parse and validate the messages of a request into drafts."""

import re
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from service import model
from service.api.http.exact_json import JSON_TYPE, decode, is_json, utf8
from service.api.kit.fields import read_rfc3339
from service.errors import FieldError, InvalidRequest, MalformedRequest, invalid
from service.message import Draft
from service.model import is_token
from service.store.database.clock import EPOCH

_HOP = model.HOP.encode()
# Headers of the caller or of a webhook's request, which do not describe the message.
_NOT_OF_MESSAGES = frozenset({b"restante-project", b"restante-queue", b"restante-attempt", _HOP})
OCTETS = "application/octet-stream"
_MOST_TYPE = 256

_is_media_type = re.compile(r"[!#$&^_.+0-9A-Za-z-]+/[!#$&^_.+0-9A-Za-z-]+(?:[ \t]*;[ -~]*)?\Z").match
_is_json_type = re.compile(r"application/json[ \t]*(?:;|\Z)|[^;]+/[^;]*\+json[ \t]*(?:;|\Z)", re.IGNORECASE).match
_has_control = re.compile("[\x00-\x1f\x7f-\x9f]").search
_is_traceparent = re.compile(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(?:-[!-~]{0,200})?\Z").match
_is_tracestate = re.compile(rb"[ -~]{1,512}\Z").match
_is_number = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,9})?\Z").match
_is_idempotency_key = re.compile(rb'(?:"(?P<quoted>[!#-~ ]{1,128})"|(?P<bare>[!#-~][!-~]{0,127}))\Z').match


class Message(Struct, forbid_unknown_fields=True):
    """A message to send."""

    body: Annotated[msgspec.Raw, Meta(description="Any JSON value; stored byte for byte.")] = msgspec.field(
        default_factory=msgspec.Raw
    )
    body_base64: Annotated[str | None, Meta(description="Instead of `body`: arbitrary bytes in base64 (RFC 4648).")] = (
        None
    )
    content_type: Annotated[
        str | None,
        Meta(
            description="With `body`: a JSON type, default application/json. With `body_base64`: any type, default "
            "application/octet-stream."
        ),
    ] = None
    headers: Annotated[
        dict[str, str] | None,
        Meta(
            description="Up to 64 headers. Names are tokens and are returned in lower case; values must not contain "
            "control characters."
        ),
    ] = None
    delay: Annotated[
        float | None,
        Meta(description="Seconds until the message becomes visible, 0 to 31536000; default: the queue's."),
    ] = None
    deliver_at: Annotated[
        Annotated[str, Meta(extra_json_schema={"format": "date-time"})] | None,
        Meta(description="Instead of `delay`: an RFC 3339 time. A time in the past counts as now."),
    ] = None
    ttl: Annotated[
        float | None,
        Meta(
            description="Seconds that the message is kept after it becomes visible, 1 to 31536000; default: the "
            "queue's retention."
        ),
    ] = None
    priority: Annotated[
        int | None, Meta(description="0 (default) to 9; higher priorities are received first. Standard queues only.")
    ] = None
    group: Annotated[
        str | None,
        Meta(
            description="1 to 128 characters. A fifo queue delivers the messages of a group in order; in a standard "
            "queue the group is informational."
        ),
    ] = None
    deduplication_id: Annotated[
        str | None,
        Meta(
            description="1 to 128 characters. If the queue has received a message with this id within its "
            "deduplication window, nothing is stored and the response has the first message's id."
        ),
    ] = None


class Batch(Struct, forbid_unknown_fields=True):
    """Messages that are stored in this order, all or none."""

    messages: Annotated[list[Message], Meta(description="1 to 1000 messages.")]


_message_decoder = msgspec.json.Decoder(Message)
_batch_decoder = msgspec.json.Decoder(Batch)


def one_draft(body: bytes) -> Draft:
    """Parse a request with one message. Raises MalformedRequest, InvalidRequest."""
    message = decode(_message_decoder, body)
    errors: list[FieldError] = []
    draft = draft_of(message, "", errors)
    if errors:
        raise InvalidRequest(errors)
    return draft


def batch_drafts(body: bytes) -> list[Draft]:
    """Parse a request with a batch of messages. Raises MalformedRequest, InvalidRequest."""
    messages = decode(_batch_decoder, body).messages
    if not 1 <= len(messages) <= model.MAX_BATCH:
        detail = f"A batch must have 1 to {model.MAX_BATCH} messages; this one has {len(messages)}."
        raise invalid("/messages", "out_of_range", detail)
    errors: list[FieldError] = []
    drafts = [draft_of(message, f"/messages/{position}", errors) for position, message in enumerate(messages)]
    if errors:
        raise InvalidRequest(errors)
    return drafts


def duration(
    seconds: float | None, pointer: str, errors: list[FieldError], least: timedelta, most: timedelta
) -> timedelta | None:
    """Convert seconds to a duration, rounded to the millisecond.

    If it is not between `least` and `most`, append an error and return None.
    """
    if seconds is None:
        return None
    if not least.total_seconds() <= seconds <= most.total_seconds():
        bounds = f"{least.total_seconds():g} to {most.total_seconds():.0f} seconds"
        errors.append(out_of_range(pointer, bounds, seconds))
        return None
    return timedelta(milliseconds=round(seconds * 1000))


def out_of_range(pointer: str, bounds: str, value: object) -> FieldError:
    """Return the error for a value outside its bounds."""
    return FieldError(pointer, "out_of_range", f"Must be {bounds}; this is {value}.")


def draft_of(message: Message, pointer: str, errors: list[FieldError]) -> Draft:
    """Return the draft of a message; append its invalid fields to `errors`, with `pointer` as the message's place."""
    body = bytes(message.body)
    plain = message.body_base64 is None and body
    draft = Draft(body, len(body)) if plain else _binary(message, body, pointer, errors)
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


def _binary(message: Message, body: bytes, pointer: str, errors: list[FieldError]) -> Draft:
    """Return a draft whose body is `body_base64`; `body` must not be given as well."""
    data = b""
    if message.body_base64 is None:
        errors.append(FieldError(f"{pointer}/body", "missing", "A message needs a body: give `body` or `body_base64`."))
    elif body:
        errors.append(FieldError(f"{pointer}/body_base64", "conflict", "Give `body` or `body_base64`, not both."))
    else:
        try:
            data = b64decode(message.body_base64, validate=True)
        except (NotBase64, ValueError):
            detail = "Must be base64 (RFC 4648, section 4)."
            errors.append(FieldError(f"{pointer}/body_base64", "invalid_base64", detail))
    return Draft(data, len(data), is_json=False, content_type=OCTETS)


def _content_type(content_type: str, draft: Draft, pointer: str, errors: list[FieldError]) -> str | None:
    if len(content_type) > _MOST_TYPE or not _is_media_type(content_type) or _sent_type(content_type) != content_type:
        detail = f"Must have the form type/subtype and at most {_MOST_TYPE} characters."
        errors.append(FieldError(f"{pointer}/content_type", "invalid_media_type", detail))
    elif draft.is_json and not _is_json_type(content_type):
        detail = "With `body`, this must be a JSON type. Send other types in `body_base64` or to /raw."
        errors.append(FieldError(f"{pointer}/content_type", "not_json_type", detail))
    return None if draft.is_json and content_type == JSON_TYPE else content_type


def _sent_type(content_type: str) -> str:
    """Return the content type of a raw body. A range such as `*/*`, which some clients send, counts as no type."""
    return OCTETS if "*" in content_type.partition(";")[0] else content_type


def _raw_type(content_type: str, draft: Draft, errors: list[FieldError]) -> str | None:
    """Return the content type as sent, or None for the default type of a JSON body."""
    if len(content_type) > _MOST_TYPE:
        errors.append(out_of_range("/header/content-type", f"at most {_MOST_TYPE} characters", len(content_type)))
    elif _has_control(content_type):
        errors.append(FieldError("/header/content-type", "control_character", "Must not contain control characters."))
    return None if draft.is_json and content_type == JSON_TYPE else content_type


def _put_headers(draft: Draft, pairs: Iterable[tuple[str, str]], pointer: str, errors: list[FieldError]) -> None:
    headers = {}
    for name, value in pairs:
        if not is_token(name):
            errors.append(FieldError(pointer, "invalid_name", f"{name[:130]!r} is not a token of 1 to 128 characters."))
        elif _has_control(value):
            place = f"{pointer}/{name.replace('~', '~0')}"
            errors.append(FieldError(place, "control_character", "Must not contain control characters."))
        elif name.lower() in headers:
            detail = f"The header {name.lower()!r} is given twice; header names are not case-sensitive."
            errors.append(FieldError(f"{pointer}/{name.replace('~', '~0')}", "conflict", detail))
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
    if message.deliver_at is not None:
        draft.deliver_at = _deliver_at(message.deliver_at, f"{pointer}/deliver_at", errors)


def _deliver_at(text: str, pointer: str, errors: list[FieldError]) -> datetime | None:
    at = read_rfc3339(text)
    # One day more than the limit, because this process's clock may differ from the database's.
    latest = datetime.now(UTC) + model.MAX_DELAY + model.DAY
    if at is None:
        errors.append(FieldError(pointer, "wrong_form", model.TIME_RULE))
    elif at > latest:
        errors.append(out_of_range(pointer, "at most 365 days ahead", text))
    else:
        # A time in the past counts as now. It is clamped here, because converting year 1 to UTC could underflow.
        return max(at, EPOCH)
    return None


def raw_draft(body: bytes, headers: dict[bytes, bytes]) -> Draft:
    """Return the draft of a raw body. Consumers receive it as JSON if its content type is JSON and it is valid JSON."""
    errors: list[FieldError] = []
    draft = Draft(body, len(body), is_json=False, content_type=OCTETS)
    if b"content-type" in headers:
        content_type = _sent_type(headers[b"content-type"].decode("latin-1").strip())
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
    """Apply a Restante-* header to the draft."""
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
        errors.append(FieldError(header_pointer(name), "unknown_field", "There is no such Restante-* header."))


def header_pointer(name: bytes) -> str:
    """Return the pointer to a header."""
    return f"/header/{name.decode('latin-1')}"


def _header_text(name: bytes, value: bytes) -> str:
    try:
        return utf8(value)
    except MalformedRequest:
        raise invalid(header_pointer(name), "invalid_text", "Must be UTF-8.") from None


def _header_duration(
    name: bytes, text: str, errors: list[FieldError], least: timedelta, most: timedelta
) -> timedelta | None:
    pointer = header_pointer(name)
    if not _is_number(text):
        errors.append(FieldError(pointer, "wrong_type", "Must be a number of seconds, such as 5 or 0.5."))
        return None
    return duration(float(text), pointer, errors, least, most)


def _urgency(priority: int, pointer: str, errors: list[FieldError]) -> int:
    if not 0 <= priority <= model.LEAST_URGENT:
        errors.append(out_of_range(pointer, "a priority from 0 to 9", priority))
        return model.LEAST_URGENT
    return model.LEAST_URGENT - priority


def _header_urgency(name: bytes, text: str, errors: list[FieldError]) -> int:
    pointer = header_pointer(name)
    if not (text.isascii() and text.isdigit()):
        errors.append(FieldError(pointer, "wrong_type", "Must be a number from 0 to 9."))
        return model.LEAST_URGENT
    return _urgency(int(text[:9]), pointer, errors)


def _label(label: str, most: int, pointer: str, errors: list[FieldError]) -> str:
    if not 1 <= len(label) <= most:
        errors.append(out_of_range(pointer, f"1 to {most} characters", len(label)))
    elif _has_control(label):
        errors.append(FieldError(pointer, "control_character", "Must not contain control characters."))
    return label


def idempotency_key(headers: dict[bytes, bytes]) -> str | None:
    """Return the Idempotency-Key without its optional quotation marks. Raises MalformedRequest."""
    value = headers.get(b"idempotency-key")
    if value is None:
        return None
    match = _is_idempotency_key(value)
    if match is None:
        raise MalformedRequest("An Idempotency-Key must have 1 to 128 visible ASCII characters, optionally quoted.")
    return (match["quoted"] or match["bare"]).decode("ascii")


def keep_key(draft: Draft, headers: dict[bytes, bytes], pointer: str) -> None:
    """Use the Idempotency-Key, if any, as the message's deduplication id, which is at `pointer`. Raises a Problem."""
    if (key := idempotency_key(headers)) is not None:
        if draft.deduplication_id not in (None, key):
            raise invalid(pointer, "conflict", "The Idempotency-Key is different. Send only one of the two.")
        draft.deduplication_id = key


def keep_context(drafts: list[Draft], headers: dict[bytes, bytes]) -> None:
    """Store the request's trace context and hop count in its messages. Raises InvalidRequest."""
    _keep_trace(drafts, headers)
    if (value := headers.get(_HOP)) is not None:
        _keep_hop(drafts, value)


def _keep_hop(drafts: list[Draft], value: bytes) -> None:
    """Store in the messages how many times webhooks forwarded them to this service, so that no loop is endless."""
    if not (value.isdigit() and int(value[:9]) <= model.MAX_HOPS):
        detail = (
            f"Must be a number from 0 to {model.MAX_HOPS}; more hops mean that webhooks forward messages in a loop."
        )
        raise invalid(header_pointer(_HOP), "too_many_hops", detail)
    for draft in drafts:
        headers = msgspec.json.decode(draft.headers, type=dict[str, str]) if draft.headers else {}
        draft.headers = msgspec.json.encode(headers | {model.HOP: value.decode()})


def _keep_trace(drafts: list[Draft], headers: dict[bytes, bytes]) -> None:
    """Store the request's W3C trace context in its messages. The standard requires ignoring a malformed one."""
    parent, state = headers.get(b"traceparent"), headers.get(b"tracestate")
    if parent is None or not _is_traceparent(parent):
        return
    for draft in drafts:
        draft.traceparent = parent.decode("ascii")
        if state is not None and _is_tracestate(state):
            draft.tracestate = state.decode("ascii")
