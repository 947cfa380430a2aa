"""Dead letters, grouped by what they have in common."""

from service.store.database.transaction import Connection
from service.store.resources import queues
from service.store.store import Store
from service.store.work import dead_letters
from service.store.work.dead_letters import DeadLetterGroup


async def groups(
    store: Store, project_id: int, queue_name: str, source: str | None
) -> tuple[list[DeadLetterGroup], bool]:
    """Return the groups of a queue's dead letters, largest first, and whether that is all. Raises NotFound."""

    async def work(connection: Connection) -> tuple[list[DeadLetterGroup], bool]:
        return await dead_letters.groups(connection, await queues.existing(connection, project_id, queue_name), source)

    return await store.transaction(work)
