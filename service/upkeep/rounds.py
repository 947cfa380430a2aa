"""The small chores. Each function does one round and returns how long to wait before the next one."""

import time
from datetime import timedelta
from uuid import UUID

import structlog

from service.auth.keyring import Keyring
from service.domain.queues import tell
from service.store.database.ready import Ready
from service.store.database.storage import checkpoint
from service.store.messaging import deduplication
from service.store.resources import keys
from service.store.store import Store
from service.store.views import attempts
from service.store.views.long_queues import Tallies
from service.store.views.metered import MeteredQueues
from service.store.work import dead_letters, retired, unused
from service.store.work.settlements import empty_next_slot
from service.telemetry import MESSAGES_REMOVED

_log = structlog.get_logger()

_REST_OF_DEAD_LETTERS = timedelta(seconds=0.3)
_REST_OF_SHARES = timedelta(seconds=0.2)
_REST_OF_LONG_QUEUES = timedelta(seconds=0.25)
_REST_OF_WATCHED = timedelta(seconds=1)
_REST_OF_METERED = timedelta(seconds=1)
_REST_OF_RETIRED = timedelta(seconds=1)
_REST_OF_DEDUPLICATION = timedelta(seconds=5)
_REST_OF_UNUSED = timedelta(seconds=10)
_REST_OF_STORAGE = timedelta(seconds=10)
_REST_OF_KEYS = timedelta(seconds=15)
_REST_OF_SETTLEMENTS = timedelta(seconds=30)
_REST_OF_ATTEMPTS = timedelta(hours=1)

_DEAD_LETTERS_SECONDS = 0.5
_RETIRED_SECONDS = 2.0
# A round can take long even if it finds little, so the pause is proportional to its duration.
_REST_FACTOR = 10


async def round_of_dead_letters(store: Store) -> timedelta:
    """Move exhausted messages to their dead-letter queues, after marking those of queues whose rules have changed."""
    started = time.monotonic()
    more = True
    while more and time.monotonic() - started < _DEAD_LETTERS_SECONDS:
        more = await dead_letters.mark_exhausted(store.engine) == dead_letters.MARKED_BATCH
        ready = Ready()
        more = await dead_letters.move_exhausted(store.engine, ready) == dead_letters.BATCH or more
        store.announce_all(ready)
    return timedelta(0) if more else _REST_OF_DEAD_LETTERS


async def round_of_retired(store: Store) -> timedelta:
    """Remove messages of purged and deleted queues for a limited time, then pause for as long."""
    started = time.monotonic()
    for number in await retired.numbers(store.engine):
        after: UUID | None = retired.BEGINNING
        while after is not None and time.monotonic() - started < _RETIRED_SECONDS:
            removed, after = await retired.remove(store.engine, number, after)
            MESSAGES_REMOVED.inc(removed)
        if after is None:
            await retired.forget(store.engine, number)
    return max(_REST_OF_RETIRED, timedelta(seconds=time.monotonic() - started))


async def round_of_deduplication(store: Store) -> timedelta:
    """Remove a batch of deduplication ids whose window has ended. Sends do not depend on this removal."""
    started = time.monotonic()
    if await deduplication.expire(store.engine) == deduplication.BATCH:
        return timedelta(0)
    return max(_REST_OF_DEDUPLICATION, timedelta(seconds=_REST_FACTOR * (time.monotonic() - started)))


async def round_of_unused(store: Store) -> timedelta:
    """Delete a batch of the queues that have been unused for longer than their `expires_after`."""
    found, more = await unused.look(store.engine)
    removed = [await unused.remove(store.engine, queue_id, project_id) for queue_id, project_id in found]
    deleted = [queue for queue in removed if queue is not None]
    for queue in deleted:
        tell(store, queue)
    if deleted:
        _log.info("unused_queues_deleted", queues=len(deleted))
    return timedelta(0) if more else _REST_OF_UNUSED


async def round_of_keys(store: Store, keyring: Keyring) -> timedelta:
    """Store when keys were used since the last round."""
    used = keyring.take_used()
    if used:
        await store.transaction(lambda connection: keys.touch(connection, used))
    return _REST_OF_KEYS


async def round_of_settlements(store: Store) -> timedelta:
    """Remove receipts that were spent ten to fifteen minutes ago, by emptying the slot that is written next."""
    await empty_next_slot(store.engine)
    return _REST_OF_SETTLEMENTS


async def round_of_attempts(store: Store) -> timedelta:
    """Create the partitions of the next days, and drop the oldest ones."""
    await attempts.keep_days(store.engine, store.clock.now())
    return _REST_OF_ATTEMPTS


async def round_of_storage(store: Store) -> timedelta:
    """While the disk is nearly full, keep the database's write-ahead log short."""
    if store.storage.is_full:
        await store.transaction(checkpoint)
    return _REST_OF_STORAGE


async def round_of_shares(store: Store) -> timedelta:
    """Renew this process's shares of the projects' limits on waiting receives, and return unused shares."""
    await store.shares.renew()
    return _REST_OF_SHARES


async def round_of_watched(store: Store) -> timedelta:
    """Notify streams of messages that were settled through another process, or whose leases have ended."""
    await store.watched.look()
    return _REST_OF_WATCHED


async def round_of_long_queues(tallies: Tallies) -> timedelta:
    """Count the messages of long queues whose statistics were requested recently."""
    await tallies.refresh()
    return _REST_OF_LONG_QUEUES


async def round_of_metered(metered: MeteredQueues) -> timedelta:
    """Count the messages of the queues that have metrics of their own."""
    await metered.refresh()
    return _REST_OF_METERED
