"""What requests to webhooks came to: kept for seven days, in a partition a day."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, not_, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from service.model import Attempt, Webhook
from service.store import counting
from service.store.connections import Link
from service.store.statements import STATEMENTS
from service.store.tables import attempt
from service.store.transactions import driver, transaction

_STORE = STATEMENTS["attempts.store"]
_HEALTH = STATEMENTS["attempts.health"]
_DAYS = STATEMENTS["attempts.days"]
_OF_MESSAGE = STATEMENTS["attempts.of_message"]
_COLUMNS = ("id", "message_id", "number", "started_at", "duration", "status", "error", "succeeded", "excerpt")
# Behind every attempt.
NO_ATTEMPT = UUID(int=2**128 - 1)

KEPT = timedelta(days=7)
_AHEAD = 3
# Attempts that a list of webhooks looks at, whatever their number.
_LOOKED_AT = 100_000
# One process makes partitions at a time.
_LOCK = "select pg_advisory_xact_lock(hashtext('restante.attempt'))"


@dataclass(frozen=True, slots=True)
class Health:
    """How a webhook's last attempts went; None without any. `latency`: the median."""

    success_rate: float | None
    latency: timedelta | None


async def store(link: Link, made: Sequence[tuple[Webhook, Attempt]]) -> None:
    """Keep attempts."""
    columns = zip(*[_values(webhook, kept) for webhook, kept in made], strict=True)
    await link.fetch(_STORE, *map(list, columns))
    for webhook, kept in made:
        counting.attempted(webhook.queue_id, succeeded=kept.succeeded)


def _values(webhook: Webhook, kept: Attempt) -> tuple[Any, ...]:
    return (
        webhook.queue_id,
        webhook.id,
        kept.id,
        kept.message_id,
        kept.number,
        kept.started_at,
        kept.duration,
        kept.status,
        kept.error,
        kept.succeeded,
        kept.excerpt,
    )


async def listed(
    connection: AsyncConnection, webhook: Webhook, before: UUID | None, limit: int, *, succeeded: bool | None
) -> list[Attempt]:
    """Return attempts of a webhook, the last one first."""
    mine: list[ColumnElement[bool]] = [
        attempt.c.queue_id == webhook.queue_id,
        attempt.c.webhook_id == webhook.id,
    ]
    if before is not None:
        mine.append(attempt.c.id < before)
    if succeeded is not None:
        mine.append(attempt.c.succeeded if succeeded else not_(attempt.c.succeeded))
    columns = [attempt.c[name] for name in _COLUMNS]
    rows = await connection.execute(select(*columns).where(*mine).order_by(attempt.c.id.desc()).limit(limit))
    return [Attempt(*row) for row in rows]


@dataclass(frozen=True, slots=True)
class MessageAttempt:
    """An attempt to deliver a message, with the queue it was in; the webhook is None when it is gone."""

    attempt: Attempt
    queue: str
    webhook: str | None


async def of_message(
    connection: AsyncConnection, message_id: UUID, within: tuple[int, str], before: UUID | None, limit: int
) -> list[MessageAttempt]:
    """Return attempts to deliver a message, the last one first. `within`: a project, and which names of queues fit."""
    before = NO_ATTEMPT if before is None else before
    rows = await (await driver(connection)).fetch(_OF_MESSAGE, message_id, before, *within, limit)
    return [
        MessageAttempt(Attempt(*[row[name] for name in _COLUMNS]), row["queue_name"], row["webhook_name"])
        for row in rows
    ]


async def health(connection: AsyncConnection, webhooks: Sequence[Webhook]) -> list[Health]:
    """Return how each of these webhooks has done of late: in its last thousand attempts, in fewer if there are many."""
    keys = [webhook.queue_id for webhook in webhooks], [webhook.id for webhook in webhooks]
    each = min(1000, _LOOKED_AT // max(1, len(webhooks)))
    return [_health(row) for row in await (await driver(connection)).fetch(_HEALTH, *keys, each)]


def _health(row: Any) -> Health:
    return Health(row["succeeded"] / row["attempts"], row["latency"]) if row["attempts"] else Health(None, None)


async def keep_days(engine: AsyncEngine, now: datetime) -> None:
    """Make the partitions of today and the next days, and drop those whose time is over."""

    async def work(connection: AsyncConnection) -> None:
        await connection.exec_driver_sql(_LOCK)
        link = await driver(connection)
        there = {row["name"] for row in await link.fetch(_DAYS)}
        wanted = [now.date() + timedelta(days=days) for days in range(-1, _AHEAD)]
        for day in wanted:
            if _name(day) not in there:
                await connection.exec_driver_sql(
                    f"create table {_name(day)} partition of attempt "
                    f"for values from ('{day} 00:00+00') to ('{day + timedelta(days=1)} 00:00+00')"
                )
        oldest = _name((now - KEPT).date())
        for name in sorted(there):
            if name < oldest:
                await connection.exec_driver_sql(f"drop table {name}")

    await transaction(engine, work)


def _name(day: date) -> str:
    return f"attempt_{day:%Y%m%d}"
