"""Tasks over HTTP: starting redrives, retries and bulk actions, and reading their progress."""

from dataclasses import replace
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import JSONResponse
from pydantic import BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from service import model
from service.api.kit.callers import Manager
from service.api.kit.documented import problems
from service.api.kit.fields import LEFT_OUT, Document, Fields, GivenTime, Time
from service.api.kit.json_requests import JsonRoute
from service.api.kit.lists import ListQuery, Page, PagingOf
from service.api.kit.paths import NO_QUEUE, NO_WEBHOOK, QueueName, WebhookName
from service.api.kit.state import StoreOf
from service.api.resources.browse import (
    MAX_FOLDED,
    ErrorFilter,
    GroupFilter,
    HeaderFilter,
    ReasonFilter,
    SourceFilter,
    filter_of,
    header_of,
    is_header_filter,
    names_of,
)
from service.auth.scopes import require_queue
from service.domain import tasks
from service.domain.tasks import BulkAction
from service.domain.webhooks import WebhookKey
from service.message import MessageState
from service.model import NAME_PATTERN, TaskState
from service.store.views.browse import MessageFilter
from service.store.work.tasks import WantedRedrive

router = APIRouter(route_class=JsonRoute, tags=["tasks"])

TaskId = Annotated[str, Path(max_length=64, description="The task's id.")]
_NO_TASK = {404: "There is no such task: task_not_found."}


_NO_SUCH_FILTER = PydanticCustomError("unknown_field", "There is no such field. Write a header as `header.NAME`.")


def _message_id(given: object) -> UUID:
    try:
        found = UUID(given) if isinstance(given, str) else None
    except ValueError:
        found = None
    if found is None or str(found) != given:
        raise PydanticCustomError("wrong_form", "must be the id of a message")
    return found


MessageIds = Annotated[
    list[Annotated[UUID, BeforeValidator(_message_id), WithJsonSchema({"type": "string"})]],
    Field(min_length=1, max_length=1000, description="Only these messages of the queue."),
]


def _ids(given: list[UUID] | None) -> tuple[UUID, ...] | None:
    return None if given is None else tuple(given)


class FilterFields(Fields):
    """Which messages to act on, with the same filters as the list of messages, including `header.NAME`."""

    model_config = ConfigDict(extra="allow")

    # Null is refused: a client that passes on the null group of a message does not mean all messages.
    state: Annotated[MessageState, Field(strict=False)] = LEFT_OUT
    group: GroupFilter = LEFT_OUT
    sent_after: GivenTime = LEFT_OUT
    sent_before: GivenTime = LEFT_OUT
    source: Annotated[SourceFilter, Field(alias="dead_letter.source_queue")] = LEFT_OUT
    reason: Annotated[ReasonFilter, Field(alias="dead_letter.reason")] = LEFT_OUT
    error: Annotated[ErrorFilter, Field(alias="dead_letter.error")] = LEFT_OUT

    __pydantic_extra__: dict[str, HeaderFilter]

    @model_validator(mode="before")
    @classmethod
    def _check_names(cls, given: Any) -> Any:
        """Refuse unknown fields before their values are validated."""
        names = given if isinstance(given, dict) else {}
        unknown = [name for name in names if name not in names_of(cls) and not is_header_filter(name)]
        if unknown:
            errors = [InitErrorDetails(type=_NO_SUCH_FILTER, loc=(name,), input=None) for name in unknown]
            raise ValidationError.from_exception_data(cls.__name__, errors)
        return given

    def filter(self) -> MessageFilter:
        """Return the filter."""
        return filter_of(self, ((header_of(name), value) for name, value in self.__pydantic_extra__.items()))


