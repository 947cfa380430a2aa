"""Browsing over HTTP: messages without taking them, groups, and what holds them."""

import re
from base64 import b64encode
from datetime import timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from fastapi import APIRouter, Query, Request, Response
from pydantic import ConfigDict, Field, WithJsonSchema

from service import model
from service.api.callers import Browser
from service.api.documented import problems
from service.api.drafts import JSON_TYPE
from service.api.fields import NO_CONTROL_AT_ALL, Document, GivenTime, Time, in_rfc3339
from service.api.lists import ListQuery, Page, page
from service.api.queues import QueueName
from service.api.state import CursorsOf, StoreOf
from service.api.stored_messages import MessageId
from service.auth.scopes import require_queue
from service.domain import browse
from service.domain.browse import state_of
from service.errors import FieldError, InvalidRequest, pointer_of
from service.model import MAX_GROUP, MessageState
from service.store.browse import MessageFilter, Place
from service.store.clock import EPOCH, MICROSECOND
from service.store.identifiers import sent_at

router = APIRouter(tags=["browse"])

_is_token = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}\Z").match
_HEADER = "header."
_is_header_value = re.compile(NO_CONTROL_AT_ALL.removesuffix("$") + r"\Z").match
_NO_QUEUE = {404: "There is no such queue in this project: queue_not_found."}


def _or_null(component: str) -> WithJsonSchema:
    """Describe a part that is kept as JSON by the component that describes it elsewhere."""
    return WithJsonSchema({"anyOf": [{"$ref": f"#/components/schemas/{component}"}, {"type": "null"}]})


_HEADER_PARAMETER = {
    "name": "header.NAME",
    "in": "query",
    "required": False,
    "description": "Messages whose header NAME has this value; repeatable, all must hold.",
    "schema": {"type": "string"},
}


GroupFilter = Annotated[
    str,
    Field(
        max_length=MAX_GROUP, pattern=NO_CONTROL_AT_ALL, description="Messages of this group; empty: those without one."
    ),
]
HeaderFilter = Annotated[str, Field(pattern=NO_CONTROL_AT_ALL)]


class MessageQuery(ListQuery):
    """Which messages to list."""

    model_config = ConfigDict(extra="ignore")

    state: Annotated[MessageState | None, Field(description="Messages in this state.")] = None
    group: GroupFilter | None = None
    sent_after: Annotated[GivenTime | None, Field(description="Messages sent later than this.")] = None
    sent_before: Annotated[GivenTime | None, Field(description="Messages sent earlier than this.")] = None
    order: Annotated[Literal["oldest", "newest"], Field(description="By when they were sent.")] = "oldest"


class BrowsedMessage(Document):
    """A message as it lies in its queue, with the beginning of its body."""

    id: str
    state: MessageState
    preview: Annotated[
        str | None, Field(description="The beginning of a JSON body as text, up to 256 octets; null for octets.")
    ]
    preview_base64: Annotated[str | None, Field(description="The beginning of octets, in base64; null for JSON.")]
    body_size: Annotated[int, Field(description="Octets of the whole body.")]
    content_type: str
    headers: dict[str, str]
    group: str | None
    priority: int
    receive_count: int
    attempts: Annotated[int, Field(description="How often it was pushed, over all webhooks of its queue.")]
    sent_at: Time
    visible_at: Annotated[Time, Field(description="When it is ready, or its lease ends.")]
    first_received_at: Time | None
    lease_expires_at: Annotated[Time | None, Field(description="Null unless it is leased.")]
    expires_at: Annotated[Time | None, Field(description="When its retention or ttl is over; null: never.")]
    last_error: str | None
    traceparent: str | None
    tracestate: str | None
    dead_letter: Annotated[dict[str, Any] | None, _or_null("DeadLettered")]
    published: Annotated[dict[str, str] | None, _or_null("PublishedBy")]


class BrowsedPage(Page[BrowsedMessage]):
    """Some of a queue's messages."""


