"""Queues in the database: their configuration, and the numbers that their messages are stored under."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, exists, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from service.errors import NotFound
from service.model import NO_ID, DeadLetter, Queue, QueueConfig
from service.store.database.clock import NOW
from service.store.database.identifiers import random_number
from service.store.database.statements import STATEMENTS
from service.store.database.tables import queue, retired_queue
from service.store.database.transaction import by_index, driver

_CONFIG = tuple(name for name in QueueConfig.__dataclass_fields__ if name != "dead_letter")

_ADD_URGENCIES = STATEMENTS["queues.add_urgencies"]
_BY_AGE = STATEMENTS["queues.by_age"]

# Queues that a page looks at, however few of them its filters match.
PAGE_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class QueueFilter:
    """Which queues of a project to list.

    `names`: patterns of which one must match; `search`: part of the name; `dead_letters`: only those that others name
    as their dead-letter queue.
    """

    prefix: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    names: tuple[str, ...] = ("*",)
    search: str = ""
    dead_letters: bool = False


@dataclass(frozen=True, slots=True)
class Aged:
    """A queue, and since when its longest-waiting message has been ready; None: no message is ready."""

    queue: Queue
    since: datetime | None


async def find(connection: AsyncConnection, project_id: int, name: str, *, lock: bool = False) -> Queue | None:
    """Return the queue of this name, or None; `lock` keeps others from changing it until this transaction ends."""
    statement = select(queue).where(queue.c.project_id == project_id, queue.c.name == name)
    row = (await connection.execute(statement.with_for_update(key_share=True) if lock else statement)).first()
    return loaded(row) if row else None


def queue_not_found(name: str) -> NotFound:
    """Return the problem of a queue that this project does not have."""
    return NotFound("queue", f"There is no queue {name!r} in this project. Create it with PUT /v1/queues/{name}.")


async def existing(connection: AsyncConnection, project_id: int, name: str, *, lock: bool = False) -> Queue:
    """Return the queue of this name, as `find` does. Raises NotFound."""
    found = await find(connection, project_id, name, lock=lock)
    if found is None:
        raise queue_not_found(name)
    return found


async def named(connection: AsyncConnection, project_id: int, names: Iterable[str]) -> dict[str, Queue]:
    """Return the queues of these names, as far as they exist."""
    mine = and_(queue.c.project_id == project_id, queue.c.name.in_(list(names)))
    return {row.name: loaded(row) for row in await connection.execute(select(queue).where(mine))}


async def shared(connection: AsyncConnection, which: ColumnElement[bool]) -> Queue | None:
    """Return the queue that meets a condition; it cannot be purged or deleted until this transaction ends."""
    row = (await connection.execute(select(queue).where(which).with_for_update(read=True))).first()
    return loaded(row) if row else None


async def create(connection: AsyncConnection, project_id: int, name: str, config: QueueConfig) -> Queue | None:
    """Create a queue; return None if there is one of this name by now. Raises NotFound if the project was deleted."""
    statement = upsert(queue).values(
        id=random_number(),
        project_id=project_id,
        name=name,
        number=random_number(),
        created_at=NOW,
        updated_at=NOW,
        **_columns(config),
        **_use(config),
    )
    statement = statement.on_conflict_do_nothing(index_elements=[queue.c.project_id, queue.c.name])
    try:
        row = (await connection.execute(statement.returning(queue))).first()
    except IntegrityError as error:
        raise project_gone() from error
    return loaded(row) if row else None


def project_gone() -> NotFound:
    """Return the problem of a project that was deleted while something was created in it."""
    return NotFound("project", "The project was deleted. Create it again, or use a key of another project.")


async def configure(connection: AsyncConnection, old: Queue, config: QueueConfig) -> Queue:
    """Replace the configuration of a locked queue."""
    changes = _columns(config) | _use(config)
    if config.dead_letter not in (None, old.config.dead_letter):
        changes["unmarked_after"] = NO_ID
    return await _change(connection, old, changes)


async def renumber(connection: AsyncConnection, old: Queue) -> Queue:
    """Give a locked queue a new number, which puts its present messages out of reach at once."""
    await retire(connection, [old.number])
    return await _change(connection, old, {"number": random_number()})


async def _change(connection: AsyncConnection, old: Queue, values: dict[str, Any]) -> Queue:
    statement = update(queue).where(queue.c.id == old.id).values(version=queue.c.version + 1, updated_at=NOW, **values)
    return loaded((await connection.execute(statement.returning(queue))).one())


async def add_urgencies(connection: AsyncConnection, number: int, urgencies: Iterable[int]) -> None:
    """Make claims look for messages of these urgencies from now on."""
    await connection.exec_driver_sql(_ADD_URGENCIES, (number, list(urgencies)))


async def remove(connection: AsyncConnection, old: Queue) -> None:
    """Delete a locked queue with its messages."""
    await retire(connection, [old.number])
    await connection.execute(delete(queue).where(queue.c.id == old.id))


async def lock_dead_letters(connection: AsyncConnection, project_id: int) -> None:
    """Keep other transactions from changing the project's dead-letter queues until this one ends.

    Two changes at once could close a circle that neither of them sees. This lock is taken before any queue is locked,
    because a transaction that names a queue as a dead-letter queue waits for that queue's row.
    """
    await connection.execute(select(func.pg_advisory_xact_lock(project_id)))


async def dead_letter_chain(connection: AsyncConnection, project_id: int, name: str) -> list[Queue]:
    """Return the queue of this name, its dead-letter queue, the dead-letter queue of that one, and so on."""
    chain: list[Queue] = []
    following: str | None = name
    while following is not None and (found := await find(connection, project_id, following)) is not None:
        chain.append(found)
        letter = found.config.dead_letter
        following = letter.queue if letter else None
    return chain


async def that_dead_letter_to(connection: AsyncConnection, project_id: int, name: str) -> list[str]:
    """Return the names of up to five queues whose dead-letter queue is this one."""
    named = and_(queue.c.project_id == project_id, queue.c.dead_letter_queue == name)
    return list((await connection.execute(select(queue.c.name).where(named).order_by(queue.c.name).limit(5))).scalars())


async def retire(connection: AsyncConnection, numbers: Sequence[int]) -> None:
    """Leave the messages under these numbers to a chore, which removes them in the background."""
    await connection.execute(
        insert(retired_queue).values([{"number": number, "retired_at": NOW} for number in numbers])
    )


async def listed(
    connection: AsyncConnection, project_id: int, wanted: QueueFilter, after: str, limit: int
) -> tuple[list[Queue], str | None]:
    """Return a page in the byte order of names, and the name after which the next page begins, if there is one."""
    looked = (
        select(queue)
        .where(queue.c.project_id == project_id, queue.c.name > after, *_begins_with(wanted.prefix), *_named(wanted))
        .order_by(queue.c.name)
        .limit(PAGE_ROWS)
        .cte("looked")
        .prefix_with("materialized", dialect="postgresql")
    )
    matching = select(looked).where(*_fits(looked.c, wanted)).order_by(looked.c.name).limit(limit + 1)
    last = select(func.count(), func.max(looked.c.name))
    page = [loaded(row) for row in await connection.execute(matching)]
    if len(page) > limit:
        return page[:limit], page[limit - 1].name
    seen, last_name = (await connection.execute(last)).one()
    return page, last_name if seen == PAGE_ROWS else None


async def by_age(
    connection: AsyncConnection, project_id: int, wanted: QueueFilter, after: tuple[datetime | None, str], limit: int
) -> list[Aged]:
    """Return queues after a position, the longest-waiting ready message first, among PAGE_ROWS queues at most."""
    await by_index(connection)
    labels = [json.dumps({key: value}) for key, value in wanted.labels]
    begins = wanted.prefix, _behind(wanted.prefix)
    rows = await (await driver(connection)).fetch(
        _BY_AGE,
        project_id,
        *begins,
        covering(wanted.names),
        labels,
        wanted.search,
        *after,
        PAGE_ROWS,
        limit,
        wanted.dead_letters,
    )
    found = await by_ids(connection, [row["id"] for row in rows])
    return [Aged(found[row["id"]], row["since"]) for row in rows if row["id"] in found]


async def by_ids(connection: AsyncConnection, ids: Iterable[int]) -> dict[int, Queue]:
    """Return the queues of these ids, as far as they exist."""
    return {row.id: loaded(row) for row in await connection.execute(select(queue).where(queue.c.id.in_(list(ids))))}


def _begins_with(prefix: str) -> list[ColumnElement[bool]]:
    """Return the conditions for names that begin with a prefix; names are ASCII, and compared by their bytes."""
    return [queue.c.name >= prefix, queue.c.name < _behind(prefix)] if prefix else []


def _named(wanted: QueueFilter) -> list[ColumnElement[bool]]:
    """Return the condition that another queue names this one as its dead-letter queue, if the filter has it."""
    source = queue.alias("source")
    names_it = and_(source.c.project_id == queue.c.project_id, source.c.dead_letter_queue == queue.c.name)
    return [exists().where(names_it)] if wanted.dead_letters else []


def _behind(prefix: str) -> str:
    """Return the lowest text that comes after every name with this prefix."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1) if prefix else "\x7f"