class RedriveFields(Fields):
    """Which messages of a dead-letter queue to move, where to, and how fast."""

    to: Annotated[
        str | None,
        Field(pattern=NAME_PATTERN, description="A queue of the same type; default: the source queue of each message."),
    ] = None
    max_messages: Annotated[
        int | None, Field(ge=1, le=2**53 - 1, description="Maximum number of messages to move; null: all.")
    ] = None
    rate: Annotated[
        float | None, Field(ge=0.001, le=1_000_000, description="Messages per second; null: unlimited.")
    ] = None
    filter: Annotated[
        FilterFields, Field(description="The same filters as in the list of messages; empty: all messages.")
    ] = FilterFields()
    error: Annotated[
        str | None,
        Field(max_length=MAX_FOLDED, description="The same as the filter's `dead_letter.error`."),
    ] = None
    message_ids: MessageIds | None = None

    def chosen(self) -> MessageFilter | None:
        """Return the filter, None for all messages."""
        wanted = self.filter.filter()
        if self.error is not None:
            wanted = replace(wanted, error=self.error)
        wanted = replace(wanted, ids=_ids(self.message_ids))
        return None if wanted == MessageFilter() else wanted


_ALL = RedriveFields()


class ActionFields(Fields):
    """An action on all matching messages that are not leased."""

    action: Annotated[
        Literal["delete", "move", "release_delay"],
        Field(description="`release_delay` makes delayed messages ready now."),
    ]
    filter: Annotated[
        FilterFields, Field(description="The same filters as in the list of messages; empty: all messages.")
    ] = FilterFields()
    message_ids: MessageIds | None = None
    to: Annotated[
        str | None, Field(pattern=NAME_PATTERN, description="Only with `move`: a queue of the same type.")
    ] = None
    dry_run: Annotated[bool, Field(description="If true, only count the matching messages.")] = False

    @model_validator(mode="after")
    def _check_target(self) -> "ActionFields":
        if (self.action == "move") != (self.to is not None):
            raise PydanticCustomError("wrong_form", "must have `to` with the action `move`, and only with that action")
        return self


class Matched(Document):
    """The result of a dry run."""

    matched: int


class RetriedMessages(Fields):
    """Which messages a webhook should get again; exactly one of the two fields is required."""

    message_ids: MessageIds | None = None
    failed_since: Annotated[
        GivenTime | None,
        Field(description="All messages that the webhook failed to deliver since then, at most in the last 7 days."),
    ] = None

    @model_validator(mode="after")
    def _check_one(self) -> "RetriedMessages":
        if (self.message_ids is None) == (self.failed_since is None):
            raise PydanticCustomError("wrong_form", "must have either `message_ids` or `failed_since`")
        return self


class Task(Document):
    """A background operation on the messages of a queue."""

    id: str
    kind: Annotated[str, Field(description="`redrive`, `retry`, `delete`, `move` or `release_delay`.")]
    state: TaskState
    queue: Annotated[str, Field(description="The queue whose messages the task processes.")]
    moved: Annotated[int, Field(description="Messages processed: moved, deleted, retried or made ready.")]
    skipped: Annotated[
        int,
        Field(
            description="Messages left unchanged: in a redrive, their source queue was deleted or has another type; in "
            "a retry by id, they are neither blocked nor dead letters of the queue."
        ),
    ]
    remaining: Annotated[int, Field(description="An estimate of the messages still to be processed.")]
    error: Annotated[str | None, Field(description="Why the task failed.")]
    created_at: Time
    updated_at: Time


class TaskPage(Page[Task]):
    """A page of a project's tasks."""


@router.post(
    "/v1/queues/{queue}/redrive",
    operation_id="redrive_queue",
    summary="Move dead letters back",
    status_code=202,
    responses=problems(NO_QUEUE, body=True),
)
async def redrive_queue(
    queue: QueueName, caller: Manager, store: StoreOf, response: Response, fields: RedriveFields = _ALL
) -> Task:
    """Start a task that moves the messages now in the queue, except leased ones. Their receive count is reset to 0."""
    if fields.to is not None:
        require_queue(caller, fields.to)
    wanted = WantedRedrive(fields.to, fields.max_messages, fields.rate, caller.queues)
    task = await tasks.redrive(store, caller.project_id, queue, wanted, fields.chosen())
    response.headers["Location"] = f"/v1/tasks/{task.id.hex}"
    return _document(task)