class WaitingFor(Document):
    """Why a message is not being delivered; with `until`, `message_id` or `detail` where the reason has one."""

    reason: Annotated[
        Literal["lease", "paused", "delay", "group", "webhook"], Field(description="The first of these that holds.")
    ]
    until: Annotated[Time | None, Field(description="When the lease, delay or pause is over.")] = None
    message_id: Annotated[str | None, Field(description="The message that keeps back its group.")] = None
    detail: Annotated[
        str | None,
        Field(
            description="What the queue's webhooks wait for: `circuit open until …`, `paused until …`, `rate`, "
            "`concurrency`, `disabled`; or `blocked` after the message's last attempt, until a retry."
        ),
    ] = None


class WholeMessage(BrowsedMessage):
    """A message with all of its body: either `body` or `body_base64` is there."""

    waiting_for: WaitingFor | None
    body: Any = None
    body_base64: str | None = None


class Holder(Document):
    """What holds a group."""

    message_id: str
    reason: Annotated[
        Literal["lease", "delay", "webhook"],
        Field(description="`webhook`: blocked after its last attempt, until a retry."),
    ]
    since: Annotated[Time | None, Field(description="Since when; null if that was not kept.")]
    until: Annotated[Time | None, Field(description="Null: until a retry.")]


class Group(Document):
    """A group of a fifo queue."""

    group: Annotated[str | None, Field(description="Null: messages that name no group.")]
    depth: Annotated[int, Field(description="How many messages it holds.")]
    held_by: Annotated[Holder | None, Field(description="Null: its first message can be received.")]


class GroupPage(Page[Group]):
    """Some of a queue's groups."""


class GroupQuery(ListQuery):
    """Which groups to list."""

    blocked: Annotated[bool, Field(description="True: only those that are held.")] = False


@router.get(
    "/v1/queues/{queue}/messages",
    operation_id="list_messages",
    summary="Look at messages",
    responses=problems(_NO_QUEUE),
    openapi_extra={"parameters": [_HEADER_PARAMETER]},
)
async def list_messages(
    *,
    queue: QueueName,
    query: Annotated[MessageQuery, Query()],
    caller: Browser,
    store: StoreOf,
    cursors: CursorsOf,
    request: Request,
    response: Response,
) -> BrowsedPage:
    """List messages in the order of sending, with the beginning of each body. Nothing is taken or counted by it."""
    require_queue(caller, queue)
    wanted = _filter(query, request)
    listing = ("messages", caller.project_id, queue, wanted, query.order)
    after = UUID(cursors.open(query.cursor, *listing)) if query.cursor is not None else None
    place = Place(after, query.limit, newest=query.order == "newest")
    rows, last = await browse.list_messages(store, caller.project_id, queue, wanted, place)
    documents = [_document(row) for row in rows]
    return page(BrowsedPage, documents, cursors.seal(str(last), *listing) if last else None, request, response)


@router.get(
    "/v1/queues/{queue}/messages/{message_id}",
    operation_id="get_message",
    summary="Look at one message",
    response_model=WholeMessage,
    responses=problems({404: "There is no such queue or message: queue_not_found, message_not_found."}),
)
async def get_message(queue: QueueName, message_id: MessageId, caller: Browser, store: StoreOf) -> Response:
    """Return a message with all of its body, its state, and why it is not being delivered. Nothing is taken by it."""
    require_queue(caller, queue)
    row, _, waits = await browse.get_message(store, caller.project_id, queue, message_id)
    waiting_for = None if waits is None else _waiting_for(waits)
    document = WholeMessage.model_construct(**dict(_document(row, row.body)), waiting_for=waiting_for)
    # Set is what was given to it: neither a body, nor what does not belong to the reason.
    head = document.model_dump_json(exclude_unset=True).encode().removesuffix(b"}")
    # The body as it came: numbers of any size, the order of keys, blanks.
    body = b'"body":' + row.body if row.is_json else b'"body_base64":"%b"' % b64encode(row.body)
    return Response(b"%b,%b}" % (head, body), media_type=JSON_TYPE)


