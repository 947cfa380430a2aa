"""Tasks in the database: what they are to do, their progress, and running them a batch at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import takewhile
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, and_, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from service.model import Queue, Task, TaskState
from service.store.database.clock import NOW
from service.store.database.ready import Ready
from service.store.database.statements import STATEMENTS
from service.store.database.tables import message, queue, task
from service.store.database.transaction import by_index, driver
from service.store.messaging.moves import Departure, first_bytes, move_free
from service.store.resources import queues
from service.store.views.browse import sent_between
from service.store.work import actions, retries
from service.store.work.due import DUE, DueTask

# Large, because in a busy process every step of a batch waits for its turn.
BATCH = 4000
KEPT = timedelta(days=7)

_REDRIVE = STATEMENTS["tasks.redrive"]
_REDRIVE_FIFO = STATEMENTS["tasks.redrive_fifo"]
# A rate is kept by moving messages in steps of this length.
_STEP_SECONDS = 0.1
# The pause if another transaction holds the next message, which it does not do for long.
_HELD_REST = timedelta(seconds=0.05)


@dataclass(frozen=True, slots=True)
class WantedRedrive:
    """The parameters of a redrive. `to` None: to each message's source, if a pattern in `names` covers it.

    `rate`: messages per second; `filter`: in its stored form, None: all messages.
    """

    to: str | None = None
    max_messages: int | None = None
    rate: float | None = None
    names: Sequence[str] = ("*",)
    filter: dict[str, Any] | None = None


async def create(
    connection: AsyncConnection, task_id: UUID, of: Queue, *, kind: str, wanted: dict[str, Any], total: int
) -> Task:
    """Create a task that starts at once."""
    values = {
        "project_id": of.project_id,
        "id": task_id,
        "kind": kind,
        "state": TaskState.RUNNING,
        "queue": of.name,
        "queue_number": of.number,
        "wanted": wanted,
        "total": total,
        "due_at": NOW,
        "created_at": NOW,
        "updated_at": NOW,
    }
    return _task((await connection.execute(insert(task).values(values).returning(task))).one())


async def find(connection: AsyncConnection, project_id: int, task_id: UUID) -> Task | None:
    """Return a task of this project, or None."""
    found = (await connection.execute(select(task).where(_this(project_id, task_id)))).first()
    return _task(found) if found else None


async def cancel(connection: AsyncConnection, project_id: int, task_id: UUID) -> None:
    """End a task that is running, after the batch that may be in progress."""
    running = and_(_this(project_id, task_id), task.c.state == TaskState.RUNNING)
    await connection.execute(update(task).where(running).values(state=TaskState.CANCELLED, updated_at=NOW))


async def listed(
    connection: AsyncConnection, project_id: int, after: UUID | None, limit: int, *, newest: bool
) -> list[Task]:
    """Return tasks, oldest or newest first."""
    order = task.c.id.desc() if newest else task.c.id
    mine = [task.c.project_id == project_id]
    if after is not None:
        mine.append(task.c.id < after if newest else task.c.id > after)
    rows = await connection.execute(select(task).where(*mine).order_by(order).limit(limit))
    return [_task(row) for row in rows]


async def remove_old(connection: AsyncConnection) -> int:
    """Remove tasks that ended more than KEPT ago; return how many."""
    old = and_(task.c.state != TaskState.RUNNING, task.c.updated_at < NOW - KEPT)
    return (await connection.execute(delete(task).where(old))).rowcount


async def running(connection: AsyncConnection) -> bool:
    """Return whether any task is running."""
    found = await connection.execute(select(task.c.id).where(task.c.state == TaskState.RUNNING).limit(1))
    return found.first() is not None


async def due(connection: AsyncConnection) -> DueTask | None:
    """Return the task that is due first, locked until its batch is done; None: no free one is due."""
    first = (
        select(*DUE)
        .where(task.c.state == TaskState.RUNNING, task.c.due_at <= NOW)
        .order_by(task.c.due_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    row = (await connection.execute(first)).first()
    return None if row is None else DueTask(*row)


async def run_batch(connection: AsyncConnection, found: DueTask, ready: Ready) -> None:
    """Run the next batch of a task that is due; the other due tasks come before its next batch."""
    await by_index(connection)
    values = {"due_at": NOW, "updated_at": NOW} | await _STEPS.get(found.kind, _act)(connection, found, ready)
    await connection.execute(update(task).where(_this(found.project_id, found.id)).values(values))


async def put_off(connection: AsyncConnection, found: DueTask, rest: timedelta) -> None:
    """Put off a task whose batch failed; it is tried again later."""
    await connection.execute(
        update(task).where(_this(found.project_id, found.id)).values(due_at=NOW + rest, updated_at=NOW)
    )


async def _act(connection: AsyncConnection, found: DueTask, ready: Ready) -> dict[str, Any]:
    """Act on the next matching messages of a task; return the changed columns of the task."""
    source = await queues.shared(connection, queue.c.number == found.queue_number)
    if source is None:
        return {"state": TaskState.DONE}
    to_number, name = None, found.wanted["to"]
    if found.kind == "move":
        to_number = await _target(connection, source, name)
        if to_number is None:
            return _failed(name)
    wanted = actions.loaded(found.wanted["filter"])
    columns = ("after_group", "after_seq") if source.is_fifo else ("after_id",)
    after = tuple(getattr(found, column) for column in columns)
    matching, end = await actions.next_matching(connection, source, wanted, after, BATCH)
    versions = {message_id: match.version for message_id, match in matching.items()}
    if found.kind == "release_delay":
        done = await actions.release_delay(connection, source, versions, ready)
    else:
        done = await actions.take_away(connection, source, versions, to_number, ready)
    values: dict[str, Any] = {"moved": found.moved + len(done)}
    held = next((message_id for message_id in matching if message_id not in done), None)
    if held is not None and source.is_fifo:
        # Another transaction holds its group, so the next batch begins there.
        group, seq = matching[held].place
        return values | {"after_group": group, "after_seq": seq - 1, "due_at": NOW + _HELD_REST}
    return values | ({"state": TaskState.DONE} if end is None else dict(zip(columns, end, strict=True)))


async def _target(connection: AsyncConnection, source: Queue, name: str) -> int | None:
    """Return the number of the queue to move to; None: it was deleted, or has another type now."""
    target = await queues.shared(connection, and_(queue.c.project_id == source.project_id, queue.c.name == name))
    return target.number if target is not None and target.config.type == source.config.type else None


def _failed(name: str) -> dict[str, Any]:
    return {"state": TaskState.FAILED, "error": f"The queue {name!r} was deleted, or has another type now."}


async def _redrive(connection: AsyncConnection, found: DueTask, ready: Ready) -> dict[str, Any]:
    """Move the next messages of a dead-letter queue; return the changed columns of the task."""
    wanted = WantedRedrive(**found.wanted)
    source = await queues.shared(connection, queue.c.number == found.queue_number)
    if source is None:
        return {"state": TaskState.DONE}
    to_number = None
    if wanted.to is not None:
        to_number = await _target(connection, source, wanted.to)
        if to_number is None:
            return _failed(wanted.to)
    limit, link = _limit(wanted, found.moved), await driver(connection)
    place = (found.after_group, found.after_seq) if source.is_fifo else (found.after_id,)
    statement = _REDRIVE_FIFO if source.is_fifo else _REDRIVE
    looked_at = limit if wanted.filter is None else BATCH
    bounds = looked_at, found.created_at, to_number, queues.covering(wanted.names)
    rows = await link.fetch(statement, found.queue_number, *place, *bounds)
    at_end = len(rows) < looked_at
    first = first_bytes(await _chosen(connection, source, wanted.filter, rows, limit))
    return await _move(connection, found, first, ready, at_end=at_end and len(first) == len(rows))


async def _chosen(
    connection: AsyncConnection,
    source: Queue,
    kept: dict[str, Any] | None,
    rows: Sequence[Any],
    limit: int,
) -> Sequence[Any]:
    """Return the rows up to the last matching one within `limit`; those that do not match are marked as not free."""
    if kept is None:
        return rows
    these = and_(message.c.queue_number == source.number, message.c.id.in_([row["id"] for row in rows]))
    wanted = actions.loaded(kept)
    conditions = (*sent_between(wanted), *wanted.conditions(source))
    matching = set((await connection.execute(select(message.c.id).where(these, *conditions))).scalars())
    marked = [{**row, "free": row["free"] and row["id"] in matching} for row in rows]
    places = [place for place, row in enumerate(marked) if row["free"]]
    return marked if len(places) <= limit else marked[: places[limit - 1] + 1]


async def _move(
    connection: AsyncConnection, found: DueTask, rows: Sequence[Any], ready: Ready, *, at_end: bool
) -> dict[str, Any]:
    """Move free messages, up to one that another transaction holds; return the changed columns of the task."""
    targets = {row["to_number"] for row in rows if row["free"] and row["to_number"]}
    there = (
        select(queue.c.number).where(queue.c.number.in_(targets)).order_by(queue.c.number).with_for_update(read=True)
    )
    standing = set((await connection.execute(there)).scalars()) if targets else set()
    departures = [
        Departure(found.queue_number, row["id"], row["seq"] is not None, row["version"], to=row["to_number"])
        for row in rows
        if row["free"] and row["to_number"] in standing
    ]
    moved = {departure.id for departure in await move_free(await driver(connection), departures, ready)}
    passed = list(takewhile(lambda row: row["id"] in moved or not row["free"] or not row["to_number"], rows))
    values: dict[str, Any] = {
        "moved": found.moved + len(moved),
        "skipped": found.skipped + sum(row["free"] and not row["to_number"] for row in passed),
    }
    if passed:
        last = passed[-1]
        values |= {"after_id": last["id"], "after_group": last["name"], "after_seq": last["seq"] or 0}
    wanted = WantedRedrive(**found.wanted)
    if len(passed) < len(rows):
        values["due_at"] = NOW + _HELD_REST
    elif at_end or values["moved"] == wanted.max_messages:
        values["state"] = TaskState.DONE
    elif wanted.rate is not None:
        values["due_at"] = NOW + timedelta(seconds=sum(row["free"] for row in rows) / wanted.rate)
    return values


async def _retry(connection: AsyncConnection, found: DueTask, ready: Ready) -> dict[str, Any]:
    return await retries.retry(connection, found, BATCH, ready)


_STEPS = {"redrive": _redrive, "retry": _retry}


def _limit(wanted: WantedRedrive, moved: int) -> int:
    """Return how many messages the next batch may move."""
    limit = BATCH if wanted.rate is None else min(BATCH, max(1, int(wanted.rate * _STEP_SECONDS)))
    return limit if wanted.max_messages is None else min(limit, wanted.max_messages - moved)


def _this(project_id: int, task_id: UUID) -> ColumnElement[bool]:
    return and_(task.c.project_id == project_id, task.c.id == task_id)


def _task(row: Row[Any]) -> Task:
    most = row.wanted.get("max_messages")
    left = row.total - row.moved - row.skipped
    if most is not None:
        left = min(left, most - row.moved)
    return Task(
        id=row.id,
        kind=row.kind,
        state=TaskState(row.state),
        queue=row.queue,
        moved=row.moved,
        skipped=row.skipped,
        remaining=0 if row.state == TaskState.DONE else max(0, left),
        error=row.error,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
