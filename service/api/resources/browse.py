"""Browsing over HTTP: look at messages without receiving them, and at the groups of fifo queues."""

import re
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import asdict
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from service import message as stored
from service import model
from service.api.http.exact_json import JSON_TYPE
from service.api.kit.callers import Browser
from service.api.kit.documented import problems
from service.api.kit.fields import NO_CONTROL_AT_ALL, Document, GivenTime, Time, in_rfc3339
from service.api.kit.lists import ListQuery, Page, PagingOf
from service.api.kit.paths import MESSAGE, NO_QUEUE, MessageId, QueueName
from service.api.kit.queries import FLAG
from service.api.kit.state import StoreOf
from service.domain import browse
from service.errors import FieldError, InvalidRequest, pointer_of
from service.message import HeldGroup, MessageState, SeenMessage, Via
from service.model import MAX_GROUP, NAME_PATTERN, Caller, is_token
from service.store.database.clock import EPOCH, MICROSECOND
from service.store.database.identifiers import sent_at
from service.store.views.browse import PREVIEW_BYTES, MessageFilter, PageStart

router = APIRouter(tags=["browse"])

_HEADER = "header."
# The maximum length of a folded error: the first characters of an error with the placeholders for its variable parts.
MAX_FOLDED = 800
_is_header_value = re.compile(NO_CONTROL_AT_ALL.removesuffix("$") + r"\Z").match


def _or_null(component: str) -> WithJsonSchema:
    """Return the JSON Schema of a nullable field that refers to a component."""
    return WithJsonSchema({"anyOf": [{"$ref": f"#/components/schemas/{component}"}, {"type": "null"}]})


_HEADER_PARAMETER = {
    "name": "header.NAME",
    "in": "query",
    "required": False,
    "description": "Only messages whose header NAME has this value. Repeatable; all must match.",
    "schema": {"type": "string"},
}


GroupFilter = Annotated[
    str,
    Field(
        max_length=MAX_GROUP,
        pattern=NO_CONTROL_AT_ALL,
        description="Only messages of this group; empty: only messages without a group.",
    ),
]
SourceFilter = Annotated[str, Field(pattern=NAME_PATTERN, description="Only dead letters from this queue.")]
ReasonFilter = Annotated[
    Literal["max_receives", "expired", "rejected", "push_failed"],
    Field(description="Only dead letters with this reason."),
]
ErrorFilter = Annotated[
    str,
    Field(
        max_length=MAX_FOLDED,
        description="Only dead letters with this folded error, which is the `error` in `GET …/dead-letters`; empty: "
        "only those without an error.",
    ),
]
HeaderFilter = Annotated[str, Field(pattern=NO_CONTROL_AT_ALL)]


class MessageQuery(ListQuery):
    """Filters and order of the list of messages."""

    model_config = ConfigDict(extra="ignore")

    state: Annotated[MessageState | None, Field(description="Only messages in this state.")] = None
    group: GroupFilter | None = None
    sent_after: Annotated[GivenTime | None, Field(description="Only messages sent after this time.")] = None
    sent_before: Annotated[GivenTime | None, Field(description="Only messages sent before this time.")] = None
    source: Annotated[SourceFilter | None, Field(alias="dead_letter.source_queue")] = None
    reason: Annotated[ReasonFilter | None, Field(alias="dead_letter.reason")] = None
    error: Annotated[ErrorFilter | None, Field(alias="dead_letter.error")] = None
    order: Annotated[Literal["oldest", "newest"], Field(description="By the time of sending.")] = "oldest"


class BrowsedMessage(Document):
    """A stored message with the beginning of its body."""

    id: str
    state: MessageState
    preview: Annotated[
        str | None, Field(description="Up to 256 bytes of a JSON body, as text; null if the body is not JSON.")
    ]
    preview_base64: Annotated[str | None, Field(description="Up to 256 bytes of any other body, in base64.")]
    body_size: Annotated[int, Field(description="Size of the whole body in bytes.")]
    content_type: str
    headers: dict[str, str]
    group: str | None
    priority: int
    receive_count: int
    attempts: Annotated[int, Field(description="Webhook requests made for it, over all webhooks of its queue.")]
    sent_at: Time
    visible_at: Annotated[Time, Field(description="When the message becomes ready, or its lease ends.")]
    first_received_at: Time | None
    lease_expires_at: Annotated[Time | None, Field(description="Null unless the message is leased.")]
    expires_at: Annotated[Time | None, Field(description="When its retention or ttl ends; null: never.")]
    last_error: str | None
    traceparent: str | None
    tracestate: str | None
    dead_letter: Annotated[dict[str, Any] | None, _or_null("DeadLettered")]
    published: Annotated[dict[str, str] | None, _or_null("PublishedBy")]


class BrowsedPage(Page[BrowsedMessage]):
    """A page of a queue's messages."""


