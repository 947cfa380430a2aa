"""Projects in the database."""

from collections.abc import Sequence

from sqlalchemy import Row, delete, func, insert, select, update
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


async def create(connection: AsyncConnection, name: str) -> Project | None:
    """Make a project; None when there is one of this name."""
    row = (
        await connection.execute(
            upsert(project)
            .values(id=random_number(), name=name, created_at=_NOW, updated_at=_NOW)
            .on_conflict_do_nothing(index_elements=[project.c.name])
            .returning(*_COLUMNS)
        )
    ).first()
    return _project(row) if row else None
