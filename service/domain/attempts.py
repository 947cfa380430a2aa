"""Attempts: requests to webhooks and their outcomes."""

from uuid import UUID

from service.domain.webhooks import WebhookKey, get_webhook
from service.model import Attempt, Caller
from service.store.database.transaction import Connection
from service.store.resources import queues
from service.store.store import Store
from service.store.views import attempts
from service.store.views.attempts import MessageAttempt


async def list_attempts(
    store: Store, key: WebhookKey, before: UUID | None, limit: int, *, succeeded: bool | None
) -> tuple[list[Attempt], UUID | None]:
    """Return a page of a webhook's attempts, newest first, and the id after which the next begins. Raises NotFound."""
    _, webhook = await get_webhook(store, key)
    found = await store.transaction(
        lambda connection: attempts.listed(connection, webhook, before, limit + 1, succeeded=succeeded),
    )
    return found[:limit], found[limit - 1].id if len(found) > limit else None


async def list_message_attempts(
    store: Store, caller: Caller, queue: str, message_id: UUID, *, before: UUID | None, limit: int
) -> tuple[list[MessageAttempt], UUID | None]:
    """Return a page of the attempts to deliver a message, and the id after which the next page begins.

    The message need not exist any more. Raises NotFound if the queue does not exist.
    """

    async def work(connection: Connection) -> list[MessageAttempt]:
        await queues.existing(connection, caller.project_id, queue)
        within = caller.project_id, queues.covering(caller.queues)
        return await attempts.of_message(connection, message_id, within, before, limit + 1)

    found = await store.transaction(work)
    return found[:limit], found[limit - 1].attempt.id if len(found) > limit else None