class LeaseHolder(Document):
    """The holder of a message's lease: an API key, or a webhook of its queue."""

    via: Annotated[
        Via | Literal["webhook"] | None,
        Field(description="How the message was received; null if it was leased by a version that did not record this."),
    ]
    key_id: Annotated[str | None, Field(description="Null for the root key and webhooks.")]
    key_name: Annotated[str | None, Field(description="Null for the root key, revoked keys and webhooks.")]
    webhook: Annotated[str | None, Field(description="The webhook's name; null for keys and deleted webhooks.")]
    since: Annotated[Time, Field(description="When the message was received; extending the lease does not change it.")]


class WaitingFor(Document):
    """Why a message is not being delivered, with details that depend on the reason."""

    reason: Annotated[
        Literal["lease", "paused", "delay", "group", "webhook"], Field(description="The first of these that applies.")
    ]
    until: Annotated[Time | None, Field(description="When the lease, delay or pause ends.")] = None
    message_id: Annotated[str | None, Field(description="The message that blocks the group.")] = None
    detail: Annotated[
        str | None,
        Field(
            description="What the queue's webhooks are waiting for: `circuit open until …`, `paused until …`, `rate`, "
            "`concurrency` or `disabled`; or `blocked` if the message's last attempt failed and it needs a retry."
        ),
    ] = None
    holder: Annotated[LeaseHolder | None, Field(description="The holder of the lease.")] = None


class WholeMessage(BrowsedMessage):
    """A message with its whole body, in either `body` or `body_base64`."""

    queue: Annotated[str, Field(description="The queue that the message is in.")]
    waiting_for: WaitingFor | None
    body: Any = None
    body_base64: str | None = None


class Holder(Document):
    """The message that blocks a group, and why."""

    message_id: str
    reason: Annotated[
        Literal["lease", "delay", "webhook"],
        Field(description="`webhook`: the message's last attempt failed and it needs a retry."),
    ]
    since: Annotated[Time | None, Field(description="Since when the group is blocked; null if unknown.")]
    until: Annotated[Time | None, Field(description="When the lease or delay ends; null: until a retry.")]
    holder: Annotated[LeaseHolder | None, Field(description="The holder of the lease, if that is the reason.")]


class Group(Document):
    """A group of a fifo queue."""

    group: Annotated[str | None, Field(description="The group's name; null for messages without a group.")]
    depth: Annotated[int, Field(description="Number of messages in the group.")]
    held_by: Annotated[Holder | None, Field(description="Null if the group's first message can be received.")]


class GroupPage(Page[Group]):
    """A page of a queue's groups."""


class GroupQuery(ListQuery):
    """Filters for the list of groups."""

    blocked: Annotated[bool, Field(description="If true, list only groups that are blocked."), FLAG] = False


@router.get(
    "/v1/queues/{queue}/messages",
    operation_id="list_messages",
    summary="List messages",
    responses=problems(NO_QUEUE),
    openapi_extra={"parameters": [_HEADER_PARAMETER]},
)
async def list_messages(
    *,
    queue: QueueName,
    query: Annotated[MessageQuery, Query()],
    caller: Browser,
    store: StoreOf,
    paging: PagingOf,
    request: Request,
) -> BrowsedPage:
    """List messages in the order of sending, with the beginning of each body. The messages are not affected."""
    wanted = _filter(query, request)
    after = paging.after_id(query, "messages", caller.project_id, queue, wanted, query.order)
    place = PageStart(after, query.limit, newest=query.order == "newest")
    found, last = await browse.list_messages(store, caller.project_id, queue, wanted, place)
    documents = [_document(message) for message in found]
    return paging.page(BrowsedPage, documents, last)


@router.get(
    MESSAGE,
    operation_id="get_message",
    summary="Read a message",
    response_model=WholeMessage,
    responses=problems({404: "There is no such queue or message: queue_not_found, message_not_found."}),
)
async def get_message(queue: QueueName, message_id: MessageId, caller: Browser, store: StoreOf) -> Response:
    """Return a message with its whole body, its state, and why it is not being delivered. It is not affected."""
    return await _whole(store, caller, queue, message_id)


@router.get(
    "/v1/messages/{message_id}",
    operation_id="find_message",
    summary="Find a message in any queue",
    response_model=WholeMessage,
    responses=problems({404: "No queue that the key covers holds this message: message_not_found."}),
)
async def find_message(message_id: MessageId, caller: Browser, store: StoreOf) -> Response:
    """Return a message and the queue that it is in, which may be a dead-letter queue. It is not affected."""
    queue = await browse.queue_of(store, caller.project_id, caller.queues, message_id)
    return await _whole(store, caller, queue, message_id)


async def _whole(store: StoreOf, caller: Caller, queue: str, message_id: str) -> Response:
    message, waits = await browse.get_message(store, caller.project_id, queue, message_id)
    waiting_for = None if waits is None else _waiting_for(waits)
    document = WholeMessage.model_construct(**dict(_document(message)), queue=queue, waiting_for=waiting_for)
    # Only the given fields: no body, and no details of other reasons.
    head = document.model_dump_json(exclude_unset=True).encode().removesuffix(b"}")
    # The body byte for byte, including large numbers, the order of keys and whitespace.
    body = b'"body":' + message.body if message.is_json else b'"body_base64":"%b"' % b64encode(message.body)
    return Response(b"%b,%b}" % (head, body), media_type=JSON_TYPE)


