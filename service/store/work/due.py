"""A task whose next batch is due."""

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from service.store.database.tables import task


class DueTask(NamedTuple):
    """A task and its progress: `wanted` is what was asked for, `after_…` the message at which its last batch ended."""

    project_id: int
    id: UUID
    kind: str
    queue_number: int
    wanted: dict[str, Any]
    moved: int
    skipped: int
    after_id: UUID
    after_group: str
    after_seq: int
    created_at: datetime


DUE = tuple(task.c[name] for name in DueTask._fields)
