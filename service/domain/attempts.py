"""What came of requests to webhooks."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from service.domain.webhooks import WebhookKey, get_webhook
from service.model import Attempt, Caller
from service.store import attempts, queues
from service.store.attempts import MessageAttempt
from service.store.store import Store
from service.store.transactions import transaction


async def list_attempts(
    store: Store, key: WebhookKey, before: UUID | None, limit: int, *, succeeded: bool | None
) -> tuple[list[Attempt], UUID | None]:
    """Return a page of attempts, the last one first, and the id behind which the next page begins. Raises NotFound."""
    _, webhook = await get_webhook(store, key)
    found = await transaction(
        store.engine,
        lambda connection: attempts.listed(connection, webhook, before, limit + 1, succeeded=succeeded),
    )
    return found[:limit], found[limit - 1].id if len(found) > limit else None


async def list_message_attempts(
    store: Store, caller: Caller, queue: str, message_id: UUID, *, before: UUID | None, limit: int
) -> tuple[list[MessageAttempt], UUID | None]:
    """Return a page of the attempts to deliver a message, and the id behind which the next page begins.

    Whether or not the message is still there. Raises NotFound for the queue.
    """

    async def work(connection: AsyncConnection) -> list[MessageAttempt]:
        await queues.existing(connection, caller.project_id, queue)
        within = caller.project_id, queues.covering(caller.queues)
        return await attempts.of_message(connection, message_id, within, before, limit + 1)

    found = await transaction(store.engine, work)
    return found[:limit], found[limit - 1].attempt.id if len(found) > limit else None
