"""What owners do with webhooks of their queues. What changes holds for every attempt that begins later."""

import base64
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from service.model import Queue, Secret, Webhook, WebhookConfig
from service.store import attempts, queues, retries, tasks, webhooks
from service.store.attempts import Health
from service.store.store import Store
from service.store.transactions import transaction
from service.store.webhooks import Place, WebhookFilter

_SECRET_BYTES = 32

Change = Callable[[WebhookConfig], WebhookConfig]
# Looks at what is there (None: no such webhook) while it is locked, and raises PreconditionFailed if it is not wanted.
Condition = Callable[[WebhookConfig | None], None]


@dataclass(frozen=True, slots=True)
class WebhookKey:
    """What names a webhook."""

    project_id: int
    queue: str
    name: str


def new_secret() -> str:
    """Return a secret as Standard Webhooks writes it."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


async def put_webhook(
    store: Store, key: WebhookKey, config: WebhookConfig, secret: str | None, condition: Condition
) -> tuple[Webhook, bool]:
    """Make a webhook, or give the existing one the whole configuration; tell whether it was made.

    A secret that is given takes the place of all others at once. Raises NotFound, PreconditionFailed.
    """

    async def work(connection: AsyncConnection) -> tuple[Webhook, bool]:
        queue = await queues.existing(connection, key.project_id, key.queue, lock=True)
        old = await webhooks.find(connection, store.sealing, queue.id, key.name, lock=True)
        condition(old.config if old else None)
        if old is None:
            made = Secret(secret or new_secret())
            return await webhooks.create(connection, store.sealing, (queue.id, key.name), config, made), True
        return await _changed(store, connection, old, config, secret), False

    found, created = await transaction(store.engine, work)
    store.webhook_changed()
    return found, created


async def patch_webhook(
    store: Store, key: WebhookKey, change: Change, secret: str | None, condition: Condition
) -> Webhook:
    """Change some of a webhook's configuration. Raises NotFound, PreconditionFailed."""

    async def work(connection: AsyncConnection) -> Webhook:
        _, old = await _found(store, connection, key, lock=True)
        condition(old.config)
        return await _changed(store, connection, old, change(old.config), secret)

    found = await transaction(store.engine, work)
    store.webhook_changed()
    return found


async def _changed(
    store: Store, connection: AsyncConnection, old: Webhook, config: WebhookConfig, secret: str | None
) -> Webhook:
    """Change a locked webhook, unless that changes nothing."""
    if secret is None and config == old.config:
        return old
    kept = old.secrets if secret is None else (Secret(secret),)
    return await webhooks.change(connection, store.sealing, old, config, kept)


async def rotate_secret(store: Store, key: WebhookKey, overlap: timedelta) -> tuple[Webhook, str]:
    """Sign with a new secret from now on, and until the overlap ends also with those that stood. Raises NotFound."""
    fresh = new_secret()

    async def work(connection: AsyncConnection) -> Webhook:
        _, old = await _found(store, connection, key, lock=True)
        now = store.clock.now()
        ends = now + overlap
        standing = [secret for secret in old.secrets if secret.until is None or secret.until > now]
        older = [replace(secret, until=min(secret.until or ends, ends)) for secret in standing]
        kept = [secret for secret in older if secret.until is not None and secret.until > now]
        return await webhooks.change(connection, store.sealing, old, old.config, [Secret(fresh), *kept])

    return await transaction(store.engine, work), fresh


async def get_webhook(store: Store, key: WebhookKey) -> tuple[Queue, Webhook]:
    """Return a webhook with its queue. Raises NotFound."""
    return await transaction(store.engine, lambda connection: _found(store, connection, key))


async def list_webhooks(
    store: Store, project_id: int, queue_name: str, after: str, limit: int
) -> tuple[list[Webhook], str | None]:
    """Return a page of a queue's webhooks by name, and the name after which the next page begins. Raises NotFound."""

    async def work(connection: AsyncConnection) -> list[Webhook]:
        queue = await queues.existing(connection, project_id, queue_name)
        return await webhooks.listed(connection, store.sealing, queue.id, after, limit + 1)

    found = await transaction(store.engine, work)
    return found[:limit], found[limit - 1].name if len(found) > limit else None


async def list_project_webhooks(
    store: Store, project_id: int, wanted: WebhookFilter, after: Place, limit: int
) -> tuple[list[tuple[str, Webhook]], Place | None]:
    """Return a page of the webhooks of all queues, each with its queue's name, and after what the next one begins."""
    found = await transaction(
        store.engine,
        lambda connection: webhooks.of_project(
            connection, store.sealing, project_id, wanted, after=after, limit=limit + 1
        ),
    )
    last = found[limit - 1] if len(found) > limit else None
    return found[:limit], last and (last[0], last[1].name)


async def delete_webhook(store: Store, key: WebhookKey, condition: Condition | None) -> None:
    """Delete a webhook; its queue's messages stay, and a task frees those that it has blocked.

    Raises NotFound, PreconditionFailed.
    """
    task_id = store.identifiers.message()

    async def work(connection: AsyncConnection) -> None:
        queue = await queues.existing(connection, key.project_id, key.queue)
        if condition is not None:
            # Not read without need: it can be deleted even if it cannot be read any more.
            found = await webhooks.existing(connection, store.sealing, queue.id, key.name, lock=True)
            condition(found.config)
        webhook_id = await webhooks.remove(connection, queue.id, key.name)
        if webhook_id is None:
            raise webhooks.webhook_not_found(key.name)
        if left := await retries.left_by(connection, queue, webhook_id):
            wanted = retries.Wanted(webhook_id).stored()
            await tasks.create(connection, task_id, queue, kind="retry", wanted=wanted, total=left)

    await transaction(store.engine, work)


async def _found(
    store: Store, connection: AsyncConnection, key: WebhookKey, *, lock: bool = False
) -> tuple[Queue, Webhook]:
    queue = await queues.existing(connection, key.project_id, key.queue)
    return queue, await webhooks.existing(connection, store.sealing, queue.id, key.name, lock=lock)


async def health_of(store: Store, found: Sequence[Webhook]) -> list[Health]:
    """Return how each of these webhooks has done of late."""
    return await transaction(store.engine, lambda connection: attempts.health(connection, found))
