"""Projects in the database."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Row, delete, func, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from service.model import Project
from service.store.identifiers import random_number
from service.store.tables import project, queue, retired_queue

_COLUMNS = (project.c.id, project.c.name, project.c.created_at, project.c.updated_at)
_NOW = func.clock_timestamp()


async def find(connection: AsyncConnection, name: str, *, lock: bool = False) -> Project | None:
    """Return the project of this name; `lock` keeps others from changing it and from making queues in it."""
    statement = select(*_COLUMNS).where(project.c.name == name)
    row = (await connection.execute(statement.with_for_update() if lock else statement)).first()
    return _project(row) if row else None


async def ids(connection: AsyncConnection, names: Iterable[str]) -> dict[str, int]:
    """Return the ids of the projects of these names."""
    rows = await connection.execute(select(project.c.name, project.c.id).where(project.c.name.in_(list(names))))
    return {row.name: row.id for row in rows}


async def create(connection: AsyncConnection, name: str) -> Project | None:
    """Make a project; None when there is one of this name."""
    statement = upsert(project).values(id=random_number(), name=name, created_at=_NOW, updated_at=_NOW)
    statement = statement.on_conflict_do_nothing(index_elements=[project.c.name])
    row = (await connection.execute(statement.returning(*_COLUMNS))).first()
    return _project(row) if row else None


async def ensure(connection: AsyncConnection, name: str) -> Project | None:
    """Return the project of this name, made if it was not there."""
    return await create(connection, name) or await find(connection, name)


async def listed(connection: AsyncConnection, after: str, limit: int) -> list[Project]:
    """Return projects in the byte order of their names."""
    statement = select(*_COLUMNS).where(project.c.name > after).order_by(project.c.name).limit(limit)
    return [_project(row) for row in await connection.execute(statement)]


async def has_queues(connection: AsyncConnection, project_id: int) -> bool:
    """Tell whether there is a queue in the project."""
    found = await connection.execute(select(queue.c.id).where(queue.c.project_id == project_id).limit(1))
    return found.first() is not None


async def remove_queues(connection: AsyncConnection, project_id: int) -> list[tuple[int, str]]:
    """Delete every queue of a locked project, with its messages; return their ids and names."""
    mine = queue.c.project_id == project_id
    numbers = select(queue.c.number, _NOW).where(mine)
    await connection.execute(insert(retired_queue).from_select(["number", "retired_at"], numbers))
    gone = await connection.execute(delete(queue).where(mine).returning(queue.c.id, queue.c.name))
    return [(row.id, row.name) for row in gone]


async def remove(connection: AsyncConnection, project_id: int) -> None:
    """Delete a project that has no queues, its keys with it."""
    await connection.execute(delete(project).where(project.c.id == project_id))


def _project(row: Row[*tuple[Any, ...]]) -> Project:
    return Project(id=row.id, name=row.name, created_at=row.created_at, updated_at=row.updated_at)
