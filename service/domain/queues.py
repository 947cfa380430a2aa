"""Queues, as managed by their owners. Every process is notified of a change."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from service.domain.conditions import ConfigCheck
from service.errors import Conflict, QuotaExceeded, invalid
from service.model import Caller, Queue, QueueConfig, QueueStats
from service.store.database import process_counts
from service.store.database.clock import EPOCH
from service.store.database.transaction import Collided, Connection
from service.store.resources import projects, queues
from service.store.resources.queues import QueueFilter
from service.store.store import Store
from service.store.views import stats
from service.store.views.long_queues import Tallies

# Stands for the age of a queue without a ready message, in the cursor of a list by age.
_NEVER = "never"


async def put_queue(
    store: Store,
    project_id: int,
    name: str,
    wanted: QueueConfig,
    condition: ConfigCheck[QueueConfig],
    *,
    keep_type: bool,
) -> tuple[Queue, bool]:
    """Create a queue or replace the configuration of the existing one; return whether it was created.

    `keep_type`: an existing queue keeps its type, whatever `wanted` says. Raises InvalidRequest, PreconditionFailed,
    Conflict, QuotaExceeded.
    """
    _check_limits(store, wanted)

    async def work(connection: Connection) -> tuple[Queue, bool]:
        if wanted.dead_letter is not None:
            await queues.lock_dead_letters(connection, project_id)
        old = await queues.find(connection, project_id, name, lock=True)
        condition(old.config if old else None)
        config = replace(wanted, type=old.config.type) if keep_type and old else wanted
        await _check_dead_letter(connection, project_id, name, config)
        if old is None:
            await _check_room(connection, project_id)
            new = await queues.create(connection, project_id, name, wanted)
            if new is None:
                raise Collided
            return new, True
        return await _configure(connection, old, config), False

    queue, created = await store.transaction(work)
    tell(store, queue)
    return queue, created


async def patch_queue(
    store: Store, project_id: int, name: str, changes: Mapping[str, Any], condition: ConfigCheck[QueueConfig]
) -> Queue:
    """Replace some fields of a queue's configuration. Raises NotFound, PreconditionFailed, InvalidRequest, Conflict."""

    async def work(connection: Connection) -> Queue:
        if "dead_letter" in changes:
            await queues.lock_dead_letters(connection, project_id)
        old = await _locked(connection, project_id, name, condition)
        config = replace(old.config, **changes)
        # A size that was allowed when it was set remains valid.
        if "max_message_bytes" in changes:
            _check_limits(store, config)
        if config.dead_letter != old.config.dead_letter:
            await _check_dead_letter(connection, project_id, name, config)
        return await _configure(connection, old, config)

    queue = await store.transaction(work)
    tell(store, queue)
    return queue


async def get_queue(store: Store, project_id: int, name: str) -> Queue:
    """Return a queue as it is in the database. Raises NotFound."""
    return await store.transaction(lambda connection: queues.existing(connection, project_id, name))


async def list_queues(
    store: Store, project_id: int, wanted: QueueFilter, after: str, limit: int
) -> tuple[list[Queue], str | None]:
    """Return a page of queues by name, and the name after which the next page begins."""
    return await store.transaction(lambda connection: queues.listed(connection, project_id, wanted, after, limit))


async def list_queues_by_age(
    store: Store, project_id: int, wanted: QueueFilter, after: str, limit: int
) -> tuple[list[Queue], str | None]:
    """Return a page of queues, the one with the oldest ready message first, and after what the next page begins."""
    since, _, name = after.rpartition(" ")
    place = (None if since == _NEVER else datetime.fromisoformat(since)) if after else EPOCH
    async with store.reads.turn(project_id):
        found = await store.transaction(
            lambda connection: queues.by_age(connection, project_id, wanted, (place, name), limit + 1)
        )
    shown = found[:limit]
    if len(found) <= limit:
        return [one.queue for one in shown], None
    last = shown[-1]
    return [one.queue for one in shown], f"{last.since.isoformat() if last.since else _NEVER} {last.queue.name}"


