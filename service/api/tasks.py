"""Tasks over HTTP: redrives, and how far they are."""

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from service import model
from service.api.browse import GroupFilter, HeaderFilter, header_of, is_header_filter
from service.api.callers import Manager
from service.api.documented import problems
from service.api.fields import LEFT_OUT, Document, Fields, GivenTime, Time
from service.api.json_requests import JsonRoute
from service.api.lists import ListQuery, Page, page
from service.api.queues import QueueName
from service.api.state import CursorsOf, StoreOf
from service.api.webhooks import NO_WEBHOOK, WebhookName
from service.auth.scopes import require_queue
from service.domain import tasks
from service.domain.tasks import Action
from service.domain.webhooks import WebhookKey
from service.model import NAME_PATTERN, MessageState, TaskState
from service.store.browse import MessageFilter
from service.store.tasks import Wanted

router = APIRouter(route_class=JsonRoute, tags=["tasks"])

TaskId = Annotated[str, Path(max_length=64, description="The task's id.")]
_NO_TASK = {404: "There is no such task: task_not_found."}


class RedriveFields(Fields):
    """Which messages of a dead-letter queue to move, and how fast."""

    to: Annotated[
        str | None,
        Field(pattern=NAME_PATTERN, description="A queue of the same type; default: each message's source."),
    ] = None
    max_messages: Annotated[int | None, Field(ge=1, le=2**53 - 1, description="Null: all that are there now.")] = None
    rate: Annotated[
        float | None, Field(ge=0.001, le=1_000_000, strict=False, description="Messages a second; null: at full speed.")
    ] = None


_ALL = RedriveFields()


_NO_SUCH_FILTER = PydanticCustomError("unknown_field", "There is no such field; a header is `header.NAME`.")


class FilterFields(Fields):
    """Which messages to act on: the fields of the list, `header.NAME` among them."""

    model_config = ConfigDict(extra="allow")

    # A message without a group shows `null`: whoever passes that on does not mean all messages.
    state: Annotated[MessageState, Field(strict=False)] = LEFT_OUT
    group: GroupFilter = LEFT_OUT
    sent_after: GivenTime = LEFT_OUT
    sent_before: GivenTime = LEFT_OUT

    __pydantic_extra__: dict[str, HeaderFilter]

    @model_validator(mode="before")
    @classmethod
    def _check_names(cls, given: Any) -> Any:
        """Refuse other fields ahead of what they hold."""
        names = given if isinstance(given, dict) else {}
        unknown = [name for name in names if name not in cls.model_fields and not is_header_filter(name)]
        if unknown:
            errors = [InitErrorDetails(type=_NO_SUCH_FILTER, loc=(name,), input=None) for name in unknown]
            raise ValidationError.from_exception_data(cls.__name__, errors)
        return given

    def filter(self) -> MessageFilter:
        """Return the filter."""
        headers = sorted((header_of(name), value) for name, value in self.__pydantic_extra__.items())
        return MessageFilter(self.state, self.group, tuple(headers), self.sent_after, self.sent_before)


class ActionFields(Fields):
    """What to do with all messages that match and that nobody holds."""

    action: Annotated[
        Literal["delete", "move", "release_delay"], Field(description="`release_delay`: what is delayed is ready now.")
    ]
    filter: Annotated[FilterFields, Field(description="As in the list of messages; empty: all.")] = FilterFields()
    to: Annotated[str | None, Field(pattern=NAME_PATTERN, description="With `move`: a queue of the same type.")] = None
    dry_run: Annotated[bool, Field(description="True: only tell how many messages match.")] = False

    @model_validator(mode="after")
    def _check_target(self) -> "ActionFields":
        if (self.action == "move") != (self.to is not None):
            raise PydanticCustomError("wrong_form", "must have `to` with the action move, and only then")
        return self


class Matched(Document):
    """What a dry run found."""

    matched: int


def _message_id(given: object) -> UUID:
    try:
        found = UUID(given) if isinstance(given, str) else None
    except ValueError:
        found = None
    if found is None or str(found) != given:
        raise PydanticCustomError("wrong_form", "must be the id of a message")
    return found


class RetriedMessages(Fields):
    """Which messages to give to a webhook once more: one of the two."""

    message_ids: Annotated[
        list[Annotated[UUID, BeforeValidator(_message_id), WithJsonSchema({"type": "string"})]] | None,
        Field(min_length=1, max_length=1000, description="These messages of the queue."),
    ] = None
    failed_since: Annotated[
        GivenTime | None,
        Field(description="All that the webhook has failed to deliver since then; attempts are known for 7 days."),
    ] = None

    @model_validator(mode="after")
    def _check_one(self) -> "RetriedMessages":
        if (self.message_ids is None) == (self.failed_since is None):
            raise PydanticCustomError("wrong_form", "must have either `message_ids` or `failed_since`")
        return self


