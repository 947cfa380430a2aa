"""Queues by name, as this process last saw them.

Never trusted alone: each hot statement names the version it relies on, and what does not match is looked up again. So
an answered change holds at once in every process, however old an entry is here.
"""

import asyncio
from collections.abc import Sequence

import asyncpg

from service.errors import NotFound, Problem
from service.model import DeadLetter, Queue, QueueConfig
from service.store.connections import Link
from service.store.lane import Lane
from service.store.statements import STATEMENTS

_FIND = STATEMENTS["queues.find"]
_NAMES = STATEMENTS["queues.names"]
_REMEMBERED = 50_000

QueueName = tuple[int, str]


class Directory:
    """The queues that this process knows, by (project id, name)."""

    def __init__(self, link: Link, names_link: Link) -> None:
        self._link = link
        self._names_link = names_link
        self._known: dict[QueueName, Queue] = {}
        self._names: dict[int, QueueName] = {}
        self._lane: Lane[QueueName, Queue] = Lane("find", self._find)
        self._name_lane: Lane[int, str | None] = Lane("name", self._find_names)

    def open(self) -> None:
        """Start looking up."""
        self._lane.open()
        self._name_lane.open()

    async def close(self) -> None:
        """Stop looking up."""
        await self._lane.close()
        await self._name_lane.close()

    def known(self, project_id: int, name: str) -> Queue | None:
        """Return the queue as it was last seen, if it was."""
        return self._known.get((project_id, name))

    def find(self, project_id: int, name: str) -> asyncio.Future[Queue]:
        """Look a queue up in the database; raises NotFound."""
        return self._lane.submit((project_id, name))

    async def name(self, queue_id: int) -> str | None:
        """Return the name of the queue with this id, None if there is none."""
        if known := self._names.get(queue_id):
            return known[1]
        return await self._name_lane.submit(queue_id)

    def forget(self, project_id: int, name: str) -> None:
        """Drop what is known of a queue."""
        queue = self._known.pop((project_id, name), None)
        if queue is not None:
            self._names.pop(queue.id, None)

    def forget_id(self, queue_id: int) -> None:
        """Drop what is known of the queue with this id."""
        name = self._names.pop(queue_id, None)
        if name is not None:
            self._known.pop(name, None)

    async def _find(self, names: Sequence[QueueName]) -> list[Queue | Problem]:
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

    def _remember(self, name: QueueName, queue: Queue) -> None:
        self._known[name] = queue
        self._names[queue.id] = name
        if len(self._known) > _REMEMBERED:
            self.forget(*next(iter(self._known)))


def queue_not_found(name: str) -> NotFound:
    """Return the problem of a queue that this project does not have."""
    return NotFound("queue", f"There is no queue {name!r} in this project. Create it with PUT /v1/queues/{name}.")


def _dead_letter(row: asyncpg.Record) -> DeadLetter | None:
    name = row["dead_letter_queue"]
    return None if name is None else DeadLetter(name, row["max_receives"], row["dead_letter_expired"])


def _queue(row: asyncpg.Record) -> Queue:
    """Return a row as a queue. Labels are left out: they mean nothing to messages."""
    return Queue(
        id=row["id"],
        project_id=row["project_id"],
        name=row["name"],
        number=row["number"],
        version=row["version"],
        config=QueueConfig(
            type=row["type"],
            visibility_timeout=row["visibility_timeout"],
            delay=row["delay"],
            retention=row["retention"],
            max_message_bytes=row["max_message_bytes"],
            max_length=row["max_length"],
            deduplication_window=row["deduplication_window"],
            deduplicate_by_content=row["deduplicate_by_content"],
            dead_letter=_dead_letter(row),
            paused=row["paused"],
        ),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        urgencies=tuple(row["urgencies"]),
    )
