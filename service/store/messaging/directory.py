"""A cache of queues by name, as this process last saw them.

An entry is never trusted alone: each hot statement names the queue's version that it relies on, and on a mismatch the
queue is looked up again. So an answered change applies at once in every process, however old an entry is here.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import fields

import asyncpg

from service.errors import Problem
from service.model import DeadLetter, Queue, QueueConfig
from service.store.database.connections import Link
from service.store.database.lane import Lane
from service.store.database.statements import STATEMENTS
from service.store.resources.queues import queue_not_found

_FIND = STATEMENTS["queues.find"]
_NAMES = STATEMENTS["queues.names"]
_REMEMBERED = 50_000

# Messages do not depend on the others.
_FIELDS = [field.name for field in fields(QueueConfig) if field.name not in {"labels", "expires_after", "dead_letter"}]

QueueKey = tuple[int, str]


class Directory:
    """The queues that this process knows, by (project id, name)."""

    def __init__(self, link: Link, names_link: Link) -> None:
        self._link = link
        self._names_link = names_link
        self._known: dict[QueueKey, Queue] = {}
        self._names: dict[int, QueueKey] = {}
        self._lane: Lane[QueueKey, Queue] = Lane("find", self._find)
        self._name_lane: Lane[int, str | None] = Lane("name", self._find_names)

    def open(self) -> None:
        """Start the look-ups."""
        self._lane.open()
        self._name_lane.open()

    async def close(self) -> None:
        """Stop the look-ups."""
        await self._lane.close()
        await self._name_lane.close()

    def known(self, project_id: int, name: str) -> Queue | None:
        """Return the queue as it was last seen, or None."""
        return self._known.get((project_id, name))

    def find(self, project_id: int, name: str) -> asyncio.Future[Queue]:
        """Look a queue up in the database. The future raises NotFound."""
        return self._lane.submit((project_id, name))

    async def name(self, queue_id: int) -> str | None:
        """Return the name of the queue with this id, or None if it does not exist."""
        if known := self._names.get(queue_id):
            return known[1]
        return await self._name_lane.submit(queue_id)

    def forget(self, project_id: int, name: str) -> None:
        """Remove a queue from the cache."""
        queue = self._known.pop((project_id, name), None)
        if queue is not None:
            self._names.pop(queue.id, None)

    def forget_id(self, queue_id: int) -> None:
        """Remove the queue with this id from the cache."""
        name = self._names.pop(queue_id, None)
        if name is not None:
            self._known.pop(name, None)

    async def _find(self, names: Sequence[QueueKey]) -> list[Queue | Problem]:
        wanted = list(dict.fromkeys(names))
        rows = await self._link.fetch(_FIND, [project_id for project_id, _ in wanted], [name for _, name in wanted])
        found = {wanted[row["ord"] - 1]: _queue(row) for row in rows}
        for name in wanted:
            self.forget(*name)
        for name, queue in found.items():
            self._remember(name, queue)
        return [found.get(name) or queue_not_found(name[1]) for name in names]

    async def _find_names(self, queue_ids: Sequence[int]) -> list[str | Problem | None]:
        rows = await self._names_link.fetch(_NAMES, list(queue_ids))
        names: dict[int, str] = {row["id"]: row["name"] for row in rows}
        return [names.get(queue_id) for queue_id in queue_ids]

    def _remember(self, name: QueueKey, queue: Queue) -> None:
        self._known[name] = queue
        self._names[queue.id] = name
        if len(self._known) > _REMEMBERED:
            self.forget(*next(iter(self._known)))


def _dead_letter(row: asyncpg.Record) -> DeadLetter | None:
    name = row["dead_letter_queue"]
    return None if name is None else DeadLetter(name, row["max_receives"], row["dead_letter_expired"])


def _queue(row: asyncpg.Record) -> Queue:
    """Return a row as a queue, without labels and `expires_after`, which messages do not depend on."""
    return Queue(
        id=row["id"],
        project_id=row["project_id"],
        name=row["name"],
        number=row["number"],
        version=row["version"],
        config=QueueConfig(**{field: row[field] for field in _FIELDS}, dead_letter=_dead_letter(row)),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        urgencies=tuple(row["urgencies"]),
    )
