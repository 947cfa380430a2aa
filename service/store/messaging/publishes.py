"""Publishing: copies of a message for every queue whose filter it matches, all or none, in one transaction."""

from collections.abc import Sequence
from functools import partial

from msgspec import Struct

from service.errors import Problem
from service.message import Draft
from service.model import Queue
from service.store.database.connections import Link
from service.store.database.ready import Ready
from service.store.database.statements import STATEMENTS
from service.store.messaging import deduplication
from service.store.messaging.deduplication import Again, Plan, SentOnce, Unique
from service.store.messaging.receipts import Announce
from service.store.messaging.sends import Parcel, StaleQueue, weigh

_CURRENT = STATEMENTS["publishes.current"]


class Copies(Struct):
    """The copies that one queue gets of a publish; `positions`: which of its messages they are copies of."""

    queue: Queue
    positions: list[int]
    drafts: list[Draft]


class Publish(Struct):
    """The messages of one request with the hashes that identify them in the topic, and the copies to store."""

    messages: Unique
    copies: list[Copies]


class Published(Struct):
    """The outcome of one message, with the number of queues that got a copy: 0 for a duplicate."""

    sent: SentOnce
    delivered_to: int


async def publish(link: Link, announce: Announce, items: Sequence[Publish]) -> list[list[Published] | Problem]:
    """Store the publishes, all or nothing of each. If some are refused, the others are done again without them."""
    outcomes: dict[int, list[Published] | Problem] = {}
    while waiting := {place: item for place, item in enumerate(items) if place not in outcomes}:
        try:
            done, ready = await link.atomically(partial(_within, link, waiting))
        except Again as again:
            outcomes |= again.problems
        else:
            outcomes |= done
            announce(ready)
    return [outcomes[place] for place in range(len(items))]


def weight(item: Publish) -> int:
    """Return what a publish adds to a statement, in bytes."""
    return sum(weigh(Parcel(copies.queue, copies.drafts)) for copies in item.copies)


async def _within(link: Link, items: dict[int, Publish]) -> tuple[dict[int, list[Published]], Ready]:
    messages = {place: item.messages for place, item in items.items()}
    taken = await deduplication.take(link, messages)
    await _see_current(link, messages)
    parcels = [(place, copies) for place, item in items.items() for copies in item.copies]
    await deduplication.lock_lengths(link, [Parcel(copies.queue, copies.drafts) for _, copies in parcels])
    plan = await deduplication.planned(link, messages, taken)
    new = {place: set(positions) for place, positions in plan.new.items()}
    return await _store(link, plan, [(place, _new(copies, new[place])) for place, copies in parcels])


async def _see_current(link: Link, messages: dict[int, Unique]) -> None:
    """Raise Again with the publishes whose topic has changed since it was looked up."""
    topics = [parcel.queue for parcel in messages.values()]
    rows = await link.fetch(_CURRENT, [topic.number for topic in topics], [topic.version for topic in topics])
    current = {row["ord"] for row in rows}
    stale = {place: StaleQueue() for order, place in enumerate(messages, 1) if order not in current}
    if stale:
        raise Again(stale)


def _new(copies: Copies, positions: set[int]) -> Copies:
    """Return the copies of these messages only."""
    kept = [place for place, position in enumerate(copies.positions) if position in positions]
    if len(kept) == len(copies.positions):
        return copies
    return Copies(copies.queue, [copies.positions[place] for place in kept], [copies.drafts[place] for place in kept])


async def _store(link: Link, plan: Plan, parcels: list[tuple[int, Copies]]) -> tuple[dict[int, list[Published]], Ready]:
    parcels = [(place, copies) for place, copies in parcels if copies.drafts]
    ready = Ready()
    published = {place: [Published(sent, 0) for sent in sents] for place, sents in plan.outcomes.items()}
    stored = await deduplication.store_all(link, [Parcel(copies.queue, copies.drafts) for _, copies in parcels])
    problems: dict[int, Problem] = {}
    for (place, copies), outcome in zip(parcels, stored, strict=True):
        if isinstance(outcome, Problem):
            problems[place] = outcome
            continue
        ready.add(copies.queue.id, min(outcome))
        for position in copies.positions:
            published[place][position].delivered_to += 1
    if problems:
        raise Again(problems)
    return published, ready
