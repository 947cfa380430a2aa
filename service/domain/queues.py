"""What owners do with queues. A change is told to every process before it is answered."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from service.errors import Conflict, QuotaExceeded, Unavailable, invalid
from service.model import Caller, Queue, QueueConfig, QueueStats
from service.store import counting, projects, queues, stats
from service.store.clock import EPOCH
from service.store.queues import QueueFilter
from service.store.store import Store
from service.store.tallies import Tallies
from service.store.transactions import transaction

# Where in the list by age a queue stands in which nothing is ready.
_NEVER = "never"

# Looks at what is there (None: no such queue) while it is locked, and raises PreconditionFailed if it is not wanted.
Condition = Callable[[QueueConfig | None], None]


async def put_queue(
    store: Store, project_id: int, name: str, wanted: QueueConfig, condition: Condition, *, keep_type: bool
) -> tuple[Queue, bool]:
    """Create a queue, or give the existing one the whole configuration; tell whether it was created."""
    _check_limits(store, wanted)

    async def work(connection: AsyncConnection) -> tuple[Queue, bool]:
        if wanted.dead_letter is not None:
            await queues.lock_dead_letters(connection, project_id)
        old = await queues.find(connection, project_id, name, lock=True)
        condition(old.config if old else None)
        config = replace(wanted, type=old.config.type) if keep_type and old else wanted
        await _check_dead_letter(connection, project_id, name, config)
        if old is None:
            await _check_room(connection, project_id)
            new = await queues.create(connection, project_id, name, wanted)
            if new is not None:
                return new, True
            # Somebody else made it a moment ago.
            old = await queues.find(connection, project_id, name, lock=True)
            condition(old.config if old else None)
        if old is None:
            raise Unavailable("The queue was created and deleted at the same moment. Send the request again.")
        config = replace(wanted, type=old.config.type) if keep_type else wanted
        return await _configure(connection, old, config), False

    queue, created = await transaction(store.engine, work)
    _tell(store, queue)
    return queue, created


async def patch_queue(
    store: Store, project_id: int, name: str, changes: Mapping[str, Any], condition: Condition
) -> Queue:
    """Replace some fields of a queue's configuration. Raises NotFound, PreconditionFailed, Conflict."""

    async def work(connection: AsyncConnection) -> Queue:
        if "dead_letter" in changes:
            await queues.lock_dead_letters(connection, project_id)
        old = await _locked(connection, project_id, name, condition)
        config = replace(old.config, **changes)
        # What was allowed when it was set stands.
        if "max_message_bytes" in changes:
            _check_limits(store, config)
        if config.dead_letter != old.config.dead_letter:
            await _check_dead_letter(connection, project_id, name, config)
        return await _configure(connection, old, config)

    queue = await transaction(store.engine, work)
    _tell(store, queue)
    return queue


async def get_queue(store: Store, project_id: int, name: str) -> Queue:
    """Return a queue as it is in the database. Raises NotFound."""
    return await transaction(store.engine, lambda connection: queues.existing(connection, project_id, name))


async def list_queues(
    store: Store, project_id: int, wanted: QueueFilter, after: str, limit: int
) -> tuple[list[Queue], str | None]:
    """Return a page of queues by name, and the name after which the next page begins."""
    return await transaction(
        store.engine, lambda connection: queues.listed(connection, project_id, wanted, after, limit)
    )


async def list_queues_by_age(
    store: Store, project_id: int, wanted: QueueFilter, after: str, limit: int
) -> tuple[list[Queue], str | None]:
    """Return a page of queues, the longest-waiting ready message first, and the place after which the next begins."""
    since, _, name = after.rpartition(" ")
    place = (None if since == _NEVER else datetime.fromisoformat(since)) if after else EPOCH
    async with store.reads.turn(project_id):
        found = await transaction(
            store.engine, lambda connection: queues.by_age(connection, project_id, wanted, (place, name), limit + 1)
        )
    shown = found[:limit]
    if len(found) <= limit:
        return [one.queue for one in shown], None
    last = shown[-1]
    return [one.queue for one in shown], f"{last.since.isoformat() if last.since else _NEVER} {last.queue.name}"


