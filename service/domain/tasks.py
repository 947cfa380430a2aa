"""Tasks: work on many messages that continues after its request was answered, such as a redrive."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from service.domain.queues import check_alike
from service.domain.webhooks import WebhookKey, get_webhook
from service.errors import NotFound, TooManyToCount, invalid
from service.model import Caller, Queue, Task
from service.store.database.transaction import Connection
from service.store.resources import queues
from service.store.store import Store
from service.store.views import stats
from service.store.views.browse import MessageFilter
from service.store.work import actions, retries, tasks
from service.store.work.tasks import WantedRedrive

_MOST_COUNTED = 10_000


@dataclass(frozen=True, slots=True)
class BulkAction:
    """An action on the messages that match: "delete", "move" (to the queue named `to`) or "release_delay"."""

    kind: str
    filter: MessageFilter
    to: str | None = None


async def redrive(
    store: Store, project_id: int, queue_name: str, wanted: WantedRedrive, chosen: MessageFilter | None = None
) -> Task:
    """Start to move a dead-letter queue's messages back, all of them or those that match `chosen`.

    Raises NotFound, InvalidRequest.
    """
    queue = await _queue(store, project_id, queue_name, wanted.to)
    async with store.reads.turn(project_id):
        total = None if chosen is None else await actions.matched(store.engine, queue, chosen)
        if total is None:
            total = await stats.messages_under(store.engine, queue.number)
    kept = asdict(wanted)
    # A process of an older version may continue the task. It knows neither filters nor patterns, so a task without them
    # must not mention them.
    if chosen is None:
        del kept["filter"]
    else:
        kept["filter"] = actions.stored(chosen)
    if "*" in wanted.names:
        del kept["names"]
    return await _begin(store, queue, "redrive", kept, total)


async def act(store: Store, project_id: int, queue_name: str, action: BulkAction, *, dry_run: bool) -> Task | int:
    """Start to act on all messages that match and are not leased; with `dry_run`, only return how many there are.

    Raises NotFound, InvalidRequest, TooManyToCount.
    """
    queue = await _queue(store, project_id, queue_name, action.to)
    async with store.reads.turn(project_id):
        matched = await actions.matched(store.engine, queue, action.filter)
        if matched is None and not dry_run:
            matched = await stats.messages_under(store.engine, queue.number)
    if matched is None:
        raise TooManyToCount("Counting takes too long. Narrow the filter, or act without dry_run.")
    if dry_run:
        return matched
    wanted = {"to": action.to, "filter": actions.stored(action.filter)}
    return await _begin(store, queue, action.kind, wanted, matched)


async def retry(
    store: Store, key: WebhookKey, message_ids: Sequence[UUID] | None, failed_since: datetime | None
) -> Task:
    """Start to give messages to a webhook once more: these, or those that it failed to deliver since a time.

    Raises NotFound.
    """
    queue, webhook = await get_webhook(store, key)
    wanted = retries.WantedRetry(webhook.id, message_ids, failed_since)
    total = await store.transaction(lambda connection: retries.count(connection, queue, wanted, _MOST_COUNTED))
    return await _begin(store, queue, "retry", wanted.stored(), total)


async def _queue(store: Store, project_id: int, name: str, to: str | None) -> Queue:
    """Return the queue of a new task, which can move messages to `to`. Raises NotFound, InvalidRequest."""

    async def look(connection: Connection) -> Queue:
        queue = await queues.existing(connection, project_id, name)
        if to is not None:
            _check_target(queue, to, await queues.find(connection, project_id, to))
        return queue

    return await store.transaction(look)


async def _begin(store: Store, queue: Queue, kind: str, wanted: dict[str, Any], total: int) -> Task:
    task_id = store.identifiers.message()
    return await store.transaction(
        lambda connection: tasks.create(connection, task_id, queue, kind=kind, wanted=wanted, total=total),
    )


def _check_target(queue: Queue, name: str, target: Queue | None) -> None:
    if name == queue.name:
        raise invalid("/to", "cycle", "The messages are already in this queue. Name another queue.")
    check_alike("/to", name, target, queue.config)


async def get_task(store: Store, caller: Caller, task_id: str) -> Task:
    """Return a task. Raises NotFound, also for a task of a queue that the key does not cover."""
    identity = _uuid(task_id)
    task = await store.transaction(lambda connection: tasks.find(connection, caller.project_id, identity))
    if task is None or not caller.covers(task.queue):
        raise _task_not_found()
    return task


async def cancel_task(store: Store, caller: Caller, task_id: str) -> None:
    """End a task after the batch that may be running; one that has ended stays as it is. Raises NotFound."""
    task = await get_task(store, caller, task_id)
    await store.transaction(lambda connection: tasks.cancel(connection, caller.project_id, task.id))


async def list_tasks(
    store: Store, caller: Caller, after: UUID | None, limit: int, *, newest: bool
) -> tuple[list[Task], UUID | None]:
    """Return a page of tasks, oldest or newest first, and the id after which the next page begins."""
    found = await store.transaction(
        lambda connection: tasks.listed(connection, caller.project_id, after, limit + 1, newest=newest)
    )
    last = found[limit - 1].id if len(found) > limit else None
    return [task for task in found[:limit] if caller.covers(task.queue)], last


def _uuid(task_id: str) -> UUID:
    try:
        identity = UUID(task_id)
    except ValueError:
        raise _task_not_found() from None
    if identity.hex != task_id:
        raise _task_not_found()
    return identity


def _task_not_found() -> NotFound:
    return NotFound("task", "There is no such task, or it ended more than 7 days ago. GET /v1/tasks lists the tasks.")
