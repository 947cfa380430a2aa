"""Browsing: what lies in a queue, and why it is not being delivered. Looking changes nothing."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from service.errors import Conflict
from service.model import MessageState, Queue, WaitingFor
from service.store import browse, messages, queues, webhooks
from service.store.browse import MessageFilter, Place
from service.store.store import Store
from service.store.transactions import transaction


async def list_messages(
    store: Store, project_id: int, queue_name: str, wanted: MessageFilter, page: Place
) -> tuple[Sequence[Any], UUID | None]:
    """Return a page of messages, with previews, and the id behind which the next one begins. Raises NotFound."""

    async def work(connection: AsyncConnection) -> tuple[Sequence[Any], UUID | None]:
        queue = await queues.existing(connection, project_id, queue_name)
        return await browse.listed(connection, queue, wanted, page)

    async with store.reads.turn(project_id):
        return await transaction(store.engine, work)


async def get_message(
    store: Store, project_id: int, queue_name: str, message_id: str
) -> tuple[Any, MessageState, WaitingFor | None]:
    """Return a message with its body, its state, and what it waits for. Raises NotFound."""
    identity = messages.identity(message_id)

    async def work(connection: AsyncConnection) -> tuple[Any, MessageState, WaitingFor | None]:
        queue = await queues.existing(connection, project_id, queue_name)
        row = await browse.find(connection, queue, identity)
        if row is None:
            raise messages.message_not_found()
        return row, state_of(row), await _waiting_for(connection, queue, row)

    return await transaction(store.engine, work)


async def list_groups(
    store: Store, project_id: int, queue_name: str, after: str | None, limit: int, *, blocked: bool
) -> tuple[list[Any], str | None]:
    """Return a page of groups, and the name behind which the next one begins. Raises NotFound, Conflict."""

    async def work(connection: AsyncConnection) -> tuple[list[Any], str | None]:
        queue = await queues.existing(connection, project_id, queue_name)
        if not queue.is_fifo:
            raise Conflict(f"{queue_name!r} is a standard queue: groups hold nothing there. List its messages instead.")
        return await browse.groups(connection, queue, after, limit, blocked=blocked)

    async with store.reads.turn(project_id):
        return await transaction(store.engine, work)


def state_of(row: Any) -> MessageState:
    """Return a message's state by the database's clock."""
    if row.visible_at <= row.now:
        return MessageState.READY
    return MessageState.DELAYED if row.lease is None else MessageState.LEASED


async def _waiting_for(connection: AsyncConnection, queue: Queue, row: Any) -> WaitingFor | None:
    """Return what keeps a message: the lease it is under, or else what its owner can change, or has to wait for."""
    state = state_of(row)
    if state is MessageState.LEASED:
        return WaitingFor("lease", until=row.visible_at)
    if queue.config.paused:
        return WaitingFor("paused")
    if state is MessageState.DELAYED:
        # Marked with a webhook and under no lease: see receipts.release.
        blocked = row.pushed_by is not None
        return WaitingFor("webhook", detail="blocked") if blocked else WaitingFor("delay", until=row.visible_at)
    held_by = await browse.holder(connection, queue, row.message_group, row.seq) if queue.is_fifo else None
    if held_by is not None:
        return WaitingFor("group", message_id=held_by["id"])
    return await webhooks.waiting(connection, queue.id)
