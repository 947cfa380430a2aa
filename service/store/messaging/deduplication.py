"""Storing messages once: a message that is sent again under the same hash is answered with the one stored first.

Hash rows are written and messages stored in one transaction, so after a crash there are both or neither. The
transaction locks the hashes, in order, before anything else.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from types import MappingProxyType
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct
from sqlalchemy import CursorResult
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from service.errors import Conflict, Problem
from service.message import Draft
from service.model import NOTHING, Queue
from service.store.database.clock import EPOCH
from service.store.database.connections import Link
from service.store.database.statements import STATEMENTS
from service.store.database.transaction import by_index, transaction
from service.store.messaging import rooms
from service.store.messaging.sends import Parcel, StaleQueue, VisibleAt, newest_versions, store
from service.telemetry import MESSAGES_DEDUPLICATED

BATCH = 5000

_REMEMBER = STATEMENTS["deduplication.remember"]
_RECALL = STATEMENTS["deduplication.recall"]
_AMEND = STATEMENTS["deduplication.amend"]
_EXPIRE = STATEMENTS["deduplication.expire"]

Hash = tuple[int, bytes]


class Unique(Parcel):
    """A parcel with the hashes that identify its messages.

    `hashes` has a tuple for each message: empty, the hash of its own id or content, or the hash of its place in a batch
    that has a key, followed by that of its own id if it has one. `keyed`: the batch has a key.
    """

    hashes: list[tuple[bytes, ...]]
    keyed: bool = False


class SentOnce(Struct):
    """The outcome of one message; for a duplicate, `id` and `visible_at` are the first message's."""

    id: UUID
    visible_at: datetime
    duplicate: bool = False


class _KnownMessage(Struct):
    """The message that is stored under a hash, and how many messages were in its batch."""

    id: UUID
    visible_at: datetime
    members: int


class RememberedHashes(Struct):
    """The messages that the database knew under some hashes; `fresh`: the new ones, with when they become visible."""

    known: dict[Hash, _KnownMessage]
    fresh: dict[Hash, datetime]


class Plan(Struct):
    """The plan for storing many parcels, by their places.

    `outcomes` are the answers, `new` the positions of the messages to store. `amended` are hash rows that were written
    for a message which turned out to be a duplicate under its other hash.
    """

    outcomes: dict[int, list[SentOnce]] = {}
    new: dict[int, list[int]] = {}
    amended: dict[Hash, SentOnce] = {}


class Again(Exception):  # noqa: N818 - not an error: it rolls the transaction back
    """The transaction has to be done again, without the parcels that have a problem."""

    def __init__(self, problems: Mapping[int, Problem] = MappingProxyType({})) -> None:
        super().__init__()
        self.problems = problems


UniqueOutcomes = dict[int, list[SentOnce] | Problem]


async def store_once(link: Link, parcels: Sequence[Unique]) -> list[list[SentOnce] | Problem]:
    """Store the parcels, all or nothing of each. If some are refused, the others are done again without them."""
    outcomes = _outdated(dict(enumerate(parcels)))
    while waiting := {place: parcel for place, parcel in enumerate(parcels) if place not in outcomes}:
        try:
            outcomes |= await link.atomically(partial(_store_within, link, waiting))
        except Again as again:
            outcomes |= again.problems
    return [outcomes[place] for place in range(len(parcels))]


def _outdated(parcels: dict[int, Unique]) -> UniqueOutcomes:
    """Refuse parcels for an older version of a queue than that of another parcel."""
    newest = newest_versions(parcels.values())
    return {
        place: StaleQueue() for place, parcel in parcels.items() if parcel.queue.version < newest[parcel.queue.number]
    }


async def _store_within(link: Link, parcels: dict[int, Unique]) -> dict[int, list[SentOnce]]:
    taken = await take(link, parcels)
    await lock_lengths(link, parcels.values())
    return await store_taken(link, parcels, taken)


async def lock_lengths(link: Link, parcels: Iterable[Parcel]) -> None:
    """Keep other transactions from storing into queues that set max_length until this one ends."""
    for number in sorted({parcel.queue.number for parcel in parcels if parcel.queue.config.max_length is not None}):
        await rooms.close(link, number)


