"""A cache of topics by name with their subscriptions, as this process last saw them.

As with queues (store/messaging/directory.py), the cache is never trusted alone: a publish names the version of the
topic that it was prepared for.
"""

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace

import msgspec
from msgspec import Struct

from service.errors import Problem
from service.filters import Router, parse
from service.model import Topic
from service.store.database.connections import Link
from service.store.database.lane import Lane
from service.store.database.statements import STATEMENTS
from service.store.resources.topics import loaded, topic_not_found

_FIND = STATEMENTS["topics.find"]
_REMEMBERED = 10_000

TopicKey = tuple[int, str]


class RouteTarget(Struct):
    """A subscription and the queue that it copies to."""

    name: str
    queue_id: int
    queue: str


class Route(Struct):
    """A topic and where its messages go. The router has the filters of the targets in the same order."""

    topic: Topic
    targets: list[RouteTarget]
    router: Router


class Routes:
    """The topics that this process knows, by (project id, name)."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._known: dict[TopicKey, Route] = {}
        self._lane: Lane[TopicKey, Route] = Lane("topic", self._find)

    def open(self) -> None:
        """Start the look-ups."""
        self._lane.open()

    async def close(self) -> None:
        """Stop the look-ups."""
        await self._lane.close()

    def known(self, project_id: int, name: str) -> Route | None:
        """Return the topic as it was last seen, or None."""
        return self._known.get((project_id, name))

    def find(self, project_id: int, name: str) -> asyncio.Future[Route]:
        """Look a topic up in the database. The future raises NotFound."""
        return self._lane.submit((project_id, name))

    async def _find(self, names: Sequence[TopicKey]) -> list[Route | Problem]:
        wanted = list(dict.fromkeys(names))
        rows = await self._link.fetch(_FIND, [project_id for project_id, _ in wanted], [name for _, name in wanted])
        for name in wanted:
            self._known.pop(name, None)
        for row in rows:
            self._known[wanted[row["ord"] - 1]] = _route(SimpleNamespace(**row))
        found: list[Route | Problem] = [self._known.get(name) or topic_not_found(name[1]) for name in names]
        while len(self._known) > _REMEMBERED:
            del self._known[next(iter(self._known))]
        return found


def _route(row: SimpleNamespace) -> Route:
    subscriptions = msgspec.json.decode(row.subscriptions)
    targets = [RouteTarget(name, queue_id, queue) for name, queue_id, queue, _ in subscriptions]
    return Route(loaded(row), targets, Router([parse(given) for *_, given in subscriptions]))