def covering(names: Iterable[str]) -> str:
    """Return a regular expression for the names that any of a key's patterns covers."""
    if "*" in names:
        return ""
    expressions = ("".join(".*" if part == "*" else re.escape(part) for part in name) for name in names)
    return f"^({'|'.join(expressions)})$"


def _fits(columns: Any, wanted: QueueFilter) -> list[ColumnElement[bool]]:
    conditions = [columns.labels.contains({key: value}) for key, value in wanted.labels]
    if expression := covering(wanted.names):
        conditions.append(columns.name.regexp_match(expression))
    return [*conditions, *containing(columns.name, wanted.search)]


def containing(name: ColumnElement[str], search: str) -> list[ColumnElement[bool]]:
    """Return the condition that a name contains `search` in any case, or no condition if `search` is empty."""
    return [func.strpos(func.lower(name), func.lower(search)) > 0] if search else []


def _columns(config: QueueConfig) -> dict[str, Any]:
    """Return a configuration as columns."""
    columns = {name: getattr(config, name) for name in _CONFIG}
    letter = config.dead_letter
    return columns | {
        "dead_letter_queue": letter and letter.queue,
        "max_receives": letter and letter.max_receives,
        "dead_letter_expired": letter is not None and letter.expired,
    }


def _use(config: QueueConfig) -> dict[str, Any]:
    """Return the columns that count a change of the configuration as a use of the queue."""
    due = None if config.expires_after is None else NOW + config.expires_after
    return {"used_at": NOW, "use_due_at": due}


async def use(connection: AsyncConnection, queue_id: int) -> None:
    """Count a use of the queue now."""
    await connection.execute(update(queue).where(queue.c.id == queue_id).values(used_at=NOW))


def _dead_letter(row: Any) -> DeadLetter | None:
    """Return a row's dead-letter configuration."""
    if row.dead_letter_queue is None:
        return None
    return DeadLetter(row.dead_letter_queue, row.max_receives, row.dead_letter_expired)


def loaded(row: Any) -> Queue:
    """Return the queue of a row."""
    return Queue(
        id=row.id,
        project_id=row.project_id,
        name=row.name,
        number=row.number,
        version=row.version,
        config=QueueConfig(**{field: getattr(row, field) for field in _CONFIG}, dead_letter=_dead_letter(row)),
        created_at=row.created_at,
        updated_at=row.updated_at,
        urgencies=tuple(row.urgencies),
    )