async def store_taken(link: Link, parcels: dict[int, Unique], taken: RememberedHashes) -> dict[int, list[SentOnce]]:
    """Store the messages that are new under the hashes that were taken, in the same transaction. Raises Again."""
    return await store_planned(link, parcels, plan(parcels, taken))


async def store_planned(link: Link, parcels: dict[int, Unique], made: Plan) -> dict[int, list[SentOnce]]:
    """Store the messages that are new according to a plan, in the same transaction. Raises Again."""
    await amend(link, made)
    await _store_new(link, parcels, made)
    return made.outcomes


async def planned(link: Link, parcels: dict[int, Unique], taken: RememberedHashes) -> Plan:
    """Plan what is new under the hashes that were taken, and amend hash rows, in the same transaction. Raises Again."""
    made = plan(parcels, taken)
    await amend(link, made)
    return made


async def amend(link: Link, made: Plan) -> None:
    """Correct the rows of new hashes whose messages are duplicates under another hash, and count the duplicates."""
    if made.amended:
        sents = made.amended.values()
        await link.fetch(
            _AMEND, *_columns(made.amended), [sent.id for sent in sents], [sent.visible_at for sent in sents]
        )
    MESSAGES_DEDUPLICATED.inc(sum(sent.duplicate for sents in made.outcomes.values() for sent in sents))


def _columns(hashes: Iterable[Hash]) -> tuple[list[int], list[bytes]]:
    return [number for number, _ in hashes], [digest for _, digest in hashes]


async def take(link: Link, parcels: dict[int, Unique]) -> RememberedHashes:
    """Write every hash that is new, and read which messages the others belong to. Raises Again."""
    entries: dict[Hash, tuple[Any, ...]] = {}
    for parcel in parcels.values():
        queue, members = parcel.queue, len(parcel.drafts)
        for draft, hashes in zip(parcel.drafts, parcel.hashes, strict=True):
            for digest in hashes:
                entries.setdefault((queue.number, digest), _entry(queue, digest, draft, members))
    if not entries:
        return RememberedHashes({}, {})
    head, *rows = await link.fetch(_REMEMBER, *map(list, zip(*entries.values(), strict=True)))
    stale = {
        place: StaleQueue()
        for place, parcel in parcels.items()
        if any(parcel.hashes) and parcel.queue.number not in head["current"]
    }
    if stale:
        raise Again(stale)
    fresh = {(row["number"], row["hash"]): row["visible_at"] for row in rows}
    others = [entry for entry in entries if entry not in fresh]
    found = await link.fetch(_RECALL, *_columns(others)) if others else []
    known = {
        (row["number"], row["hash"]): _KnownMessage(row["message_id"], row["visible_at"], row["members"])
        for row in found
    }
    return RememberedHashes(known, fresh)


def _entry(queue: Queue, digest: bytes, draft: Draft, members: int) -> tuple[Any, ...]:
    """Return the parameters of `deduplication.remember`, in their order."""
    delay = queue.config.delay if draft.delay is None else draft.delay
    delay = NOTHING if draft.deliver_at is not None else delay
    return queue.number, queue.version, digest, draft.id, delay, draft.deliver_at, members


