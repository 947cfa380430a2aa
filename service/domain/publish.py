"""Publishing: one message or many to a topic, a copy in every subscribed queue whose filter it matches."""

import json
from collections.abc import Sequence

from msgspec import structs

from service.domain.once import unique
from service.domain.send import TRIES, Pointer, fit, pointers, refuse_priorities
from service.errors import InvalidRequest, NotFound, PayloadTooLarge, QueueFull, Unavailable
from service.filters import Subject
from service.model import Draft, Queue, Topic
from service.store.publishes import Copies, Publish, Published
from service.store.routes import Route, Target
from service.store.sends import StaleQueue
from service.store.store import Store


async def publish(
    store: Store, project_id: int, name: str, drafts: list[Draft], *, batch: bool = False, key: str | None = None
) -> list[Published]:
    """Store a copy of each message in each queue that wants it, all or none; return what became of each.

    `batch` and `key`: as in a send. What was published before is stored nowhere. Raises NotFound,
    InvalidRequest, PayloadTooLarge, QueueFull, QuotaExceeded, Conflict, Unavailable.
    """
    for draft in drafts:
        draft.id = store.identifiers.message()
    for attempt in range(TRIES):
        known = None if attempt else store.routes.known(project_id, name)
        route = known or await store.routes.find(project_id, name)
        try:
            return await store.publish(
                await _worked_out(store, route, drafts, pointers(batch=batch), key, fresh=attempt > 0)
            )
        except StaleQueue:
            continue
        except (InvalidRequest, PayloadTooLarge, QueueFull):
            # By what we remember: another process may have changed it.
            if attempt:
                raise
    raise Unavailable


async def _worked_out(
    store: Store, route: Route, drafts: list[Draft], pointer: Pointer, key: str | None, *, fresh: bool
) -> Publish:
    """Return what is to be stored where. Raises StaleQueue."""
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


def _by_target(route: Route, drafts: Sequence[Draft]) -> list[tuple[Target, list[int]]]:
    """Return the queues that want something, each with where that stands among the messages."""
    wanted: dict[int, list[int]] = {}
    for position, draft in enumerate(drafts):
        for place in route.router.matching(Subject(draft)):
            wanted.setdefault(place, []).append(position)
    return [(route.targets[place], positions) for place, positions in sorted(wanted.items())]


def _origin(topic: Topic, draft: Draft) -> str:
    return json.dumps({"topic": topic.name, "id": str(draft.id)}, separators=(",", ":"))


def _copy(store: Store, draft: Draft, origin: str) -> Draft:
    return structs.replace(draft, id=store.identifiers.message(), published=origin, deduplication_id=None)


async def _queue(store: Store, topic: Topic, target: Target, *, fresh: bool) -> Queue:
    """Return a subscribed queue. Raises StaleQueue: it is gone, and its subscription with it."""
    known = None if fresh else store.directory.known(topic.project_id, target.queue)
    try:
        queue = known or await store.directory.find(topic.project_id, target.queue)
    except NotFound:
        raise StaleQueue from None
    if queue.id != target.queue_id:
        raise StaleQueue
    return queue
