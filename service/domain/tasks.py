"""Tasks: redriving dead letters, and looking after work that goes on after its request was answered."""

from dataclasses import asdict
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from service.errors import NotFound, invalid
from service.model import Caller, Queue, Task
from service.store import queues, stats, tasks
from service.store.directory import queue_not_found
from service.store.store import Store
from service.store.tasks import Wanted
from service.store.transactions import transaction


async def redrive(store: Store, project_id: int, queue_name: str, wanted: Wanted) -> Task:
    """Begin to move a dead-letter queue's messages back. Raises NotFound, InvalidRequest."""

    async def look(connection: AsyncConnection) -> Queue:
        queue = await queues.find(connection, project_id, queue_name)
        if queue is None:
            raise queue_not_found(queue_name)
        if wanted.to is not None:
            _check_target(queue, wanted.to, await queues.find(connection, project_id, wanted.to))
        return queue

    queue = await transaction(store.engine, look)
    total = await stats.messages_under(store.engine, queue.number)
    task_id = store.identifiers.message()
    return await transaction(
        store.engine,
        lambda connection: tasks.create(connection, task_id, queue, kind="redrive", wanted=asdict(wanted), total=total),
    )


def _check_target(queue: Queue, name: str, target: Queue | None) -> None:
    if target is None:
        raise invalid("/to", "queue_not_found", f"There is no queue {name!r}. Create it first.")
    if target.id == queue.id:
        raise invalid("/to", "cycle", "The messages are in this queue already. Name another one.")
    if target.config.type != queue.config.type:
        detail = f"{name!r} is a {target.config.type} queue, this one {queue.config.type}. They must be alike."
        raise invalid("/to", "wrong_type", detail)


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


async def list_tasks(store: Store, caller: Caller, after: UUID | None, limit: int) -> tuple[list[Task], UUID | None]:
    """Return a page of tasks in the order they were made, and the id after which the next page begins."""
    found = await transaction(
        store.engine, lambda connection: tasks.listed(connection, caller.project_id, after, limit + 1)
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
