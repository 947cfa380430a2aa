"""API keys in the database."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from math import inf
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, LargeBinary, Row, any_, bindparam, delete, func, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from service.errors import NotFound
from service.model import Key, ProjectLimits, Scope
from service.store.database.statements import STATEMENTS
from service.store.database.tables import api_key, project
from service.store.resources.projects import limits_of


@dataclass(frozen=True, slots=True)
class FoundKey:
    """An existing key, with what is needed to admit its holder."""

    key: Key
    project_name: str
    limits: ProjectLimits
    secret_hash: bytes
    now: datetime

    @property
    def seconds_left(self) -> float:
        """Return the seconds until the key expires; infinite if it never does."""
        return (self.key.expires_at - self.now).total_seconds() if self.key.expires_at else inf

    @property
    def expired(self) -> bool:
        """Return whether the key has expired."""
        return self.seconds_left <= 0


_FIND = (
    select(api_key, project.c.name.label("project_name"), project.c.limits, func.clock_timestamp().label("now"))
    .join(project, project.c.id == api_key.c.project_id)
    .where(api_key.c.secret_hash == any_(bindparam("hashes", type_=ARRAY(LargeBinary))))
)


_TOUCH = STATEMENTS["keys.touch"]


async def find(connection: AsyncConnection, hashes: Iterable[bytes]) -> dict[bytes, FoundKey]:
    """Return the keys whose secrets have these SHA-256 hashes."""
    rows = await connection.execute(_FIND, {"hashes": list(hashes)})
    return {
        row.secret_hash: FoundKey(_key(row), row.project_name, limits_of(row.limits), row.secret_hash, row.now)
        for row in rows
    }


async def create(connection: AsyncConnection, key: Key, secret_hash: bytes) -> Key:
    """Store a key; `created_at` is set by the database. Raises NotFound if the project was deleted."""
    statement = insert(api_key).values(
        id=key.id,
        project_id=key.project_id,
        name=key.name,
        secret_hash=secret_hash,
        scopes=sorted(key.scopes),
        queues=list(key.queues),
        expires_at=key.expires_at,
        created_at=func.clock_timestamp(),
    )
    try:
        return _key((await connection.execute(statement.returning(api_key))).one())
    except IntegrityError as error:
        raise NotFound("project", "The project was deleted, so it can have no keys.") from error


async def listed(connection: AsyncConnection, project_id: int, after: UUID | None, limit: int) -> list[Key]:
    """Return a project's keys in the order of their ids, which are random."""
    statement = select(api_key).where(api_key.c.project_id == project_id)
    if after is not None:
        statement = statement.where(api_key.c.id > after)
    rows = await connection.execute(statement.order_by(api_key.c.id).limit(limit))
    return [_key(row) for row in rows]


async def get(connection: AsyncConnection, project_id: int, key_id: UUID) -> Key | None:
    """Return a key of this project, or None."""
    statement = select(api_key).where(api_key.c.project_id == project_id, api_key.c.id == key_id)
    row = (await connection.execute(statement)).first()
    return _key(row) if row else None


async def remove(connection: AsyncConnection, project_id: int, key_id: UUID) -> bool:
    """Delete a key of this project; return False if there is none."""
    statement = delete(api_key).where(api_key.c.project_id == project_id, api_key.c.id == key_id)
    return (await connection.execute(statement)).rowcount > 0


async def touch(connection: AsyncConnection, used: Mapping[UUID, datetime]) -> None:
    """Store when keys were last used, to the minute."""
    await connection.exec_driver_sql(_TOUCH, (list(used), list(used.values())))


def _key(row: Row[*tuple[Any, ...]]) -> Key:
    return Key(
        id=row.id,
        project_id=row.project_id,
        name=row.name,
        scopes=frozenset(Scope(scope) for scope in row.scopes),
        queues=tuple(row.queues),
        expires_at=row.expires_at,
        created_at=row.created_at,
        last_used_at=row.last_used_at,
    )
