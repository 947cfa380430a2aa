"""Single messages by their id, as the owner of a queue manages them."""

from uuid import UUID

from sqlalchemy import and_, delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from service.errors import MessageLeased, NotFound
from service.model import Queue
from service.store.database import process_counts
from service.store.database.ready import Ready
from service.store.database.tables import message
from service.store.database.transaction import driver
from service.store.messaging import fifo


async def remove(connection: AsyncConnection, queue: Queue, message_id: UUID, ready: Ready) -> None:
    """Delete a message that is not leased. Raises NotFound, MessageLeased."""
    link = await driver(connection)
    groups = await fifo.lock(link, [queue.id], [message_id]) if queue.is_fifo else []
    if groups == [None]:
        # The message may be arriving just now, but its group is not locked here.
        raise message_not_found()
    await _remove(connection, queue.number, message_id)
    process_counts.deleted(queue.id, 1)
    removed = [group for group in groups if group is not None]
    await fifo.refresh(link, removed, removed, ready)


async def _remove(connection: AsyncConnection, queue_number: int, message_id: UUID) -> None:
    this = and_(message.c.queue_number == queue_number, message.c.id == message_id)
    leased = and_(message.c.lease.is_not(None), message.c.visible_at > func.clock_timestamp())
    found = (await connection.execute(select(leased).where(this).with_for_update())).first()
    if found is None:
        raise message_not_found()
    if found[0]:
        raise MessageLeased("This message is leased. Delete it by its receipt, or when the lease has ended.")
    await connection.execute(delete(message).where(this))


def message_not_found() -> NotFound:
    """Return the problem of a message that the queue does not hold."""
    return NotFound(
        "message", "The queue has no message with this id: it was consumed, expired or moved, or never existed."
    )


def identity(message_id: str) -> UUID:
    """Return the id that a client gave. Raises NotFound unless it is written as the service writes ids."""
    try:
        found = UUID(message_id)
    except ValueError:
        raise message_not_found() from None
    if str(found) != message_id:
        raise message_not_found()
    return found
