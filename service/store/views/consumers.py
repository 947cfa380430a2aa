"""Consumers of queues: each process notes which ones ask it, and stores that every few seconds."""

import secrets
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from service.message import Via
from service.store.database.statements import STATEMENTS
from service.store.database.transaction import commit_soon, driver, transaction

# Consumers that a process notes at once, at most.
MOST = 100_000
SHOWN = 100
BATCH = 10_000

_WRITE = STATEMENTS["consumers.write"]
_OF_QUEUE = STATEMENTS["consumers.of_queue"]
_REMOVE_OLD = STATEMENTS["consumers.remove_old"]


# A queue's id, the way in which a consumer asks, and its key; None: the root key.
_Consumer = tuple[int, Via, UUID | None]


_AT_ONCE = nullcontext()


class Presence:
    """A consumer as one process sees it; within a `with` block it waits for a message. Blocks may overlap."""

    __slots__ = ("asked", "waiting")

    def __init__(self) -> None:
        self.waiting = 0
        # Whether it has asked since it was last stored.
        self.asked = True

    def __enter__(self) -> None:
        self.waiting += 1

    def __exit__(self, *_: object) -> None:
        self.waiting -= 1
        self.asked = True


class PresentConsumers:
    """The consumers that ask one process."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._process = secrets.randbits(63)
        self._present: dict[_Consumer, Presence] = {}

    def asks(self, queue_id: int, via: Via, key_id: UUID | None, *, waits: bool) -> AbstractContextManager[None]:
        """Note that a consumer asks; return a context to enter at once, and to leave with the answer."""
        consumer = queue_id, via, key_id
        presence = self._present.get(consumer)
        if presence is None:
            presence = Presence()
            if len(self._present) < MOST:
                self._present[consumer] = presence
        presence.asked = True
        return presence if waits else _AT_ONCE

    async def write(self) -> None:
        """Store which consumers wait, and which have asked since the last time. Raises Unavailable."""
        noted = dict(self._present)
        if not noted:
            return
        waiting = [presence.waiting for presence in noted.values()]
        for presence in noted.values():
            presence.asked = False

        async def work(connection: AsyncConnection) -> None:
            await commit_soon(connection)
            columns = map(list, zip(*noted, strict=True))
            await (await driver(connection)).fetch(_WRITE, self._process, *columns, waiting)

        await transaction(self._engine, work)
        for (consumer, presence), waited in zip(noted.items(), waiting, strict=True):
            if not (waited or presence.asked) and self._present.get(consumer) is presence:
                del self._present[consumer]


class SeenConsumer(NamedTuple):
    """A key (None: the root key) that asks a queue in one way; `waiting`: how many receives and streams wait."""

    via: Via
    key_id: UUID | None
    waiting: int
    last_asked_at: datetime
    key_name: str | None


async def of_queue(connection: AsyncConnection, queue_id: int) -> list[SeenConsumer]:
    """Return up to `SHOWN` consumers that asked a queue in the last hour, those that wait first."""
    rows = await (await driver(connection)).fetch(_OF_QUEUE, queue_id, SHOWN)
    return [SeenConsumer(Via(row["via"]), *row[1:]) for row in rows]


async def remove_old(engine: AsyncEngine) -> bool:
    """Remove a batch of consumers that have not asked for an hour; return whether there may be more."""
    removed = await transaction(engine, lambda connection: connection.exec_driver_sql(_REMOVE_OLD, (BATCH,)))
    return removed.rowcount == BATCH
