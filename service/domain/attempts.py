"""What came of requests to webhooks."""

from uuid import UUID

from service.domain.webhooks import WebhookKey, get_webhook
from service.model import Attempt
from service.store import attempts
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
