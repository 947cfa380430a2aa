"""Tasks: redriving dead letters, and looking after work that goes on after its request was answered."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from service.domain.queues import check_alike
from service.domain.webhooks import WebhookKey, get_webhook
from service.errors import NotFound, TooManyToCount, invalid
from service.model import Caller, Queue, Task
from service.store import actions, queues, retries, stats, tasks
from service.store.browse import MessageFilter
from service.store.store import Store
from service.store.tasks import Wanted
from service.store.transactions import transaction

_MOST_COUNTED = 10_000


@dataclass(frozen=True, slots=True)
class Action:
    """What to do with messages that match: "delete", "move" (to the queue named `to`) or "release_delay"."""

    kind: str
    filter: MessageFilter
    to: str | None = None


async def redrive(store: Store, project_id: int, queue_name: str, wanted: Wanted) -> Task:
    """Begin to move a dead-letter queue's messages back. Raises NotFound, InvalidRequest."""
    queue = await _queue(store, project_id, queue_name, wanted.to)
    async with store.reads.turn(project_id):
        total = await stats.messages_under(store.engine, queue.number)
    kept = asdict(wanted)
    if "*" in wanted.names:
        # A process of an older version, which may go on with it, knows no patterns.
        del kept["names"]
    return await _begin(store, queue, "redrive", kept, total)


async def act(store: Store, project_id: int, queue_name: str, action: Action, *, dry_run: bool) -> Task | int:
    """Begin to act on all messages that match and that nobody holds; `dry_run`: only tell how many there are.

    Raises NotFound, InvalidRequest, TooManyToCount.
    """
    queue = await _queue(store, project_id, queue_name, action.to)
    async with store.reads.turn(project_id):
        matched = await actions.matched(store.engine, queue, action.filter)
        if matched is None and not dry_run:
            matched = await stats.messages_under(store.engine, queue.number)
    if matched is None:
        raise TooManyToCount("The count takes too long. Narrow the filter, or act without dry_run.")
    if dry_run:
        return matched
    wanted = {"to": action.to, "filter": actions.stored(action.filter)}
    return await _begin(store, queue, action.kind, wanted, matched)


async def retry(
    store: Store, key: WebhookKey, message_ids: Sequence[UUID] | None, failed_since: datetime | None
) -> Task:
    """Begin to give messages to a webhook once more: these, or those that it has failed to deliver since a time.

    Raises NotFound.
    """
    queue, webhook = await get_webhook(store, key)
    wanted = retries.Wanted(webhook.id, message_ids, failed_since)
    total = await transaction(store.engine, lambda connection: retries.count(connection, queue, wanted, _MOST_COUNTED))
    return await _begin(store, queue, "retry", wanted.stored(), total)


async def _queue(store: Store, project_id: int, name: str, to: str | None) -> Queue:
    """Return the queue of a new task; see that it can move messages to the other one."""

    async def look(connection: AsyncConnection) -> Queue:
        queue = await queues.existing(connection, project_id, name)
        if to is not None:
            _check_target(queue, to, await queues.find(connection, project_id, to))
        return queue

    return await transaction(store.engine, look)


async def _begin(store: Store, queue: Queue, kind: str, wanted: dict[str, Any], total: int) -> Task:
    task_id = store.identifiers.message()
    return await transaction(
        store.engine,
        lambda connection: tasks.create(connection, task_id, queue, kind=kind, wanted=wanted, total=total),
    )


def _check_target(queue: Queue, name: str, target: Queue | None) -> None:
    if name == queue.name:
        raise invalid("/to", "cycle", "The messages are in this queue already. Name another one.")
    check_alike("/to", name, target, queue.config)


async def get_task(store: Store, caller: Caller, task_id: str) -> Task:
    """Return a task as it stands. Raises NotFound, also for a task of a queue that the key does not cover."""
    identity = _uuid(task_id)
    task = await transaction(store.engine, lambda connection: tasks.find(connection, caller.project_id, identity))
    if task is None or not caller.covers(task.queue):
        raise _task_not_found()
    return task


async def cancel_task(store: Store, caller: Caller, task_id: str) -> None:
    """End a task after the batch that may be under way; one that has ended stays as it is. Raises NotFound."""
    task = await get_task(store, caller, task_id)
    await transaction(store.engine, lambda connection: tasks.cancel(connection, caller.project_id, task.id))


async def list_tasks(
    store: Store, caller: Caller, after: UUID | None, limit: int, *, newest: bool
) -> tuple[list[Task], UUID | None]:
    """Return a page of tasks in the order they were made, or the opposite, and the id that the next page follows."""
    found = await transaction(
        store.engine, lambda connection: tasks.listed(connection, caller.project_id, after, limit + 1, newest=newest)
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
    return NotFound(
        "task", "There is no such task: it never was, or it ended over 7 days ago. GET /v1/tasks lists them."
    )
