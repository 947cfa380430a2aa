"""Queues over HTTP."""

import re
from dataclasses import asdict, fields, replace
from datetime import timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from service import model
from service.api.callers import AnyCaller, Manager
from service.api.conditions import IfMatch, IfNoneMatch, condition, etag, not_modified
from service.api.documented import CHANGED, NOT_MODIFIED, problems
from service.api.fields import LABEL_PATTERN, NO_CONTROL, PREFIX_PATTERN, Document, Fields, Seconds, Time
from service.api.json_requests import JsonRoute
from service.api.lists import ListQuery, Page, page
from service.api.state import CursorsOf, StoreOf, TalliesOf
from service.auth.scopes import require_queue
from service.domain import queues
from service.model import MAX_LABELS, MAX_RECEIVES, NAME_PATTERN, Caller, QueueConfig
from service.store.queues import QueueFilter
from service.store.store import Store

router = APIRouter(route_class=JsonRoute, tags=["queues"])

_has_control = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]").search
_NO_ROOM = "The project has as many queues as it may: quota_exceeded. Or too many requests a second: rate_limited."
NO_QUEUE = {404: "There is no such queue in this project: queue_not_found."}
_DEFAULTS = QueueConfig()

QueueName = Annotated[str, Path(pattern=NAME_PATTERN, description="The queue's name.")]


def _labels(labels: dict[str, str]) -> dict[str, str]:
    """Refuse labels that are too many, too long or hold what cannot be shown."""
    if len(labels) > MAX_LABELS:
        raise PydanticCustomError("out_of_range", f"must be at most {MAX_LABELS} pairs")
    for key, value in labels.items():
        # A list finds them as key:value.
        if not 1 <= len(key) <= 64 or len(value) > 256 or ":" in key or _has_control(key) or _has_control(value):
            raise PydanticCustomError(
                "wrong_form",
                "must have keys of 1 to 64 characters without a colon and values of 0 to 256, "
                "without control characters",
            )
    return labels


Type = Annotated[Literal["standard", "fifo"], Field(description="`fifo` keeps order within groups. Cannot be changed.")]
VisibilityTimeout = Annotated[
    timedelta,
    Seconds(0, 604_800),
    Field(description="How long a received message stays leased, unless the receive says."),
]
Delay = Annotated[timedelta, Seconds(0, 31_536_000), Field(description="How long a new message waits, unless it says.")]
Retention = Annotated[
    timedelta,
    Seconds(1, 31_536_000),
    Field(description="How long an unconsumed message is kept, from when it first becomes visible."),
]
MaxMessageBytes = Annotated[int, Field(ge=1, description="Most bytes of a message, body and headers together.")]
MaxLength = Annotated[int, Field(ge=1, le=2**53 - 1, description="Most messages; one more is refused with queue_full.")]
DeduplicationWindow = Annotated[
    timedelta,
    Seconds(0, 86_400),
    Field(description="How long a deduplication id is remembered; 0: not at all."),
]
DeduplicateByContent = Annotated[
    bool, Field(description="True: a hash of body and content type stands in for a missing deduplication id.")
]
Paused = Annotated[bool, Field(description="While true, sends are stored and receives get nothing.")]
Labels = Annotated[
    dict[str, str],
    AfterValidator(_labels),
    Field(description="For finding and grouping: up to 50 pairs of short strings."),
]


class DeadLetterFields(Fields):
    """Where messages go that cannot be delivered."""

    queue: Annotated[str, Field(pattern=NAME_PATTERN, description="A queue of the same project and type.")]
    max_receives: Annotated[
        int,
        Field(ge=1, le=MAX_RECEIVES, description="When the lease of this delivery ends unsettled, the message goes."),
    ]
    expired: Annotated[bool, Field(description="Whether messages that outlive their retention go there too.")] = False


class QueueFields(Fields):
    """A queue's whole configuration. What is left out takes its default; only `type` keeps what it is."""

    type: Type = "standard"
    visibility_timeout: VisibilityTimeout = _DEFAULTS.visibility_timeout
    delay: Delay = _DEFAULTS.delay
    retention: Retention | None = _DEFAULTS.retention
    max_message_bytes: MaxMessageBytes = _DEFAULTS.max_message_bytes
    max_length: MaxLength | None = _DEFAULTS.max_length
    deduplication_window: DeduplicationWindow = _DEFAULTS.deduplication_window
    deduplicate_by_content: DeduplicateByContent = _DEFAULTS.deduplicate_by_content
    dead_letter: DeadLetterFields | None = None
    paused: Paused = _DEFAULTS.paused
    labels: Labels = Field(default_factory=dict)