@router.post(
    "/v1/queues/{queue}/messages/actions",
    operation_id="act_on_messages",
    summary="Act on all matching messages",
    status_code=202,
    response_model=Task,
    responses=problems(NO_QUEUE, body=True)
    | {200: {"description": "With `dry_run`: the number of matching messages.", "model": Matched}},
)
async def act_on_messages(
    queue: QueueName, caller: Manager, store: StoreOf, response: Response, fields: ActionFields
) -> Any:
    """Start a task that deletes, moves or makes ready all matching messages. Leased messages are not affected."""
    if fields.to is not None:
        require_queue(caller, fields.to)
    chosen = replace(fields.filter.filter(), ids=_ids(fields.message_ids))
    action = BulkAction(fields.action, chosen, fields.to)
    begun = await tasks.act(store, caller.project_id, queue, action, dry_run=fields.dry_run)
    if isinstance(begun, int):
        return JSONResponse({"matched": begun})
    response.headers["Location"] = f"/v1/tasks/{begun.id.hex}"
    return _document(begun)


@router.post(
    "/v1/queues/{queue}/webhooks/{webhook}/retry",
    operation_id="retry_webhook",
    summary="Retry messages of a webhook",
    status_code=202,
    responses=problems(NO_WEBHOOK, body=True),
)
async def retry_webhook(
    *,
    queue: QueueName,
    webhook: WebhookName,
    caller: Manager,
    store: StoreOf,
    response: Response,
    fields: RetriedMessages,
) -> Task:
    """Start a task that makes the webhook's failed messages ready again.

    It moves dead letters back from the queue's dead-letter queue, unblocks messages that are blocked after their last
    attempt, and makes messages that wait for their next attempt ready now. Attempts are counted from zero again. Any
    webhook of the queue may get the messages.
    """
    key = WebhookKey(caller.project_id, queue, webhook)
    task = await tasks.retry(store, key, fields.message_ids, fields.failed_since)
    response.headers["Location"] = f"/v1/tasks/{task.id.hex}"
    return _document(task)


@router.get("/v1/tasks/{task_id}", operation_id="get_task", summary="Read a task", responses=problems(_NO_TASK))
async def get_task(task_id: TaskId, caller: Manager, store: StoreOf) -> Task:
    """Return a task's state and progress. Tasks that have ended are kept for 7 days."""
    return _document(await tasks.get_task(store, caller, task_id))


@router.delete(
    "/v1/tasks/{task_id}",
    operation_id="cancel_task",
    summary="Cancel a task",
    status_code=204,
    responses=problems(_NO_TASK),
)
async def cancel_task(task_id: TaskId, caller: Manager, store: StoreOf) -> None:
    """Cancel a task. What it has done is not undone; cancelling a task that has ended has no effect."""
    await tasks.cancel_task(store, caller, task_id)


class TaskQuery(ListQuery):
    """The order of the list of tasks."""

    order: Annotated[Literal["oldest", "newest"], Field(description="Which tasks come first.")] = "oldest"


@router.get("/v1/tasks", operation_id="list_tasks", summary="List tasks", responses=problems())
async def list_tasks(
    *,
    query: Annotated[TaskQuery, Query()],
    caller: Manager,
    store: StoreOf,
    paging: PagingOf,
) -> TaskPage:
    """List the project's tasks in the order of creation. Only tasks of queues that the key covers are listed."""
    after = paging.after_id(query, "tasks", caller.project_id, query.order)
    found, last = await tasks.list_tasks(store, caller, after, query.limit, newest=query.order == "newest")
    documents = [_document(task) for task in found]
    return paging.page(TaskPage, documents, last)


def _document(task: model.Task) -> Task:
    return Task.model_construct(
        id=task.id.hex,
        kind=task.kind,
        state=task.state,
        queue=task.queue,
        moved=task.moved,
        skipped=task.skipped,
        remaining=task.remaining,
        error=task.error,
        created_at=task.created_at,
        updated_at=task.updated_at,
    )
