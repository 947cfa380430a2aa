"""Storing messages once: what is sent again under the same hash is answered with the message that was stored first.

Hash rows are taken and messages stored in one transaction: after a crash there are both or neither. The hashes are
locked first, in order, before anything else.
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
from service.model import NOTHING, Draft, Queue
from service.store import rooms
from service.store.clock import EPOCH
from service.store.connections import Link
from service.store.sends import Parcel, StaleQueue, VisibleAt, newest_versions, store
from service.store.statements import STATEMENTS
from service.store.transactions import by_index, transaction
from service.telemetry import MESSAGES_DEDUPLICATED

BATCH = 5000

_REMEMBER = STATEMENTS["deduplication.remember"]
_RECALL = STATEMENTS["deduplication.recall"]
_AMEND = STATEMENTS["deduplication.amend"]
_EXPIRE = STATEMENTS["deduplication.expire"]

Hash = tuple[int, bytes]


class Unique(Parcel):
    """A parcel some of whose messages are stored once only.

    `hashes` has for each message what it is known by: nothing; its own id; its place in a batch that has a key, and
    its own id after that. `keyed`: the batch has a key.
    """

    hashes: list[tuple[bytes, ...]]
    keyed: bool = False


class Sent(Struct):
    """What became of one message."""

    id: UUID
    visible_at: datetime
    duplicate: bool = False


class _Known(Struct):
    """What is known under a hash: the message, and how many its batch had if the batch has a key."""

    id: UUID
    visible_at: datetime
    members: int


class Taken(Struct):
    """What the database knew under some hashes; which are fresh, with the time when their messages are visible."""

    known: dict[Hash, _Known]
    fresh: dict[Hash, datetime]


class Plan(Struct):
    """What is to be done with many parcels: the answers, which messages are new, which batches' rows to put right."""

    outcomes: dict[int, list[Sent]] = {}
    new: dict[int, list[int]] = {}
    amended: dict[Hash, Sent] = {}


class Again(Exception):  # noqa: N818 - not an error: it takes the transaction back
    """What was begun has to be done again, without the parcels that have a problem."""

    def __init__(self, problems: Mapping[int, Problem] = MappingProxyType({})) -> None:
        super().__init__()
        self.problems = problems


Outcomes = dict[int, list[Sent] | Problem]


async def store_once(link: Link, parcels: Sequence[Unique]) -> list[list[Sent] | Problem]:
    """Store the parcels, each wholly or not at all; what has to be refused is left out and the rest done again."""
    outcomes = _outdated(dict(enumerate(parcels)))
    while waiting := {place: parcel for place, parcel in enumerate(parcels) if place not in outcomes}:
        try:
            outcomes |= await link.atomically(partial(_store_within, link, waiting))
        except Again as again:
            outcomes |= again.problems
    return [outcomes[place] for place in range(len(parcels))]


def _outdated(parcels: dict[int, Unique]) -> Outcomes:
    """Refuse what was sent to an older version of a queue than another parcel was."""
    newest = newest_versions(parcels.values())
    return {
        place: StaleQueue() for place, parcel in parcels.items() if parcel.queue.version < newest[parcel.queue.number]
    }


async def _store_within(link: Link, parcels: dict[int, Unique]) -> dict[int, list[Sent]]:
    taken = await take(link, parcels)
    await lock_lengths(link, parcels.values())
    return await store_taken(link, parcels, taken)


async def lock_lengths(link: Link, parcels: Iterable[Parcel]) -> None:
    """Let nobody else store into queues that set max_length, before the transaction ends."""
    for number in sorted({parcel.queue.number for parcel in parcels if parcel.queue.config.max_length is not None}):
        await rooms.close(link, number)


async def store_taken(link: Link, parcels: dict[int, Unique], taken: Taken) -> dict[int, list[Sent]]:
    """Store what is new under the hashes that were taken, in the same transaction. Raises Again."""
    plan = await planned(link, parcels, taken)
    await _store_new(link, parcels, plan)
    return plan.outcomes


async def planned(link: Link, parcels: dict[int, Unique], taken: Taken) -> Plan:
    """Decide what is new under the hashes that were taken, in the same transaction. Raises Again."""
    plan = _plan(parcels, taken)
    if plan.amended:
        sents = plan.amended.values()
        await link.fetch(
            _AMEND, *_columns(plan.amended), [sent.id for sent in sents], [sent.visible_at for sent in sents]
        )
    MESSAGES_DEDUPLICATED.inc(sum(sent.duplicate for sents in plan.outcomes.values() for sent in sents))
    return plan


