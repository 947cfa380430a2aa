"""Queues over HTTP."""

import re
from dataclasses import asdict, fields, replace
from datetime import timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from service import model
from service.api.kit.callers import AnyCaller, Manager
from service.api.kit.conditions import IsKnown, Precondition, etag, unchanged
from service.api.kit.documented import CHANGED, NOT_MODIFIED, problems
from service.api.kit.fields import LABEL_PATTERN, PREFIX_PATTERN, Document, Fields, Seconds, Time
from service.api.kit.json_requests import JsonRoute
from service.api.kit.lists import Page, PagingOf, SearchQuery
from service.api.kit.paths import NO_QUEUE, QueueName
from service.api.kit.queries import FLAG
from service.api.kit.state import StoreOf, TalliesOf
from service.auth.scopes import require_queue
from service.domain import queues
from service.model import MAX_LABELS, MAX_RECEIVES, NAME_PATTERN, Caller, QueueConfig
from service.store.resources.queues import QueueFilter
from service.store.store import Store

router = APIRouter(route_class=JsonRoute, tags=["queues"])

_has_control = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]").search
_NO_ROOM = "The project has its maximum number of queues: quota_exceeded; or exceeds its requests: rate_limited."
_DEFAULTS = QueueConfig()


def _labels(labels: dict[str, str]) -> dict[str, str]:
    """Refuse labels that are too many or too long, or that contain control characters or unpaired surrogates."""
    if len(labels) > MAX_LABELS:
        raise PydanticCustomError("out_of_range", f"must be at most {MAX_LABELS} pairs")
    for key, value in labels.items():
        # No colon in the key, because the list of queues takes labels as key:value.
        if not 1 <= len(key) <= 64 or len(value) > 256 or ":" in key or _has_control(key) or _has_control(value):
            raise PydanticCustomError(
                "wrong_form",
                "must have keys of 1 to 64 characters without a colon and values of 0 to 256, "
                "without control characters",
            )
    return labels


QueueTypeField = Annotated[
    Literal["standard", "fifo"],
    Field(description="A `fifo` queue delivers the messages of a group in order. The type cannot be changed."),
]
VisibilityTimeout = Annotated[
    timedelta,
    Seconds(0, 604_800),
    Field(description="Seconds that a received message stays leased, unless the receive sets another time."),
]
Delay = Annotated[
    timedelta,
    Seconds(0, 31_536_000),
    Field(description="Seconds until a new message becomes visible, unless the message sets another delay."),
]
RetentionField = Annotated[
    timedelta,
    Seconds(1, 31_536_000),
    Field(description="Seconds that an unconsumed message is kept after it first becomes visible; null: for ever."),
]
MaxMessageBytes = Annotated[
    int, Field(ge=1, description="Maximum size of a message in bytes, body and headers together.")
]
MaxLength = Annotated[
    int,
    Field(ge=1, le=2**53 - 1, description="Maximum number of messages; further sends are refused with queue_full."),
]
DeduplicationWindow = Annotated[
    timedelta,
    Seconds(0, 86_400),
    Field(description="Seconds that a deduplication id is remembered; 0 turns deduplication off."),
]
DeduplicateByContent = Annotated[
    bool, Field(description="Use a hash of body and content type as the deduplication id of messages without one.")
]
Paused = Annotated[bool, Field(description="While true, sent messages are stored but none are delivered.")]
Labels = Annotated[
    dict[str, str],
    AfterValidator(_labels),
    Field(description="Up to 50 pairs of short strings, for filtering the list of queues."),
]
ExpiresAfter = Annotated[
    timedelta,
    Seconds(60, 31_536_000),
    Field(
        description="Seconds without a send, receive or new subscription after which the queue is deleted, with its "
        "messages and subscriptions; null: never."
    ),
]


class DeadLetterFields(Fields):
    """Where messages are moved that could not be processed."""

    queue: Annotated[str, Field(pattern=NAME_PATTERN, description="A queue of the same project and type.")]
    max_receives: Annotated[
        int,
        Field(
            ge=1,
            le=MAX_RECEIVES,
            description="The message is moved if its lease ends unsettled after this many deliveries.",
        ),
    ]
    expired: Annotated[bool, Field(description="Whether expired messages are moved too, instead of being deleted.")] = (
        False
    )


class QueueFields(Fields):
    """The complete configuration of a queue. Omitted fields take their defaults, except that `type` is kept."""

    type: QueueTypeField = "standard"
    visibility_timeout: VisibilityTimeout = _DEFAULTS.visibility_timeout
    delay: Delay = _DEFAULTS.delay
    retention: RetentionField | None = _DEFAULTS.retention
    max_message_bytes: MaxMessageBytes = _DEFAULTS.max_message_bytes
    max_length: MaxLength | None = _DEFAULTS.max_length
    deduplication_window: DeduplicationWindow = _DEFAULTS.deduplication_window
    deduplicate_by_content: DeduplicateByContent = _DEFAULTS.deduplicate_by_content
    dead_letter: DeadLetterFields | None = None
    paused: Paused = _DEFAULTS.paused
    labels: Labels = Field(default_factory=dict)
    expires_after: ExpiresAfter | None = None