async def delete_queue(store: Store, caller: Caller, name: str, condition: Condition) -> None:
    """Delete a queue with its messages. Raises NotFound, PreconditionFailed."""

    async def work(connection: AsyncConnection) -> Queue:
        await queues.lock_dead_letters(connection, caller.project_id)
        queue = await _locked(connection, caller.project_id, name, condition)
        await _check_not_named(connection, caller, name)
        await queues.remove(connection, queue)
        return queue

    _tell(store, await transaction(store.engine, work))


async def purge_queue(store: Store, project_id: int, name: str) -> int:
    """Remove every message of a queue, leased ones too; return how many there were, estimated above some millions."""
    old = await get_queue(store, project_id, name)
    async with store.reads.turn(project_id):
        purged = await stats.messages_under(store.engine, old.number)

    async def work(connection: AsyncConnection) -> Queue:
        return await queues.renumber(connection, await _locked(connection, project_id, name, _anything))

    _tell(store, await transaction(store.engine, work))
    counting.purged(old.id, purged)
    return purged


async def stats_of(store: Store, tallies: Tallies, found: Sequence[Queue]) -> list[QueueStats]:
    """Return how many messages each of these queues holds."""
    return await stats.of(store.engine, tallies, found)


async def _locked(connection: AsyncConnection, project_id: int, name: str, condition: Condition) -> Queue:
    queue = await queues.existing(connection, project_id, name, lock=True)
    condition(queue.config)
    return queue


async def _configure(connection: AsyncConnection, old: Queue, config: QueueConfig) -> Queue:
    """Change a locked queue, unless that changes nothing."""
    if config.type != old.config.type:
        raise Conflict(f"The type of a queue cannot be changed; this one is {old.config.type}. Make another queue.")
    return old if config == old.config else await queues.configure(connection, old, config)


async def _check_room(connection: AsyncConnection, project_id: int) -> None:
    """Refuse one more queue than the project may have; nobody else makes one in it before this transaction ends."""
    limit = await projects.queue_limit(connection, project_id)
    if limit is not None and await projects.queues_in(connection, project_id, limit) >= limit:
        detail = "Delete one that is no longer needed; the operator can raise the limit."
        raise QuotaExceeded("queues", limit, detail, seconds=60)


def _check_limits(store: Store, config: QueueConfig) -> None:
    limit = store.settings.max_message_bytes
    if config.max_message_bytes > limit:
        raise invalid("/max_message_bytes", "out_of_range", f"The operator allows at most {limit}.")


async def _check_dead_letter(connection: AsyncConnection, project_id: int, name: str, config: QueueConfig) -> None:
    """Refuse a dead-letter queue that is missing, of another type, this queue itself, or leads back to it."""
    if config.dead_letter is None:
        return
    pointer, target_name = "/dead_letter/queue", config.dead_letter.queue
    chain = await queues.dead_letter_chain(connection, project_id, target_name)
    if target_name == name or name in [link.name for link in chain]:
        detail = f"Messages would come back: {target_name!r} is, or leads to, this queue. Name another one."
        raise invalid(pointer, "cycle", detail)
    check_alike(pointer, target_name, chain[0] if chain else None, config)


def check_alike(pointer: str, name: str, target: Queue | None, config: QueueConfig) -> None:
    """Refuse to name a queue to which messages of this one cannot go: there is none, or it is of another type."""
    if target is None:
        raise invalid(pointer, "queue_not_found", f"There is no queue {name!r}. Create it first.")
    if target.config.type != config.type:
        detail = f"{name!r} is a {target.config.type} queue, this one {config.type}. They must be alike."
        raise invalid(pointer, "wrong_type", detail)


async def _check_not_named(connection: AsyncConnection, caller: Caller, name: str) -> None:
    others = await queues.that_dead_letter_to(connection, caller.project_id, name)
    if others:
        known = (
            ", ".join(repr(other) for other in others if caller.covers(other)) or "queues that the key does not cover"
        )
        raise Conflict(f"It is the dead-letter queue of {known}. Change their dead_letter first.")


def _anything(_config: QueueConfig | None) -> None:
    """Accept whatever is there."""


def _tell(store: Store, queue: Queue) -> None:
    """Let every process look at the queue anew; whoever waits for its messages does so at once."""
    store.directory.forget(queue.project_id, queue.name)
    store.wakeups.queue_changed(queue.id)