def _columns(hashes: Iterable[Hash]) -> tuple[list[int], list[bytes]]:
    return [number for number, _ in hashes], [digest for _, digest in hashes]


async def take(link: Link, parcels: dict[int, Unique]) -> Taken:
    """Take every hash that is new, and read who took the others. Raises Again."""
    entries: dict[Hash, tuple[Any, ...]] = {}
    for parcel in parcels.values():
        queue, members = parcel.queue, len(parcel.drafts)
        for draft, hashes in zip(parcel.drafts, parcel.hashes, strict=True):
            for digest in hashes:
                entries.setdefault((queue.number, digest), _entry(queue, digest, draft, members))
    if not entries:
        return Taken({}, {})
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
        (row["number"], row["hash"]): _Known(row["message_id"], row["visible_at"], row["members"]) for row in found
    }
    return Taken(known, fresh)


def _entry(queue: Queue, digest: bytes, draft: Draft, members: int) -> tuple[Any, ...]:
    """Return the parameters of `deduplication.remember`, in their order."""
    delay = queue.config.delay if draft.delay is None else draft.delay
    delay = NOTHING if draft.deliver_at is not None else delay
    return queue.number, queue.version, digest, draft.id, delay, draft.deliver_at, members


def _plan(parcels: dict[int, Unique], taken: Taken) -> Plan:
    """Decide, in the order in which the messages came, which are new and which are repeats. Raises Again."""
    plan = Plan()
    resolved = dict(taken.known)
    for place, parcel in parcels.items():
        if parcel.keyed:
            _check_batch(place, parcel, resolved)
        plan.outcomes[place] = sents = []
        plan.new[place] = new = []
        for position, (draft, hashes) in enumerate(zip(parcel.drafts, parcel.hashes, strict=True)):
            keys = [(parcel.queue.number, digest) for digest in hashes]
            first = next((resolved[key] for key in keys if key in resolved), None)
            if first is not None:
                sent = Sent(first.id, first.visible_at, duplicate=True)
            else:
                # The time of one without a hash is known when it is stored.
                sent = Sent(draft.id, taken.fresh[keys[0]] if keys else EPOCH)
                new.append(position)
            sents.append(sent)
            for key in keys:
                if key not in resolved:
                    resolved[key] = _Known(sent.id, sent.visible_at, len(parcel.drafts))
                    if sent.duplicate:
                        plan.amended[key] = sent
    return plan


def _check_batch(place: int, parcel: Unique, resolved: dict[Hash, _Known]) -> None:
    """See that a batch with a key is either new or the same one again. Raises Again."""
    number = parcel.queue.number
    known = [resolved.get((number, hashes[0])) for hashes in parcel.hashes]
    if not any(known):
        return
    if any(first is not None and first.members != len(known) for first in known):
        raise Again({place: _other_batch()})
    own = [(number, digest) for hashes in parcel.hashes for digest in hashes[1:]]
    if not all(known) or any(key not in resolved for key in own):
        # The batch's time ran out as it was looked at; or the ids of its members mean nothing, since it is a repeat.
        parcel.hashes = [hashes[:1] for hashes in parcel.hashes]
        raise Again


def _other_batch() -> Conflict:
    return Conflict(
        "This Idempotency-Key was used for a batch of another number of messages. Use a new key for a new batch."
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
    """Store into queues that set max_length one after the other, into the others at once."""
    free = [parcel for parcel in parcels if parcel.queue.config.max_length is None]
    bounded = [parcel for parcel in parcels if parcel.queue.config.max_length is not None]
    stored = iter(await store(link, free) if free else [])
    counted = iter(await rooms.store_counted(link, bounded))
    return [next(stored if parcel.queue.config.max_length is None else counted) for parcel in parcels]


def _parcel(parcel: Unique, sents: list[Sent], new: list[int]) -> Parcel:
    """Return what is new of a parcel; a delay counts from the time that its repeats are told."""
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
    """Forget a batch of hashes whose time is over; return how many."""

    async def work(connection: AsyncConnection) -> int:
        await by_index(connection)
        result: CursorResult[Any] = await connection.exec_driver_sql(_EXPIRE, (BATCH,))
        return result.rowcount

    return await transaction(engine, work)
