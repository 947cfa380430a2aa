"""Projects in the database."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from service.model import UNLIMITED, Project, ProjectLimits
from service.store.database.clock import NOW
from service.store.database.identifiers import random_number
from service.store.database.statements import STATEMENTS
from service.store.database.tables import project, queue, retired_queue
from service.store.database.transaction import driver

_COLUMNS = (project.c.id, project.c.name, project.c.limits, project.c.created_at, project.c.updated_at)
_USED = STATEMENTS["projects.used"]


async def find(connection: AsyncConnection, name: str, *, lock: bool = False) -> Project | None:
    """Return the project of this name, or None; `lock` keeps others from changing it and creating queues in it."""
    statement = select(*_COLUMNS).where(project.c.name == name)
    row = (await connection.execute(statement.with_for_update() if lock else statement)).first()
    return _project(row) if row else None


async def named(connection: AsyncConnection, names: Iterable[str]) -> dict[str, Project]:
    """Return the projects of these names."""
    rows = await connection.execute(select(*_COLUMNS).where(project.c.name.in_(list(names))))
    return {row.name: _project(row) for row in rows}


async def create(connection: AsyncConnection, name: str, limits: ProjectLimits = UNLIMITED) -> Project | None:
    """Create a project; return None if there is one of this name."""
    values = {"limits": _set(limits), "created_at": NOW, "updated_at": NOW}
    statement = upsert(project).values(id=random_number(), name=name, **values)
    statement = statement.on_conflict_do_nothing(index_elements=[project.c.name])
    row = (await connection.execute(statement.returning(*_COLUMNS))).first()
    return _project(row) if row else None


async def ensure(connection: AsyncConnection, name: str) -> Project | None:
    """Return the project of this name, and create it if it does not exist."""
    return await create(connection, name) or await find(connection, name)


async def listed(connection: AsyncConnection, after: str, limit: int) -> list[Project]:
    """Return projects in the byte order of their names."""
    statement = select(*_COLUMNS).where(project.c.name > after).order_by(project.c.name).limit(limit)
    return [_project(row) for row in await connection.execute(statement)]


@dataclass(frozen=True, slots=True)
class ProjectUse:
    """The use that a project makes of its limits.

    `messages` and `bytes` are as of `counted_at`: they are counted while one of them is limited and messages are sent.
    All three are None if that has never been so. `sent`: messages in the last hour.
    """

    queues: int
    messages: int | None
    bytes: int | None
    counted_at: datetime | None
    sent: int


async def used(connection: AsyncConnection, project_ids: Sequence[int]) -> list[ProjectUse]:
    """Return what each of these projects uses."""
    rows = await (await driver(connection)).fetch(_USED, project_ids)
    return [ProjectUse(**row) for row in rows]


async def limit(connection: AsyncConnection, project_id: int, limits: ProjectLimits) -> Project:
    """Give a locked project these limits."""
    statement = update(project).where(project.c.id == project_id).values(limits=_set(limits), updated_at=NOW)
    return _project((await connection.execute(statement.returning(*_COLUMNS))).one())


async def queue_limit(connection: AsyncConnection, project_id: int) -> int | None:
    """Return how many queues the project may have. Locks a limited project, so that no other request creates one."""
    limited = select(project.c.limits).where(project.c.id == project_id)
    limits = (await connection.execute(limited)).scalar()
    if limits is None or "queues" not in limits:
        return None
    limits = (await connection.execute(limited.with_for_update(key_share=True))).scalar() or {}
    return limits_of(limits).queues


async def queues_in(connection: AsyncConnection, project_id: int, at_most: int) -> int:
    """Return how many queues the project has, counting up to `at_most`."""
    some = select(queue.c.id).where(queue.c.project_id == project_id).limit(at_most).subquery()
    return (await connection.execute(select(func.count()).select_from(some))).scalar_one()


async def has_queues(connection: AsyncConnection, project_id: int) -> bool:
    """Return whether the project has a queue."""
    found = await connection.execute(select(queue.c.id).where(queue.c.project_id == project_id).limit(1))
    return found.first() is not None


async def remove_queues(connection: AsyncConnection, project_id: int) -> list[tuple[int, str]]:
    """Delete every queue of a locked project, with its messages; return their ids and names."""
    mine = queue.c.project_id == project_id
    numbers = select(queue.c.number, NOW).where(mine)
    await connection.execute(insert(retired_queue).from_select(["number", "retired_at"], numbers))
    gone = await connection.execute(delete(queue).where(mine).returning(queue.c.id, queue.c.name))
    return [(row.id, row.name) for row in gone]


async def remove(connection: AsyncConnection, project_id: int) -> None:
    """Delete a project without queues, and its keys with it."""
    await connection.execute(delete(project).where(project.c.id == project_id))


def limits_of(stored: dict[str, int]) -> ProjectLimits:
    """Return a project's limits from their stored form."""
    return ProjectLimits(**stored) if stored else UNLIMITED


def _set(limits: ProjectLimits) -> dict[str, int]:
    return {name: value for name, value in asdict(limits).items() if value is not None}


def _project(row: Row[*tuple[Any, ...]]) -> Project:
    limits = limits_of(row.limits)
    return Project(id=row.id, name=row.name, limits=limits, created_at=row.created_at, updated_at=row.updated_at)
