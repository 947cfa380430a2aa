"""Attempts: requests to webhooks and their outcomes, kept for seven days, in a partition for each day."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import ColumnElement, not_, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from service.model import Attempt, Webhook
from service.store.database import process_counts
from service.store.database.connections import Link
from service.store.database.statements import STATEMENTS
from service.store.database.tables import attempt
from service.store.database.transaction import driver, transaction

_STORE = STATEMENTS["attempts.store"]
_HEALTH = STATEMENTS["attempts.health"]
_DAYS = STATEMENTS["attempts.days"]
_OF_MESSAGE = STATEMENTS["attempts.of_message"]
_COLUMNS = ("id", "message_id", "number", "started_at", "duration", "status", "error", "succeeded", "excerpt")
# An id after that of every attempt.
NO_ATTEMPT = UUID(int=2**128 - 1)

KEPT = timedelta(days=7)
_AHEAD = 3
# Attempts that a list of webhooks looks at in all, however many webhooks it has.
_LOOKED_AT = 100_000
# One process at a time creates partitions.
_LOCK = "select pg_advisory_xact_lock(hashtext('restante.attempt'))"


@dataclass(frozen=True, slots=True)
class WebhookHealth:
    """The outcomes of a webhook's last attempts; None without any. `latency`: the median."""

    success_rate: float | None
    latency: timedelta | None


class DayMissing(Exception):  # noqa: N818 - not an error: `keep_days` creates the partition
    """The day of an attempt has no partition yet."""


async def store(link: Link, made: Sequence[tuple[Webhook, Attempt]]) -> None:
    """Store attempts. Raises DayMissing."""
    columns = zip(*[_values(webhook, kept) for webhook, kept in made], strict=True)
    try:
        await link.fetch(_STORE, *map(list, columns))
    except asyncpg.CheckViolationError as error:
        raise DayMissing from error
    for webhook, kept in made:
        process_counts.attempted(webhook.queue_id, succeeded=kept.succeeded)


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
    """Return attempts of a webhook, newest first."""
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
    """An attempt to deliver a message, with the queue that it was in; the webhook is None if it was deleted."""

    attempt: Attempt
    queue: str
    webhook: str | None


async def of_message(
    connection: AsyncConnection, message_id: UUID, within: tuple[int, str], before: UUID | None, limit: int
) -> list[MessageAttempt]:
    """Return attempts to deliver a message, newest first.

    `within`: the project's id, and a regular expression that the names of queues must match.
    """
    before = NO_ATTEMPT if before is None else before
    rows = await (await driver(connection)).fetch(_OF_MESSAGE, message_id, before, *within, limit)
    return [
        MessageAttempt(Attempt(*[row[name] for name in _COLUMNS]), row["queue_name"], row["webhook_name"])
        for row in rows
    ]


async def health(connection: AsyncConnection, webhooks: Sequence[Webhook]) -> list[WebhookHealth]:
    """Return the health of each webhook by its last thousand attempts, or fewer if there are many webhooks."""
    keys = [webhook.queue_id for webhook in webhooks], [webhook.id for webhook in webhooks]
    each = min(1000, _LOOKED_AT // max(1, len(webhooks)))
    return [_health(row) for row in await (await driver(connection)).fetch(_HEALTH, *keys, each)]


def _health(row: Any) -> WebhookHealth:
    return (
        WebhookHealth(row["succeeded"] / row["attempts"], row["latency"])
        if row["attempts"]
        else WebhookHealth(None, None)
    )


async def keep_days(engine: AsyncEngine, now: datetime) -> None:
    """Create the partitions from yesterday to the day after tomorrow, and drop those that are too old."""

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