class QueueChanges(Fields):
    """The fields of a queue's configuration to replace; null sets the default."""

    type: Type | None = None
    visibility_timeout: VisibilityTimeout | None = None
    delay: Delay | None = None
    retention: Retention | None = None
    max_message_bytes: MaxMessageBytes | None = None
    max_length: MaxLength | None = None
    deduplication_window: DeduplicationWindow | None = None
    deduplicate_by_content: DeduplicateByContent | None = None
    dead_letter: DeadLetterFields | None = None
    paused: Paused | None = None
    labels: Labels | None = None


# An empty body is an empty object.
_NO_FIELDS = QueueFields()
_NO_CHANGES = QueueChanges()


class QueueStats(Document):
    """How many messages a queue holds, by state. `approximate`: at most 2 s old, and not counted one by one."""

    ready: int
    delayed: int
    leased: int
    total: int
    oldest_ready_age: Annotated[
        float | None, Field(description="Seconds since the longest-waiting ready message became visible.")
    ]
    approximate: bool


class DeadLetter(Document):
    """Where messages go that cannot be delivered."""

    queue: str
    max_receives: int
    expired: bool


class Queue(Document):
    """A queue."""

    name: str
    type: Type
    visibility_timeout: VisibilityTimeout
    delay: Delay
    retention: Retention | None
    max_message_bytes: int
    max_length: int | None
    deduplication_window: DeduplicationWindow
    deduplicate_by_content: bool
    dead_letter: DeadLetter | None
    paused: bool
    labels: dict[str, str]
    created_at: Time
    updated_at: Time
    stats: QueueStats


class QueuePage(Page[Queue]):
    """Some of a project's queues."""


class Purged(Document):
    """What a purge removed."""

    purged: Annotated[int, Field(description="Messages removed, leased ones too; estimated above some millions.")]


class QueueQuery(ListQuery):
    """Which queues to list."""

    prefix: Annotated[str, Field(pattern=PREFIX_PATTERN, description="Names that begin so.")] = ""
    label: Annotated[
        list[Annotated[str, Field(max_length=400, pattern=LABEL_PATTERN)]],
        Field(max_length=MAX_LABELS, default_factory=list, description="`key:value`; repeatable, all must hold."),
    ]

    search: Annotated[
        str,
        Field(max_length=128, pattern=NO_CONTROL, description="Names that contain this, whatever the case."),
    ] = ""
    dead_letters: Annotated[
        bool, Field(description="`true`: only queues that others name as their dead-letter queue.")
    ] = False
    order: Annotated[
        Literal["name", "age"],
        Field(description="`age`: the queue with the longest-waiting ready message first; of 10,000 queues at most."),
    ] = "name"

    def filter(self, names: tuple[str, ...]) -> QueueFilter:
        """Return the filter, bound to the names that the caller may know of."""
        labels = sorted({(key, value) for key, _, value in (label.partition(":") for label in self.label)})
        return QueueFilter(self.prefix, tuple(labels), names, self.search, self.dead_letters)


def stats_of(stats: model.QueueStats) -> QueueStats:
    """Return stats as they are shown."""
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
    """Return a request's fields as the model has them."""
    letter = given.get("dead_letter")
    return given if letter is None else given | {"dead_letter": model.DeadLetter(**dict(letter))}


async def _answer(store: StoreOf, tallies: TalliesOf, queue: model.Queue, response: Response) -> Queue:
    response.headers["ETag"] = etag(queue.config)
    [stats] = await queues.stats_of(store, tallies, [queue])
    return _document(queue, stats)


def _defaults(store: Store) -> QueueConfig:
    """Return what a field that is not given is, as far as the operator allows it."""
    most = min(_DEFAULTS.max_message_bytes, store.settings.max_message_bytes)
    return replace(_DEFAULTS, max_message_bytes=most)