@router.get(
    "/v1/queues/{queue}/groups",
    operation_id="list_groups",
    summary="List the groups of a fifo queue",
    responses=problems({**NO_QUEUE, 409: "The queue is a standard queue: conflict."}),
)
async def list_groups(
    *,
    queue: QueueName,
    query: Annotated[GroupQuery, Query()],
    caller: Browser,
    store: StoreOf,
    paging: PagingOf,
) -> GroupPage:
    """List groups in the byte order of their names, with the reason why a group is blocked."""
    after = paging.after(query, "groups", caller.project_id, queue, query.blocked)
    found, last = await browse.list_groups(store, caller.project_id, queue, after, query.limit, blocked=query.blocked)
    documents = [_group(group) for group in found]
    return paging.page(GroupPage, documents, last)


def _filter(query: MessageQuery, request: Request) -> MessageFilter:
    """Return the filter in a request's query. Raises InvalidRequest for unknown parameters."""
    errors: list[FieldError] = []
    headers = []
    for name, value in request.query_params.multi_items():
        if is_header_filter(name):
            headers.append((header_of(name), value))
            if not _is_header_value(value):
                pointer = pointer_of("query", name)
                errors.append(FieldError(pointer, "control_character", "Must not contain control characters."))
        elif name not in names_of(MessageQuery):
            errors.append(FieldError(pointer_of("query", name), "unknown_field", "There is no such field."))
    if errors:
        raise InvalidRequest(errors)
    return filter_of(query, headers)


def filter_of(fields: Any, headers: Iterable[tuple[str, str]]) -> MessageFilter:
    """Return the filter with these fields and header values."""
    names = ("state", "group", "sent_after", "sent_before", "source", "reason", "error")
    return MessageFilter(headers=tuple(sorted(headers)), **{name: getattr(fields, name) for name in names})


def names_of(fields: type[BaseModel]) -> set[str]:
    """Return the names of a model's fields in requests."""
    return {field.alias or name for name, field in fields.model_fields.items()}


def is_header_filter(name: str) -> bool:
    """Return whether a filter's field has the form `header.NAME`."""
    return name.startswith(_HEADER) and is_token(name.removeprefix(_HEADER))


def header_of(name: str) -> str:
    """Return NAME of `header.NAME`, in lower case."""
    return name.removeprefix(_HEADER).lower()


def _document(message: SeenMessage) -> BrowsedMessage:
    preview = message.body[:PREVIEW_BYTES]
    return BrowsedMessage.model_construct(
        id=str(message.id),
        state=message.state,
        preview=preview.decode("utf-8", "ignore") if message.is_json else None,
        preview_base64=None if message.is_json else b64encode(preview).decode(),
        body_size=message.body_size,
        content_type=message.content_type or JSON_TYPE,
        headers=msgspec.json.decode(message.headers) if message.headers else {},
        group=message.group or None,
        priority=model.LEAST_URGENT - message.urgency,
        receive_count=message.receive_count,
        attempts=message.attempts,
        sent_at=EPOCH + sent_at(message.id) * MICROSECOND,
        visible_at=message.visible_at,
        first_received_at=message.first_received_at,
        lease_expires_at=message.visible_at if message.state is MessageState.LEASED else None,
        expires_at=message.expires_at,
        last_error=message.last_error,
        traceparent=message.traceparent,
        tracestate=message.tracestate,
        dead_letter=message.dead_letter,
        published=msgspec.json.decode(message.published) if message.published else None,
    )


def _waiting_for(waits: stored.WaitingFor) -> WaitingFor:
    given: dict[str, Any] = {"reason": waits.reason}
    if waits.until is not None:
        given["until"] = waits.until
    if waits.message_id is not None:
        given["message_id"] = str(waits.message_id)
    if waits.detail is not None:
        given["detail"] = waits.detail if waits.until is None else f"{waits.detail} until {in_rfc3339(waits.until)}"
    if waits.holder is not None:
        given["holder"] = _lease_holder(waits.holder)
    return WaitingFor.model_construct(**given)


def _lease_holder(holder: stored.Holder) -> LeaseHolder:
    return LeaseHolder(**asdict(holder) | {"key_id": holder.key_id and holder.key_id.hex})


def _group(group: HeldGroup) -> Group:
    return Group(group=group.name or None, depth=group.depth, held_by=None if group.reason is None else _holder(group))


def _holder(group: HeldGroup) -> Holder:
    return Holder(
        message_id=str(group.message_id),
        reason=group.reason,
        since=group.since,
        until=group.until,
        holder=None if group.holder is None else _lease_holder(group.holder),
    )
