"""Webhooks in the database: their configuration, secrets and states."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
from sqlalchemy import ColumnElement, and_, delete, func, insert, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from service.errors import NotFound
from service.message import WaitingFor
from service.model import OnExhausted, Retry, Secret, Webhook, WebhookConfig, WebhookMode
from service.store.database.clock import NOW
from service.store.database.identifiers import random_number
from service.store.database.sealing import Sealing
from service.store.database.statements import STATEMENTS
from service.store.database.tables import queue, webhook
from service.store.database.transaction import driver
from service.store.resources.queues import containing, covering

_WAITING = STATEMENTS["webhooks.waiting"]
# The values by which a webhook gets messages at once, whatever the outcomes of its last requests.
_RESUMED = {"failures": 0, "openings": 0, "paused_until": None, "open_until": None, "last_error": None}


WebhookState = Literal["active", "paused", "circuit_open", "disabled"]

# A queue's name and a webhook's.
WebhookPlace = tuple[str, str]


@dataclass(frozen=True, slots=True)
class WebhookFilter:
    """Which webhooks of a project to list.

    `queues`: patterns of which one must match the queue's name; `search`: part of the webhook's name.
    """

    state: WebhookState | None = None
    queues: tuple[str, ...] = ("*",)
    search: str = ""


class _Sealed(msgspec.Struct):
    """The encrypted part of a webhook."""

    headers: list[tuple[str, str]]
    secrets: list[Secret]


async def find(
    connection: AsyncConnection, sealing: Sealing, queue_id: int, name: str, *, lock: bool = False
) -> Webhook | None:
    """Return the webhook of this name, or None; `lock` keeps others from changing it until this transaction ends."""
    statement = select(webhook).where(_this(queue_id, name))
    row = (await connection.execute(statement.with_for_update() if lock else statement)).mappings().first()
    return loaded(sealing, row) if row else None


async def existing(
    connection: AsyncConnection, sealing: Sealing, queue_id: int, name: str, *, lock: bool = False
) -> Webhook:
    """Return the webhook of this name, as `find` does. Raises NotFound."""
    found = await find(connection, sealing, queue_id, name, lock=lock)
    if found is None:
        raise webhook_not_found(name)
    return found


def webhook_not_found(name: str) -> NotFound:
    """Return the problem of a webhook that the queue does not have."""
    return NotFound("webhook", f"The queue has no webhook {name!r}. GET its webhooks to see their names.")


async def create(
    connection: AsyncConnection, sealing: Sealing, key: tuple[int, str], config: WebhookConfig, secret: Secret
) -> Webhook:
    """Create a webhook of a queue and name. The caller has locked the queue, so that there is no other of this name."""
    identity = random_number()
    values = {
        "queue_id": key[0],
        "name": key[1],
        "id": identity,
        "served_at": NOW,
        "created_at": NOW,
        "updated_at": NOW,
        **_columns(sealing, identity, config, [secret]),
    }
    row = (await connection.execute(insert(webhook).values(values).returning(webhook))).mappings().one()
    return loaded(sealing, row)


async def change(
    connection: AsyncConnection, sealing: Sealing, old: Webhook, config: WebhookConfig, secrets: Iterable[Secret]
) -> Webhook:
    """Replace the configuration and secrets of a locked webhook.

    A new URL, or enabling it, resets its failures, circuit and pause.
    """
    values = _columns(sealing, old.id, config, secrets)
    if config.url != old.config.url or (config.enabled and not old.config.enabled):
        values |= {**_RESUMED, "gone": False}
    statement = update(webhook).where(_this(old.queue_id, old.name)).values(updated_at=NOW, **values)
    return loaded(sealing, (await connection.execute(statement.returning(webhook))).mappings().one())


async def resume(connection: AsyncConnection, sealing: Sealing, old: Webhook) -> Webhook:
    """End a locked webhook's pause, and close its circuit."""
    statement = update(webhook).where(_this(old.queue_id, old.name)).values(_RESUMED)
    return loaded(sealing, (await connection.execute(statement.returning(webhook))).mappings().one())


async def remove(connection: AsyncConnection, queue_id: int, name: str) -> int | None:
    """Delete a webhook; return its id, or None if there was none."""
    gone = delete(webhook).where(_this(queue_id, name)).returning(webhook.c.id)
    return (await connection.execute(gone)).scalar_one_or_none()