def _require_dead_letter(caller: Caller, wanted: DeadLetterFields | None) -> None:
    """Refuse to have messages moved to a queue that the key does not cover."""
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
    if_match: IfMatch = None,
    if_none_match: IfNoneMatch = None,
) -> Queue:
    """Create a queue (201), or give it the whole configuration (200). Doing it again changes nothing."""
    require_queue(caller, queue)
    _require_dead_letter(caller, fields.dead_letter)
    check = condition(if_match, if_none_match)
    given = dict(fields)
    if "max_message_bytes" not in fields.model_fields_set:
        given["max_message_bytes"] = _defaults(store).max_message_bytes
    config = QueueConfig(**_config_fields(given))
    keep_type = "type" not in fields.model_fields_set
    stored, created = await queues.put_queue(store, caller.project_id, queue, config, check, keep_type=keep_type)
    response.status_code = 201 if created else 200
    return await _answer(store, tallies, stored, response)


@router.patch(
    "/v1/queues/{queue}",
    operation_id="patch_queue",
    summary="Change some of a queue's configuration",
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
    if_match: IfMatch = None,
    if_none_match: IfNoneMatch = None,
) -> Queue:
    """Replace the fields given; null sets the default.

    Messages that are there already keep what they were sent under, but for `paused`, `retention` and `dead_letter`.
    """
    require_queue(caller, queue)
    _require_dead_letter(caller, changes.dead_letter)
    given = {name: getattr(changes, name) for name in changes.model_fields_set}
    defaults = _defaults(store)
    wanted = {
        name: getattr(defaults, name) if value is None else value for name, value in _config_fields(given).items()
    }
    check = condition(if_match, if_none_match)
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
    if_none_match: IfNoneMatch = None,
) -> Any:
    """Return a queue's configuration, and how many messages it holds."""
    require_queue(caller, queue)
    stored = await queues.get_queue(store, caller.project_id, queue)
    if not_modified(stored.config, if_none_match):
        return Response(status_code=304, headers={"ETag": etag(stored.config)})
    return await _answer(store, tallies, stored, response)


@router.delete(
    "/v1/queues/{queue}",
    operation_id="delete_queue",
    summary="Delete a queue",
    status_code=204,
    response_class=Response,
    responses=problems({**NO_QUEUE, **CHANGED, 409: "Others name it as their dead-letter queue: conflict."}),
)
async def delete_queue(
    queue: QueueName, caller: Manager, store: StoreOf, if_match: IfMatch = None, if_none_match: IfNoneMatch = None
) -> None:
    """Delete a queue with all its messages, at once. Receipts of it are not found afterwards."""
    require_queue(caller, queue)
    await queues.delete_queue(store, caller, queue, condition(if_match, if_none_match))


@router.post(
    "/v1/queues/{queue}/purge",
    operation_id="purge_queue",
    summary="Remove all messages of a queue",
    responses=problems(NO_QUEUE),
)
async def purge_queue(queue: QueueName, caller: Manager, store: StoreOf) -> Purged:
    """Remove every message, leased ones too, at once; the configuration stays."""
    require_queue(caller, queue)
    return Purged(purged=await queues.purge_queue(store, caller.project_id, queue))


@router.get("/v1/queues", operation_id="list_queues", summary="List queues", responses=problems())
async def list_queues(
    *,
    query: Annotated[QueueQuery, Query()],
    caller: AnyCaller,
    store: StoreOf,
    tallies: TalliesOf,
    cursors: CursorsOf,
    request: Request,
    response: Response,
) -> QueuePage:
    """List the project's queues in the byte order of their names, or by age.

    A key with queue patterns sees those it covers.
    """
    wanted = query.filter(caller.queues)
    listing = ("queues", caller.project_id, wanted, query.order)
    after = cursors.open(query.cursor, *listing) if query.cursor is not None else ""
    listed = queues.list_queues if query.order == "name" else queues.list_queues_by_age
    found, last = await listed(store, caller.project_id, wanted, after, query.limit)
    stats = await queues.stats_of(store, tallies, found)
    documents = [_document(queue, counted) for queue, counted in zip(found, stats, strict=True)]
    return page(QueuePage, documents, cursors.seal(last, *listing) if last is not None else None, request, response)