def plan(parcels: dict[int, Unique], taken: RememberedHashes) -> Plan:
    """Decide, in the order in which the messages came, which are new and which are duplicates.

    Raises Again, with all conflicts at once: many conflicting batches must not hold up the others in their lane.
    """
    made = Plan()
    resolved = dict(taken.known)
    conflicts: dict[int, Problem] = {}
    reduced = False
    for place, parcel in parcels.items():
        if parcel.keyed and _is_other_batch(parcel, resolved):
            conflicts[place] = _other_batch()
            continue
        if parcel.keyed and _is_partly_known(parcel, resolved):
            # Some rows of the batch have just expired, or it is a repeat, whose members' own ids must not be written.
            # Try again by the places in the batch alone.
            parcel.hashes = [hashes[:1] for hashes in parcel.hashes]
            reduced = True
            continue
        made.outcomes[place] = sents = []
        made.new[place] = new = []
        for position, (draft, hashes) in enumerate(zip(parcel.drafts, parcel.hashes, strict=True)):
            keys = [(parcel.queue.number, digest) for digest in hashes]
            first = next((resolved[key] for key in keys if key in resolved), None)
            if first is not None:
                sent = SentOnce(first.id, first.visible_at, duplicate=True)
            else:
                # A message without a hash gets its time when it is stored.
                sent = SentOnce(draft.id, taken.fresh[keys[0]] if keys else EPOCH)
                new.append(position)
            sents.append(sent)
            for key in keys:
                if key not in resolved:
                    resolved[key] = _KnownMessage(sent.id, sent.visible_at, len(parcel.drafts))
                    if sent.duplicate:
                        made.amended[key] = sent
    if conflicts or reduced:
        raise Again(conflicts)
    return made


def _is_other_batch(parcel: Unique, resolved: dict[Hash, _KnownMessage]) -> bool:
    """Return whether the key of a batch was used for a batch with a different number of messages."""
    known = [resolved.get((parcel.queue.number, hashes[0])) for hashes in parcel.hashes]
    return any(first is not None and first.members != len(known) for first in known)


def _is_partly_known(parcel: Unique, resolved: dict[Hash, _KnownMessage]) -> bool:
    """Return whether a batch with a key was sent before, and yet some of its hashes are not known."""
    keys = [[(parcel.queue.number, digest) in resolved for digest in hashes] for hashes in parcel.hashes]
    return any(first for first, *_ in keys) and not all(known for own in keys for known in own)


def _other_batch() -> Conflict:
    return Conflict(
        "This Idempotency-Key was used for a batch with a different number of messages. Use a new key for a new batch."
    )


async def _store_new(link: Link, parcels: dict[int, Unique], plan: Plan) -> None:
    """Store the messages that are new. Raises Again."""
    places = [place for place, new in plan.new.items() if new]
    if not places:
        return
    stored = await store_all(link, [_parcel(parcels[place], plan.outcomes[place], plan.new[place]) for place in places])
    problems = {place: outcome for place, outcome in zip(places, stored, strict=True) if isinstance(outcome, Problem)}
    if problems:
        raise Again(problems)
    for place, visible_at in zip(places, stored, strict=True):
        assert not isinstance(visible_at, Problem)  # noqa: S101 - see above
        for position, at in zip(plan.new[place], visible_at, strict=True):
            if not parcels[place].hashes[position]:
                plan.outcomes[place][position].visible_at = at


async def store_all(link: Link, parcels: Sequence[Parcel]) -> list[VisibleAt | Problem]:
    """Store into queues that set max_length one after the other, and into all others with one statement."""
    free = [parcel for parcel in parcels if parcel.queue.config.max_length is None]
    bounded = [parcel for parcel in parcels if parcel.queue.config.max_length is not None]
    stored = iter(await store(link, free) if free else [])
    counted = iter(await rooms.store_counted(link, bounded))
    return [next(stored if parcel.queue.config.max_length is None else counted) for parcel in parcels]


def _parcel(parcel: Unique, sents: list[SentOnce], new: list[int]) -> Parcel:
    """Return the new messages of a parcel. Their delay counts from the time that duplicates are answered with."""
    drafts = []
    for position in new:
        draft = parcel.drafts[position]
        if parcel.hashes[position] and _is_delayed(parcel.queue, draft):
            draft = msgspec.structs.replace(draft, delay=None, deliver_at=sents[position].visible_at)
        drafts.append(draft)
    return Parcel(parcel.queue, drafts)


def _is_delayed(queue: Queue, draft: Draft) -> bool:
    return bool(draft.delay if draft.delay is not None else queue.config.delay)


async def expire(engine: AsyncEngine) -> int:
    """Remove a batch of hashes whose window is over; return how many."""

    async def work(connection: AsyncConnection) -> int:
        await by_index(connection)
        result: CursorResult[Any] = await connection.exec_driver_sql(_EXPIRE, (BATCH,))
        return result.rowcount

    return await transaction(engine, work)
