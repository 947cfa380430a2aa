"""Webhooks of queues, as managed by their owners. A change applies to every attempt that begins later."""

import base64
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from service.domain.conditions import ConfigChange, ConfigCheck
from service.model import MAX_SECRETS, Queue, Secret, Webhook, WebhookConfig
from service.store.database.transaction import Connection
from service.store.resources import queues, webhooks
from service.store.resources.webhooks import WebhookFilter, WebhookPlace
from service.store.store import Store
from service.store.views import attempts
from service.store.views.attempts import WebhookHealth
from service.store.work import retries, tasks

_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class WebhookKey:
    """The key by which a webhook is found."""

    project_id: int
    queue: str
    name: str


def new_secret() -> str:
    """Return a new secret in the format of Standard Webhooks."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


async def put_webhook(
    store: Store, key: WebhookKey, config: WebhookConfig, secret: str | None, condition: ConfigCheck[WebhookConfig]
) -> tuple[Webhook, bool]:
    """Create a webhook or replace the configuration of the existing one; return whether it was created.

    A secret, if given, replaces all others at once. Raises NotFound, PreconditionFailed.
    """

    async def work(connection: Connection) -> tuple[Webhook, bool]:
        queue = await queues.existing(connection, key.project_id, key.queue, lock=True)
        old = await webhooks.find(connection, store.sealing, queue.id, key.name, lock=True)
        condition(old.config if old else None)
        if old is None:
            made = Secret(secret or new_secret())
            return await webhooks.create(connection, store.sealing, (queue.id, key.name), config, made), True
        return await _changed(store, connection, old, config, secret), False

    found, created = await store.transaction(work)
    store.webhook_changed()
    return found, created


async def patch_webhook(
    store: Store,
    key: WebhookKey,
    change: ConfigChange[WebhookConfig],
    secret: str | None,
    condition: ConfigCheck[WebhookConfig],
) -> Webhook:
    """Change a webhook's configuration. Raises NotFound, PreconditionFailed."""

    async def work(connection: Connection) -> Webhook:
        _, old = await _found(store, connection, key, lock=True)
        condition(old.config)
        return await _changed(store, connection, old, change(old.config), secret)

    found = await store.transaction(work)
    store.webhook_changed()
    return found


async def _changed(
    store: Store, connection: Connection, old: Webhook, config: WebhookConfig, secret: str | None
) -> Webhook:
    """Change the configuration of a locked webhook unless it is the same."""
    if secret is None and config == old.config:
        return old
    kept = old.secrets if secret is None else (Secret(secret),)
    return await webhooks.change(connection, store.sealing, old, config, kept)


async def rotate_secret(store: Store, key: WebhookKey, overlap: timedelta) -> tuple[Webhook, str]:
    """Sign with a new secret from now on, and with the newest of the previous ones until the overlap ends.

    Raises NotFound.
    """
    fresh = new_secret()

    async def work(connection: Connection) -> Webhook:
        _, old = await _found(store, connection, key, lock=True)
        now = store.clock.now()
        ends = now + overlap
        standing = [secret for secret in old.secrets if secret.until is None or secret.until > now]
        older = [replace(secret, until=min(secret.until or ends, ends)) for secret in standing]
        kept = [secret for secret in older if secret.until is not None and secret.until > now]
        return await webhooks.change(connection, store.sealing, old, old.config, [Secret(fresh), *kept][:MAX_SECRETS])

    return await store.transaction(work), fresh


async def resume_webhook(store: Store, key: WebhookKey) -> Webhook:
    """Give a webhook messages at once, however many attempts have failed. Raises NotFound."""

    async def work(connection: Connection) -> Webhook:
        _, old = await _found(store, connection, key, lock=True)
        return await webhooks.resume(connection, store.sealing, old)

    found = await store.transaction(work)
    store.webhook_changed()
    return found


async def get_webhook(store: Store, key: WebhookKey) -> tuple[Queue, Webhook]:
    """Return a webhook with its queue. Raises NotFound."""
    return await store.transaction(lambda connection: _found(store, connection, key))


async def list_webhooks(
    store: Store, project_id: int, queue_name: str, after: str, limit: int
) -> tuple[list[Webhook], str | None]:
    """Return a page of a queue's webhooks by name, and the name after which the next page begins. Raises NotFound."""

    async def work(connection: Connection) -> list[Webhook]:
        queue = await queues.existing(connection, project_id, queue_name)
        return await webhooks.listed(connection, store.sealing, queue.id, after, limit + 1)

    found = await store.transaction(work)
    return found[:limit], found[limit - 1].name if len(found) > limit else None


async def list_project_webhooks(
    store: Store, project_id: int, wanted: WebhookFilter, after: WebhookPlace, limit: int
) -> tuple[list[tuple[str, Webhook]], WebhookPlace | None]:
    """Return a page of the webhooks of all queues, each with its queue's name, and after what the next page begins."""
    found = await store.transaction(
        lambda connection: webhooks.of_project(
            connection, store.sealing, project_id, wanted, after=after, limit=limit + 1
        ),
    )
    last = found[limit - 1] if len(found) > limit else None
    return found[:limit], last and (last[0], last[1].name)


async def delete_webhook(store: Store, key: WebhookKey, condition: ConfigCheck[WebhookConfig] | None) -> None:
    """Delete a webhook. Its queue's messages stay, and a task frees those that it has blocked.

    Raises NotFound, PreconditionFailed.
    """
    task_id = store.identifiers.message()

    async def work(connection: Connection) -> None:
        queue = await queues.existing(connection, key.project_id, key.queue)
        if condition is not None:
            # Read only for a condition: a webhook whose secrets can no longer be decrypted can still be deleted.
            found = await webhooks.existing(connection, store.sealing, queue.id, key.name, lock=True)
            condition(found.config)
        webhook_id = await webhooks.remove(connection, queue.id, key.name)
        if webhook_id is None:
            raise webhooks.webhook_not_found(key.name)
        if left := await retries.left_by(connection, queue, webhook_id):
            wanted = retries.WantedRetry(webhook_id).stored()
            await tasks.create(connection, task_id, queue, kind="retry", wanted=wanted, total=left)

    await store.transaction(work)


async def _found(store: Store, connection: Connection, key: WebhookKey, *, lock: bool = False) -> tuple[Queue, Webhook]:
    queue = await queues.existing(connection, key.project_id, key.queue)
    return queue, await webhooks.existing(connection, store.sealing, queue.id, key.name, lock=lock)


async def health_of(store: Store, found: Sequence[Webhook]) -> list[WebhookHealth]:
    """Return the recent health of each webhook."""
    return await store.transaction(lambda connection: attempts.health(connection, found))