class QueueChanges(Fields):
    """The fields of a queue's configuration to replace; null sets the default."""

    type: QueueTypeField | None = None
    visibility_timeout: VisibilityTimeout | None = None
    delay: Delay | None = None
    retention: RetentionField | None = None
    max_message_bytes: MaxMessageBytes | None = None
    max_length: MaxLength | None = None
    deduplication_window: DeduplicationWindow | None = None
    deduplicate_by_content: DeduplicateByContent | None = None
    dead_letter: DeadLetterFields | None = None
    paused: Paused | None = None
    labels: Labels | None = None
    expires_after: ExpiresAfter | None = None


# For requests without a body.
_NO_FIELDS = QueueFields()
_NO_CHANGES = QueueChanges()


class QueueStats(Document):
    """The number of messages in each state. If `approximate`, the counts are estimated and up to 2 seconds old."""

    ready: int
    delayed: int
    leased: int
    total: int
    oldest_ready_age: Annotated[
        float | None, Field(description="Seconds since the longest-waiting ready message became visible.")
    ]
    approximate: bool


class DeadLetter(Document):
    """Where messages are moved that could not be processed."""

    queue: str
    max_receives: int
    expired: bool


class Queue(Document):
    """A queue."""

    name: str
    type: QueueTypeField
    visibility_timeout: VisibilityTimeout
    delay: Delay
    retention: RetentionField | None
    max_message_bytes: int
    max_length: int | None
    deduplication_window: DeduplicationWindow
    deduplicate_by_content: bool
    dead_letter: DeadLetter | None
    paused: bool
    labels: dict[str, str]
    expires_after: ExpiresAfter | None
    created_at: Time
    updated_at: Time
    stats: QueueStats


class QueuePage(Page[Queue]):
    """A page of a project's queues."""


class Purged(Document):
    """The result of a purge."""

    purged: Annotated[int, Field(description="Removed messages, including leased ones; an estimate for millions.")]


class QueueQuery(SearchQuery):
    """Filters and order of the list of queues."""

    prefix: Annotated[str, Field(pattern=PREFIX_PATTERN, description="Only queues whose names begin with this.")] = ""
    label: Annotated[
        list[Annotated[str, Field(max_length=400, pattern=LABEL_PATTERN)]],
        Field(
            max_length=MAX_LABELS,
            default_factory=list,
            description="Only queues with this label, `key:value`. Repeatable; all must match.",
        ),
    ]

    dead_letters: Annotated[
        bool, Field(description="If `true`, only queues that are dead-letter queues of others."), FLAG
    ] = False
    order: Annotated[
        Literal["name", "age"],
        Field(description="`age`: the queue with the longest-waiting ready message first, among up to 10,000 queues."),
    ] = "name"

    def filter(self, names: tuple[str, ...]) -> QueueFilter:
        """Return the filter, restricted to the caller's queue patterns `names`."""
        labels = sorted({(key, value) for key, _, value in (label.partition(":") for label in self.label)})
        return QueueFilter(self.prefix, tuple(labels), names, self.search, self.dead_letters)


def stats_of(stats: model.QueueStats) -> QueueStats:
    """Return stats in the form of a response."""
    return QueueStats.model_construct(**{name: getattr(stats, name) for name in QueueStats.model_fields})


def _document(queue: model.Queue, stats: model.QueueStats) -> Queue:
    config = {field.name: getattr(queue.config, field.name) for field in fields(QueueConfig)}
    if (letter := queue.config.dead_letter) is not None:
        config["dead_letter"] = DeadLetter.model_construct(**asdict(letter))
    return Queue.model_construct(
        name=queue.name,
        **config,
        created_at=queue.created_at,
        updated_at=queue.updated_at,
        stats=stats_of(stats),
    )


def _config_fields(given: dict[str, Any]) -> dict[str, Any]:
    """Return a request's fields with the types of the model."""
    letter = given.get("dead_letter")
    return given if letter is None else given | {"dead_letter": model.DeadLetter(**dict(letter))}


async def _answer(store: StoreOf, tallies: TalliesOf, queue: model.Queue, response: Response) -> Queue:
    response.headers["ETag"] = etag(queue.config)
    [stats] = await queues.stats_of(store, tallies, [queue])
    return _document(queue, stats)


def defaults_in_force(store: Store) -> QueueConfig:
    """Return the defaults of a queue, within the operator's limits."""
    most = min(_DEFAULTS.max_message_bytes, store.settings.max_message_bytes)
    return replace(_DEFAULTS, max_message_bytes=most)


