"""Retries: giving messages to a webhook again that it blocks, or that went to the dead-letter queue after it failed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import and_
from sqlalchemy.ext.asyncio import AsyncConnection

from service.model import Queue, TaskState
from service.store.database.clock import EPOCH, MICROSECOND, NOW
from service.store.database.connections import Fetches
from service.store.database.identifiers import first_id
from service.store.database.ready import Ready
from service.store.database.statements import STATEMENTS
from service.store.database.tables import queue
from service.store.database.transaction import driver
from service.store.messaging.moves import Departure, move_free
from service.store.resources import queues
from service.store.work import actions
from service.store.work.due import DueTask

_FAILED = STATEMENTS["retries.failed"]
_BLOCKED = STATEMENTS["retries.blocked"]
_UNBLOCK = STATEMENTS["retries.unblock"]
_BLOCKED_BY = STATEMENTS["retries.blocked_by"]
_LEFT_BY = STATEMENTS["retries.left_by"]
_DEAD = STATEMENTS["retries.dead"]
# The pause before looking again for the outcomes of a deleted webhook's last requests, which may take two minutes.
_REST = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class WantedRetry:
    """Which messages of a queue to retry: these, or those that a webhook failed to deliver since a time.

    With neither, the messages that a deleted webhook has blocked.
    """

    webhook_id: int
    message_ids: Sequence[UUID] | None = None
    failed_since: datetime | None = None

    def stored(self) -> dict[str, Any]:
        """Return it as it is stored in JSON."""
        ids, since = self.message_ids, self.failed_since
        return {
            "webhook_id": self.webhook_id,
            "message_ids": None if ids is None else [str(message_id) for message_id in ids],
            "failed_since": since and since.isoformat(),
        }


def _loaded(kept: dict[str, Any]) -> WantedRetry:
    ids, since = kept["message_ids"], kept["failed_since"]
    return WantedRetry(
        kept["webhook_id"],
        None if ids is None else [UUID(message_id) for message_id in ids],
        since and datetime.fromisoformat(since),
    )


async def count(connection: AsyncConnection, of: Queue, wanted: WantedRetry, limit: int) -> int:
    """Return how many messages are to be retried, judging by up to `limit` failed attempts."""
    if wanted.message_ids is not None:
        return len(wanted.message_ids)
    rows = await _failed(await driver(connection), of, wanted, (UUID(int=0), UUID(int=2**128 - 1)), limit)
    return len({row["message_id"] for row in rows})


async def retry(connection: AsyncConnection, found: DueTask, limit: int, ready: Ready) -> dict[str, Any]:
    """Put the next messages of a task back; return the changed columns of the task."""
    wanted = _loaded(found.wanted)
    of = await queues.shared(connection, queue.c.number == found.queue_number)
    if of is None:
        return {"state": TaskState.DONE}
    if wanted == WantedRetry(wanted.webhook_id):
        return await _free(connection, found, of, limit, ready)
    if wanted.message_ids is not None:
        put_back = await _put_back(connection, of, wanted.message_ids, found.created_at, ready)
        left = len(wanted.message_ids) - put_back
        return {"state": TaskState.DONE, "moved": put_back, "skipped": left}
    until = first_id((found.created_at - EPOCH) // MICROSECOND)
    rows = await _failed(await driver(connection), of, wanted, (found.after_id, until), limit)
    message_ids = sorted({row["message_id"] for row in rows})
    moved = found.moved + await _put_back(connection, of, message_ids, found.created_at, ready)
    if len(rows) < limit:
        return {"state": TaskState.DONE, "moved": moved}
    return {"moved": moved, "after_id": rows[-1]["id"]}


async def left_by(connection: AsyncConnection, of: Queue, webhook_id: int) -> int:
    """Return how many messages a webhook has blocked, or has leased and may still block, up to some thousands."""
    [row] = await (await driver(connection)).fetch(_LEFT_BY, of.number, webhook_id)
    return int(row["messages"])


async def _free(connection: AsyncConnection, found: DueTask, of: Queue, limit: int, ready: Ready) -> dict[str, Any]:
    """Make the next messages ready that a deleted webhook has blocked, until it has none leased either."""
    link, webhook_id = await driver(connection), found.wanted["webhook_id"]
    blocked = {row["id"]: row["version"] for row in await link.fetch(_BLOCKED_BY, of.number, webhook_id, limit)}
    freed = await actions.release_delay(connection, of, blocked, ready, _UNBLOCK) if blocked else set()
    values: dict[str, Any] = {"moved": found.moved + len(freed)}
    if not await left_by(connection, of, webhook_id):
        return values | {"state": TaskState.DONE}
    return values if freed else values | {"due_at": NOW + _REST}


async def _failed(
    link: Fetches, of: Queue, wanted: WantedRetry, between: tuple[UUID, UUID], limit: int
) -> list[asyncpg.Record]:
    """Return the next failed attempts between two ids, since the wanted time, which is part of an attempt's id."""
    assert wanted.failed_since is not None  # noqa: S101 - otherwise the messages are given
    after, before = between
    since = first_id((wanted.failed_since - EPOCH) // MICROSECOND)
    return await link.fetch(_FAILED, of.id, wanted.webhook_id, max(after, since), before, limit)


async def _put_back(
    connection: AsyncConnection, of: Queue, message_ids: Sequence[UUID], before: datetime, ready: Ready
) -> int:
    """Make messages ready that are blocked or wait for their next attempt, move dead letters back; return how many."""
    link = await driver(connection)
    blocked = {row["id"]: row["version"] for row in await link.fetch(_BLOCKED, of.number, message_ids)}
    freed = await actions.release_delay(connection, of, blocked, ready, _UNBLOCK) if blocked else set()
    return len(freed) + await _bring_back(connection, of, message_ids, before, ready)


async def _bring_back(
    connection: AsyncConnection, of: Queue, message_ids: Sequence[UUID], before: datetime, ready: Ready
) -> int:
    if of.config.dead_letter is None:
        return 0
    named = and_(queue.c.project_id == of.project_id, queue.c.name == of.config.dead_letter.queue)
    dead = await queues.shared(connection, named)
    if dead is None:
        return 0
    link = await driver(connection)
    rows = await link.fetch(_DEAD, dead.number, message_ids, of.name, before)
    departures = [Departure(dead.number, row["id"], dead.is_fifo, row["version"], to=of.number) for row in rows]
    return len(await move_free(link, departures, ready)) if departures else 0
