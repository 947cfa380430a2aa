"""Browsing: which messages a queue holds, and why they are not being delivered. Browsing changes nothing."""

from uuid import UUID

from service.errors import Conflict
from service.message import HeldGroup, MessageState, SeenMessage, WaitingFor
from service.model import Queue
from service.store.database.transaction import Connection
from service.store.resources import queues, webhooks
from service.store.store import Store
from service.store.views import browse, stored_messages
from service.store.views.browse import MessageFilter, PageStart


async def list_messages(
    store: Store, project_id: int, queue_name: str, wanted: MessageFilter, page: PageStart
) -> tuple[list[SeenMessage], UUID | None]:
    """Return a page of messages, with previews, and the id after which the next page begins. Raises NotFound."""

    async def work(connection: Connection) -> tuple[list[SeenMessage], UUID | None]:
        queue = await queues.existing(connection, project_id, queue_name)
        return await browse.listed(connection, queue, wanted, page)

    async with store.reads.turn(project_id):
        return await store.transaction(work)


async def get_message(
    store: Store, project_id: int, queue_name: str, message_id: str
) -> tuple[SeenMessage, WaitingFor | None]:
    """Return a message with its body, and what it is waiting for. Raises NotFound."""
    identity = stored_messages.identity(message_id)

    async def work(connection: Connection) -> tuple[SeenMessage, WaitingFor | None]:
        queue = await queues.existing(connection, project_id, queue_name)
        message = await browse.find(connection, queue, identity)
        if message is None:
            raise stored_messages.message_not_found()
        return message, await _waiting_for(connection, queue, message)

    return await store.transaction(work)


async def queue_of(store: Store, project_id: int, names: tuple[str, ...], message_id: str) -> str:
    """Return the name of the queue that holds a message, among those that a pattern covers. Raises NotFound."""
    identity = stored_messages.identity(message_id)

    async def work(connection: Connection) -> str:
        found = await browse.queue_of(connection, project_id, names, identity)
        if found is None:
            raise stored_messages.message_not_found()
        return found

    async with store.reads.turn(project_id):
        return await store.transaction(work)


async def list_groups(
    store: Store, project_id: int, queue_name: str, after: str | None, limit: int, *, blocked: bool
) -> tuple[list[HeldGroup], str | None]:
    """Return a page of groups, and the name after which the next page begins. Raises NotFound, Conflict."""

    async def work(connection: Connection) -> tuple[list[HeldGroup], str | None]:
        queue = await queues.existing(connection, project_id, queue_name)
        if not queue.is_fifo:
            raise Conflict(f"{queue_name!r} is a standard queue, which has no held groups. List its messages instead.")
        return await browse.groups(connection, queue, after, limit, blocked=blocked)

    async with store.reads.turn(project_id):
        return await store.transaction(work)


async def _waiting_for(connection: Connection, queue: Queue, message: SeenMessage) -> WaitingFor | None:
    """Return what keeps a message from being delivered, or None: the first reason that applies."""
    if message.state is MessageState.LEASED:
        return WaitingFor("lease", until=message.visible_at, holder=message.holder)
    if queue.config.paused:
        return WaitingFor("paused")
    if message.state is MessageState.DELAYED:
        # A message without a lease that names a webhook is blocked: see receipts.release.
        blocked = message.pushed_by is not None
        return WaitingFor("webhook", detail="blocked") if blocked else WaitingFor("delay", until=message.visible_at)
    if queue.is_fifo and message.group is not None and message.seq is not None:
        held_by = await browse.holder(connection, queue, message.group, message.seq)
        if held_by is not None:
            return WaitingFor("group", message_id=held_by)
    return await webhooks.waiting(connection, queue.id)