class Task(Document):
    """Work that goes on after its request was answered."""

    id: str
    kind: Annotated[str, Field(description="`redrive`, `retry`, `delete`, `move` or `release_delay`.")]
    state: TaskState
    queue: Annotated[str, Field(description="The queue whose messages it is about.")]
    moved: Annotated[int, Field(description="Messages that it has done what it is for with.")]
    skipped: Annotated[
        int,
        Field(
            description="Messages that stay: their source is gone or of another type; of those named in a retry, "
            "what is neither blocked nor a dead letter of the queue."
        ),
    ]
    remaining: Annotated[int, Field(description="Messages still to be looked at, as far as is known.")]
    error: Annotated[str | None, Field(description="Why it failed.")]
    created_at: Time
    updated_at: Time


class TaskPage(Page[Task]):
    """Some of a project's tasks."""


@router.post(
    "/v1/queues/{queue}/redrive",
    operation_id="redrive_queue",
    summary="Move dead letters back",
    status_code=202,
    responses=problems({404: "There is no such queue in this project: queue_not_found."}, body=True),
)
async def redrive_queue(
    queue: QueueName, caller: Manager, store: StoreOf, response: Response, fields: RedriveFields = _ALL
) -> Task:
    """Begin to move the messages that are in the queue now; they start anew at their target. Leased ones stay."""
    require_queue(caller, queue)
    if fields.to is not None:
        require_queue(caller, fields.to)
    wanted = Wanted(fields.to, fields.max_messages, fields.rate, caller.queues)
    task = await tasks.redrive(store, caller.project_id, queue, wanted)
    response.headers["Location"] = f"/v1/tasks/{task.id.hex}"
    return _document(task)


async def _manager_of_queue(queue: QueueName, caller: Manager) -> model.Caller:
    """Return who may manage this queue. A body without what it must have is looked at after that."""
    require_queue(caller, queue)
    return caller


ManagerOfQueue = Annotated[model.Caller, Depends(_manager_of_queue)]


@router.post(
    "/v1/queues/{queue}/messages/actions",
    operation_id="act_on_messages",
    summary="Act on all messages that match",
    status_code=202,
    response_model=Task,
    responses=problems({404: "There is no such queue in this project: queue_not_found."}, body=True)
    | {200: {"description": "With `dry_run`: how many match.", "model": Matched}},
)
async def act_on_messages(
    queue: QueueName, caller: ManagerOfQueue, store: StoreOf, response: Response, fields: ActionFields
) -> Any:
    """Begin to delete, move or make ready all messages that match; those that are leased stay as they are."""
    if fields.to is not None:
        require_queue(caller, fields.to)
    action = Action(fields.action, fields.filter.filter(), fields.to)
    begun = await tasks.act(store, caller.project_id, queue, action, dry_run=fields.dry_run)
    if isinstance(begun, int):
        return JSONResponse({"matched": begun})
    response.headers["Location"] = f"/v1/tasks/{begun.id.hex}"
    return _document(begun)


@router.post(
    "/v1/queues/{queue}/webhooks/{webhook}/retry",
    operation_id="retry_webhook",
    summary="Give messages to a webhook once more",
    status_code=202,
    responses=problems(NO_WEBHOOK, body=True),
)
async def retry_webhook(
    *,
    queue: QueueName,
    webhook: WebhookName,
    caller: ManagerOfQueue,
    store: StoreOf,
    response: Response,
    fields: RetriedMessages,
) -> Task:
    """Begin to put back what came to the queue's dead-letter queue from it, and what is blocked after its last attempt.

    Their attempts begin anew; any webhook of the queue may get them.
    """
    key = WebhookKey(caller.project_id, queue, webhook)
    task = await tasks.retry(store, key, fields.message_ids, fields.failed_since)
    response.headers["Location"] = f"/v1/tasks/{task.id.hex}"
    return _document(task)


@router.get("/v1/tasks/{task_id}", operation_id="get_task", summary="Read a task", responses=problems(_NO_TASK))
async def get_task(task_id: TaskId, caller: Manager, store: StoreOf) -> Task:
    """Return how far a task is. Ended ones are kept for 7 days."""
    return _document(await tasks.get_task(store, caller, task_id))


@router.delete(
    "/v1/tasks/{task_id}",
    operation_id="cancel_task",
    summary="Cancel a task",
    status_code=204,
    responses=problems(_NO_TASK),
)
async def cancel_task(task_id: TaskId, caller: Manager, store: StoreOf) -> None:
    """End a task; what it has moved stays moved. One that has ended stays as it is."""
    await tasks.cancel_task(store, caller, task_id)


class TaskQuery(ListQuery):
    """In which order to list tasks."""

    order: Annotated[Literal["oldest", "newest"], Field(description="Which come first.")] = "oldest"


@router.get("/v1/tasks", operation_id="list_tasks", summary="List tasks", responses=problems())
async def list_tasks(
    *,
    query: Annotated[TaskQuery, Query()],
    caller: Manager,
    store: StoreOf,
    cursors: CursorsOf,
    request: Request,
    response: Response,
) -> TaskPage:
    """List the project's tasks in the order they were made, as far as the key covers their queues."""
    listing = ("tasks", caller.project_id, query.order)
    after = UUID(cursors.open(query.cursor, *listing)) if query.cursor is not None else None
    found, last = await tasks.list_tasks(store, caller, after, query.limit, newest=query.order == "newest")
    documents = [_document(task) for task in found]
    return page(TaskPage, documents, cursors.seal(last.hex, *listing) if last else None, request, response)


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