async def delete_queue(store: Store, caller: Caller, name: str, condition: ConfigCheck[QueueConfig]) -> None:
    """Delete a queue with its messages. Raises NotFound, PreconditionFailed."""

    async def work(connection: Connection) -> Queue:
        await queues.lock_dead_letters(connection, caller.project_id)
        queue = await _locked(connection, caller.project_id, name, condition)
        await _check_not_named(connection, caller, name)
        await queues.remove(connection, queue)
        return queue

    tell(store, await store.transaction(work))


async def purge_queue(store: Store, project_id: int, name: str) -> int:
    """Remove all messages of a queue, leased ones too; return how many there were, estimated above some millions."""
    old = await get_queue(store, project_id, name)
    async with store.reads.turn(project_id):
        purged = await stats.messages_under(store.engine, old.number)

    async def work(connection: Connection) -> Queue:
        return await queues.renumber(connection, await _locked(connection, project_id, name, _anything))

    tell(store, await store.transaction(work))
    process_counts.purged(old.id, purged)
    return purged


async def stats_of(store: Store, tallies: Tallies, found: Sequence[Queue]) -> list[QueueStats]:
    """Return how many messages each of these queues holds."""
    return await stats.of(store.engine, tallies, found)


async def _locked(connection: Connection, project_id: int, name: str, condition: ConfigCheck[QueueConfig]) -> Queue:
    queue = await queues.existing(connection, project_id, name, lock=True)
    condition(queue.config)
    return queue


async def _configure(connection: Connection, old: Queue, config: QueueConfig) -> Queue:
    """Change the configuration of a locked queue unless it is the same. Raises Conflict."""
    if config.type != old.config.type:
        raise Conflict(f"The type of a queue cannot be changed; this one is {old.config.type}. Create another queue.")
    return old if config == old.config else await queues.configure(connection, old, config)


async def _check_room(connection: Connection, project_id: int) -> None:
    """Refuse a queue beyond the project's limit; the project stays locked, so that no other request creates one."""
    limit = await projects.queue_limit(connection, project_id)
    if limit is not None and await projects.queues_in(connection, project_id, limit) >= limit:
        detail = "Delete a queue that is no longer needed, or ask the operator to raise the limit."
        raise QuotaExceeded("queues", limit, detail, seconds=60)


def _check_limits(store: Store, config: QueueConfig) -> None:
    limit = store.settings.max_message_bytes
    if config.max_message_bytes > limit:
        raise invalid("/max_message_bytes", "out_of_range", f"The operator allows at most {limit}.")


async def _check_dead_letter(connection: Connection, project_id: int, name: str, config: QueueConfig) -> None:
    """Refuse a dead-letter queue that does not exist, has another type, is this queue, or leads back to it."""
    if config.dead_letter is None:
        return
    pointer, target_name = "/dead_letter/queue", config.dead_letter.queue
    chain = await queues.dead_letter_chain(connection, project_id, target_name)
    if target_name == name or name in [link.name for link in chain]:
        detail = f"Messages would come back: {target_name!r} is this queue or leads back to it. Name another queue."
        raise invalid(pointer, "cycle", detail)
    check_alike(pointer, target_name, chain[0] if chain else None, config)


def check_alike(pointer: str, name: str, target: Queue | None, config: QueueConfig) -> None:
    """Refuse a target that messages cannot be moved to: it does not exist, or it has another type."""
    if target is None:
        raise invalid(pointer, "queue_not_found", f"There is no queue {name!r}. Create it first.")
    if target.config.type != config.type:
        detail = f"{name!r} is a {target.config.type} queue, this one is {config.type}. The types must be the same."
        raise invalid(pointer, "wrong_type", detail)


async def _check_not_named(connection: Connection, caller: Caller, name: str) -> None:
    others = await queues.that_dead_letter_to(connection, caller.project_id, name)
    if others:
        known = (
            ", ".join(repr(other) for other in others if caller.covers(other)) or "queues that the key does not cover"
        )
        raise Conflict(f"This is the dead-letter queue of {known}. Change their dead_letter first.")


def _anything(_config: QueueConfig | None) -> None:
    """Accept any configuration."""


def tell(store: Store, queue: Queue) -> None:
    """Make every process look the queue up again; receives that wait for its messages do so at once."""
    store.directory.forget(queue.project_id, queue.name)
    store.wakeups.queue_changed(queue.id)