@router.get(
    "/v1/queues/{queue}/groups",
    operation_id="list_groups",
    summary="List the groups of a fifo queue",
    responses=problems({**_NO_QUEUE, 409: "It is a standard queue: conflict."}),
)
async def list_groups(
    *,
    queue: QueueName,
    query: Annotated[GroupQuery, Query()],
    caller: Browser,
    store: StoreOf,
    cursors: CursorsOf,
    request: Request,
    response: Response,
) -> GroupPage:
    """List groups in the byte order of their names, with what holds those that cannot be received from."""
    require_queue(caller, queue)
    listing = ("groups", caller.project_id, queue, query.blocked)
    after = cursors.open(query.cursor, *listing) if query.cursor is not None else None
    rows, last = await browse.list_groups(store, caller.project_id, queue, after, query.limit, blocked=query.blocked)
    documents = [_group(row) for row in rows]
    return page(GroupPage, documents, cursors.seal(last, *listing) if last is not None else None, request, response)


def _filter(query: MessageQuery, request: Request) -> MessageFilter:
    """Return the filter of a request; what it asks for besides is refused."""
    errors: list[FieldError] = []
    headers = []
    for name, value in request.query_params.multi_items():
        if is_header_filter(name):
            headers.append((header_of(name), value))
            if not _is_header_value(value):
                pointer = pointer_of("query", name)
                errors.append(FieldError(pointer, "control_character", "No header has control characters."))
        elif name not in MessageQuery.model_fields:
            errors.append(FieldError(pointer_of("query", name), "unknown_field", "There is no such field."))
    if errors:
        raise InvalidRequest(errors)
    return MessageFilter(query.state, query.group, tuple(sorted(headers)), query.sent_after, query.sent_before)


def is_header_filter(name: str) -> bool:
    """Tell whether a field of a filter is `header.NAME`."""
    return name.startswith(_HEADER) and _is_token(name.removeprefix(_HEADER)) is not None


def header_of(name: str) -> str:
    """Return the header that `header.NAME` is about."""
    return name.removeprefix(_HEADER).lower()


def _document(row: Any, body: bytes | None = None) -> BrowsedMessage:
    state = state_of(row)
    preview = (row.preview if body is None else body)[:256]
    return BrowsedMessage.model_construct(
        id=str(row.id),
        state=state,
        preview=preview.decode("utf-8", "ignore") if row.is_json else None,
        preview_base64=None if row.is_json else b64encode(preview).decode(),
        body_size=row.body_size,
        content_type=row.content_type or JSON_TYPE,
        headers=msgspec.json.decode(row.headers) if row.headers else {},
        group=row.message_group or None,
        priority=model.LEAST_URGENT - row.urgency,
        receive_count=row.receive_count,
        attempts=row.attempts,
        sent_at=EPOCH + sent_at(row.id) * MICROSECOND,
        visible_at=row.visible_at,
        first_received_at=row.first_received_at,
        lease_expires_at=row.visible_at if state is MessageState.LEASED else None,
        expires_at=row.expires_at,
        last_error=row.last_error,
        traceparent=row.traceparent,
        tracestate=row.tracestate,
        dead_letter=row.dead_letter,
        published=msgspec.json.decode(row.published) if row.published else None,
    )


def _waiting_for(waits: model.WaitingFor) -> WaitingFor:
    given: dict[str, Any] = {"reason": waits.reason}
    if waits.until is not None:
        given["until"] = waits.until
    if waits.message_id is not None:
        given["message_id"] = str(waits.message_id)
    if waits.detail is not None:
        given["detail"] = waits.detail if waits.until is None else f"{waits.detail} until {in_rfc3339(waits.until)}"
    return WaitingFor.model_construct(**given)


def _group(row: Any) -> Group:
    held_by = None
    if row["id"] is not None:
        blocked = row["lease"] is None and row["pushed_by"] is not None
        held_by = Holder(
            message_id=str(row["id"]),
            reason="webhook" if blocked else "delay" if row["lease"] is None else "lease",
            since=_since(row),
            until=None if blocked else row["until"],
        )
    return Group(group=row["name"] or None, depth=row["depth"], held_by=held_by)


def _since(row: Any) -> Any:
    """Return since when a message holds its group: a lease's id has its time; a delay's begin is that of the send."""
    if row["lease"] is not None:
        return EPOCH + timedelta(milliseconds=row["lease"] >> 20)
    return EPOCH + sent_at(row["id"]) * MICROSECOND if row["receive_count"] == 0 else None