def _require_dead_letter(caller: Caller, wanted: DeadLetterFields | None) -> None:
    """Raise Forbidden if the key does not cover the dead-letter queue."""
    if wanted is not None:
        require_queue(caller, wanted.queue)


@router.put(
    "/v1/queues/{queue}",
    operation_id="put_queue",
    summary="Create or configure a queue",
    responses=problems({**CHANGED, 409: "The type cannot be changed: conflict.", 429: _NO_ROOM}, body=True)
    | {201: {"description": "Created.", "model": Queue}},
)
async def put_queue(
    *,
    queue: QueueName,
    fields: QueueFields = _NO_FIELDS,
    caller: Manager,
    store: StoreOf,
    tallies: TalliesOf,
    response: Response,
    check: Precondition,
) -> Queue:
    """Create a queue (201), or replace its configuration (200). The request is idempotent."""
    _require_dead_letter(caller, fields.dead_letter)
    given = dict(fields)
    if "max_message_bytes" not in fields.model_fields_set:
        given["max_message_bytes"] = defaults_in_force(store).max_message_bytes
    config = QueueConfig(**_config_fields(given))
    keep_type = "type" not in fields.model_fields_set
    stored, created = await queues.put_queue(store, caller.project_id, queue, config, check, keep_type=keep_type)
    response.status_code = 201 if created else 200
    return await _answer(store, tallies, stored, response)


@router.patch(
    "/v1/queues/{queue}",
    operation_id="patch_queue",
    summary="Change a queue's configuration",
    responses=problems({**NO_QUEUE, **CHANGED, 409: "The type cannot be changed: conflict."}, body=True),
)
async def patch_queue(
    *,
    queue: QueueName,
    changes: QueueChanges = _NO_CHANGES,
    caller: Manager,
    store: StoreOf,
    tallies: TalliesOf,
    response: Response,
    check: Precondition,
) -> Queue:
    """Replace the given fields; null sets the default.

    Changes to `paused`, `retention` and `dead_letter` also apply to messages that are in the queue already; other
    changes apply only to new messages.
    """
    _require_dead_letter(caller, changes.dead_letter)
    given = {name: getattr(changes, name) for name in changes.model_fields_set}
    defaults = defaults_in_force(store)
    wanted = {
        name: getattr(defaults, name) if value is None else value for name, value in _config_fields(given).items()
    }
    return await _answer(
        store, tallies, await queues.patch_queue(store, caller.project_id, queue, wanted, check), response
    )


@router.get(
    "/v1/queues/{queue}",
    operation_id="get_queue",
    summary="Read a queue",
    response_model=Queue,
    responses=problems(NO_QUEUE) | NOT_MODIFIED,
)
async def get_queue(
    *,
    queue: QueueName,
    caller: AnyCaller,
    store: StoreOf,
    tallies: TalliesOf,
    response: Response,
    is_known: IsKnown,
) -> Any:
    """Return a queue's configuration and message counts."""
    stored = await queues.get_queue(store, caller.project_id, queue)
    if is_known(stored.config):
        return unchanged(stored.config)
    return await _answer(store, tallies, stored, response)


@router.delete(
    "/v1/queues/{queue}",
    operation_id="delete_queue",
    summary="Delete a queue",
    status_code=204,
    response_class=Response,
    responses=problems({**NO_QUEUE, **CHANGED, 409: "It is the dead-letter queue of others: conflict."}),
)
async def delete_queue(queue: QueueName, caller: Manager, store: StoreOf, check: Precondition) -> None:
    """Delete a queue with all its messages, at once. Its receipts become invalid (receipt_not_found)."""
    await queues.delete_queue(store, caller, queue, check)


@router.post(
    "/v1/queues/{queue}/purge",
    operation_id="purge_queue",
    summary="Remove all messages of a queue",
    responses=problems(NO_QUEUE),
)
async def purge_queue(queue: QueueName, caller: Manager, store: StoreOf) -> Purged:
    """Remove all messages at once, including leased ones. The configuration is kept."""
    return Purged(purged=await queues.purge_queue(store, caller.project_id, queue))


@router.get("/v1/queues", operation_id="list_queues", summary="List queues", responses=problems())
async def list_queues(
    *,
    query: Annotated[QueueQuery, Query()],
    caller: AnyCaller,
    store: StoreOf,
    tallies: TalliesOf,
    paging: PagingOf,
) -> QueuePage:
    """List the project's queues in the byte order of their names, or by age.

    Only queues that the key covers are listed.
    """
    wanted = query.filter(caller.queues)
    after = paging.after(query, "queues", caller.project_id, wanted, query.order) or ""
    listed = queues.list_queues if query.order == "name" else queues.list_queues_by_age
    found, last = await listed(store, caller.project_id, wanted, after, query.limit)
    stats = await queues.stats_of(store, tallies, found)
    documents = [_document(queue, counted) for queue, counted in zip(found, stats, strict=True)]
    return paging.page(QueuePage, documents, last)
