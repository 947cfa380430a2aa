"""Publishing: a copy of each message for every queue that is subscribed to the topic with a filter that matches."""

import json
from collections.abc import Sequence

from msgspec import structs

from service.domain.deduplication import unique
from service.domain.sends import Pointer, fit, pointers, refuse_priorities, tries
from service.errors import InvalidRequest, NotFound, PayloadTooLarge, QueueFull, Unavailable
from service.filters import Subject
from service.message import Draft
from service.model import Queue, Topic
from service.store.messaging.publishes import Copies, Publish, Published
from service.store.messaging.routes import Route, RouteTarget
from service.store.messaging.sends import StaleQueue
from service.store.store import Store


async def publish(
    store: Store, project_id: int, name: str, drafts: list[Draft], *, batch: bool = False, key: str | None = None
) -> list[Published]:
    """Store a copy of each message in each queue whose filter it matches, all or none; return the outcome of each.

    `batch` and `key`: as in a send. Messages that were published before are not stored again. Raises NotFound,
    InvalidRequest, PayloadTooLarge, QueueFull, QuotaExceeded, Conflict, Unavailable.
    """
    for draft in drafts:
        draft.id = store.identifiers.message()
    for attempt in tries():
        known = None if attempt else store.routes.known(project_id, name)
        route = known or await store.routes.find(project_id, name)
        try:
            return await store.publish(
                await _worked_out(store, route, drafts, pointers(batch=batch), key, fresh=attempt > 0)
            )
        except StaleQueue:
            continue
        except (InvalidRequest, PayloadTooLarge, QueueFull):
            # The cached topic or queue may be out of date, so only a second refusal counts.
            if attempt:
                raise
    raise Unavailable


async def _worked_out(
    store: Store, route: Route, drafts: list[Draft], pointer: Pointer, key: str | None, *, fresh: bool
) -> Publish:
    """Return the copies to store in each queue. Raises StaleQueue and what `fit` raises."""
    topic = route.topic
    if topic.config.type == "fifo":
        refuse_priorities(drafts, pointer)
    origins = [_origin(topic, draft) for draft in drafts]
    copies = []
    for target, positions in _by_target(route, drafts):
        queue = await _queue(store, topic, target, fresh=fresh)
        copied = [_copy(store, drafts[position], origins[position]) for position in positions]
        queue = await fit(store, queue, copied, _at(pointer, positions))
        copies.append(Copies(queue, positions, copied))
    return Publish(unique(topic.ledger, drafts, key), copies)


def _at(pointer: Pointer, positions: list[int]) -> Pointer:
    return lambda place: pointer(positions[place])


def _by_target(route: Route, drafts: Sequence[Draft]) -> list[tuple[RouteTarget, list[int]]]:
    """Return the queues that get any of the messages, each with the positions of those messages."""
    wanted: dict[int, list[int]] = {}
    for position, draft in enumerate(drafts):
        for place in route.router.matching(Subject(draft)):
            wanted.setdefault(place, []).append(position)
    return [(route.targets[place], positions) for place, positions in sorted(wanted.items())]


def _origin(topic: Topic, draft: Draft) -> str:
    return json.dumps({"topic": topic.name, "id": str(draft.id)}, separators=(",", ":"))


def _copy(store: Store, draft: Draft, origin: str) -> Draft:
    return structs.replace(draft, id=store.identifiers.message(), published=origin, deduplication_id=None)


async def _queue(store: Store, topic: Topic, target: RouteTarget, *, fresh: bool) -> Queue:
    """Return a subscribed queue. Raises StaleQueue if it was deleted, and the subscription with it."""
    known = None if fresh else store.directory.known(topic.project_id, target.queue)
    try:
        queue = known or await store.directory.find(topic.project_id, target.queue)
    except NotFound:
        raise StaleQueue from None
    if queue.id != target.queue_id:
        raise StaleQueue
    return queue