async def listed(connection: AsyncConnection, sealing: Sealing, queue_id: int, after: str, limit: int) -> list[Webhook]:
    """Return the webhooks of a queue, by name."""
    mine = (webhook.c.queue_id == queue_id, webhook.c.name > after)
    rows = await connection.execute(select(webhook).where(*mine).order_by(webhook.c.name).limit(limit))
    return [loaded(sealing, row) for row in rows.mappings()]


async def of_project(
    connection: AsyncConnection,
    sealing: Sealing,
    project_id: int,
    wanted: WebhookFilter,
    *,
    after: WebhookPlace,
    limit: int,
) -> list[tuple[str, Webhook]]:
    """Return the webhooks of a project's queues, each with its queue's name, by both names."""
    statement = (
        select(webhook, queue.c.name.label("queue_name"))
        .join(queue, queue.c.id == webhook.c.queue_id)
        .where(
            queue.c.project_id == project_id,
            tuple_(queue.c.name, webhook.c.name) > tuple_(*after),
            *_covered(wanted.queues),
            *_in_state(wanted.state),
            *containing(webhook.c.name, wanted.search),
        )
        .order_by(queue.c.name, webhook.c.name)
        .limit(limit)
    )
    rows = await connection.execute(statement)
    return [(row["queue_name"], loaded(sealing, row)) for row in rows.mappings()]


def _covered(patterns: tuple[str, ...]) -> list[ColumnElement[bool]]:
    return [queue.c.name.regexp_match(expression)] if (expression := covering(patterns)) else []


def _in_state(state: WebhookState | None) -> list[ColumnElement[bool]]:
    named = (webhook.c[name] for name in ("enabled", "paused_until", "openings"))
    return [] if state is None else [func.webhook_state(*named, NOW) == state]


async def waiting(connection: AsyncConnection, queue_id: int) -> WaitingFor | None:
    """Return what keeps a queue's webhooks from delivering a message; None: one is free, or the queue has none."""
    reasons = [_reason(row) for row in await (await driver(connection)).fetch(_WAITING, queue_id)]
    return None if None in reasons else next(iter(reasons), None)


def _reason(row: Any) -> WaitingFor | None:
    if not row["enabled"]:
        return WaitingFor("webhook", detail="disabled")
    if row["held_until"] is not None:
        detail = "paused" if row["is_paused"] else "circuit open"
        return WaitingFor("webhook", until=row["held_until"], detail=detail)
    if row["is_full"]:
        return WaitingFor("webhook", detail="circuit open" if row["is_probing"] else "concurrency")
    return WaitingFor("webhook", detail="rate") if row["is_spent"] else None


def loaded(sealing: Sealing, row: Any) -> Webhook:
    """Return the webhook of a row. Raises WrongKey."""
    sealed = msgspec.json.decode(sealing.open(row["id"], row["sealed"]), type=_Sealed)
    config = WebhookConfig(
        url=row["url"],
        mode=WebhookMode(row["mode"]),
        headers=tuple(sealed.headers),
        timeout=row["timeout"],
        max_concurrency=row["max_concurrency"],
        rate_limit=row["rate_limit"],
        retry=Retry(tuple(row["retry_delays"]), row["retry_jitter"]),
        on_exhausted=OnExhausted(row["on_exhausted"]),
        enabled=row["enabled"],
    )
    plain = {name: row[name] for name in ("id", "queue_id", "name", "created_at", "updated_at")}
    return Webhook(
        **plain,
        config=config,
        secrets=tuple(sealed.secrets),
        paused_until=row["paused_until"],
        open_until=row["open_until"],
        circuit_open=row["openings"] > 0,
        last_error=row["last_error"],
        gone=row["gone"],
    )


def _columns(sealing: Sealing, identity: int, config: WebhookConfig, secrets: Iterable[Secret]) -> dict[str, Any]:
    sealed = msgspec.json.encode(_Sealed(list(config.headers), list(secrets)))
    return {
        "url": config.url,
        "mode": config.mode,
        "timeout": config.timeout,
        "max_concurrency": config.max_concurrency,
        "rate_limit": config.rate_limit,
        "retry_delays": list(config.retry.delays),
        "retry_jitter": config.retry.jitter,
        "on_exhausted": config.on_exhausted,
        "enabled": config.enabled,
        "sealed": sealing.seal(identity, sealed),
    }


def _this(queue_id: int, name: str) -> ColumnElement[bool]:
    return and_(webhook.c.queue_id == queue_id, webhook.c.name == name)
