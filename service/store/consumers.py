"""Who takes messages from each queue: seen by the process that is asked, and written down by it every few seconds."""

import secrets
from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from service.store.statements import STATEMENTS
from service.store.transactions import commit_soon, driver, transaction

# More than this many at once a process does not note.
MOST = 100_000
SHOWN = 100
BATCH = 10_000

_WRITE = STATEMENTS["consumers.write"]
_OF_QUEUE = STATEMENTS["consumers.of_queue"]
_REMOVE_OLD = STATEMENTS["consumers.remove_old"]


class Via(StrEnum):
    """The way in which a consumer asks for messages."""

    RECEIVE = "receive"
    WEBSOCKET = "websocket"
    EVENTS = "events"
    SOCKET_IO = "socket_io"


# A queue's id, and the key that asks there in this way; None is the root key.
_Consumer = tuple[int, Via, UUID | None]


_AT_ONCE = nullcontext()


class Presence:
    """A consumer, seen from one process; within a `with` block it waits for a message. Blocks may overlap."""

    __slots__ = ("asked", "waiting")

    def __init__(self) -> None:
        self.waiting = 0
        # Since this was last written down.
        self.asked = True

    def __enter__(self) -> None:
        self.waiting += 1

    def __exit__(self, *_: object) -> None:
        self.waiting -= 1
        self.asked = True


class Consumers:
    """Those who ask one process."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._process = secrets.randbits(63)
        self._present: dict[_Consumer, Presence] = {}

    def asks(self, queue_id: int, via: Via, key_id: UUID | None, *, waits: bool) -> AbstractContextManager[None]:
        """Note that somebody asks. Return what to enter at once, and to leave with the answer."""
        consumer = queue_id, via, key_id
        presence = self._present.get(consumer)
        if presence is None:
            presence = Presence()
            if len(self._present) < MOST:
                self._present[consumer] = presence
        presence.asked = True
        return presence if waits else _AT_ONCE

    async def write(self) -> None:
        """Write down who waits, and who has asked since the last time. Raises Unavailable."""
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


async def of_queue(connection: AsyncConnection, queue_id: int) -> list[asyncpg.Record]:
    """Return who asked a queue in the last hour, those who wait first: up to `SHOWN`."""
    return await (await driver(connection)).fetch(_OF_QUEUE, queue_id, SHOWN)


async def remove_old(engine: AsyncEngine) -> bool:
    """Remove a batch of those who have not asked for an hour; tell whether there may be more."""
    removed = await transaction(engine, lambda connection: connection.exec_driver_sql(_REMOVE_OLD, (BATCH,)))
    return removed.rowcount == BATCH
