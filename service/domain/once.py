"""What a message is known by, so that sending it again stores nothing."""

from datetime import datetime
from hashlib import sha256

from service.model import Draft, Queue
from service.store.deduplication import Unique
from service.store.store import Store


def is_asked_for(drafts: list[Draft], key: str | None) -> bool:
    """Tell whether the sender wants this stored once only."""
    return key is not None or any([draft.deduplication_id is not None for draft in drafts])  # noqa: C419 - twice as fast


async def send_once(store: Store, queue: Queue, drafts: list[Draft], key: str | None) -> list[datetime]:
    """Store what was not sent before, under `key` as a batch; drafts that were get the id of the first one.

    Raises StaleQueue, QueueFull, Conflict (a batch with this key was another one), Unavailable.
    """
    sents = await store.send_once(unique(queue, drafts, key))
    for draft, sent in zip(drafts, sents, strict=True):
        draft.id, draft.duplicate = sent.id, sent.duplicate
    return [sent.visible_at for sent in sents]


def unique(queue: Queue, drafts: list[Draft], key: str | None = None) -> Unique:
    """Return a parcel with what its messages are known by."""
    if not queue.config.deduplication_window:
        return Unique(queue, drafts, [()] * len(drafts))
    by_content = queue.config.deduplicate_by_content and key is None
    hashes = [_hashes(draft, position, key, by_content=by_content) for position, draft in enumerate(drafts)]
    return Unique(queue, drafts, hashes, keyed=key is not None)


def _hashes(draft: Draft, position: int, key: str | None, *, by_content: bool) -> tuple[bytes, ...]:
    """Return the hashes of a message: its place in a batch with a key, its own. The first letter keeps them apart."""
    own = draft.deduplication_id
    place = () if key is None else (sha256(b"b%d %b" % (position, key.encode())).digest(),)
    if own is not None:
        return (*place, sha256(b"i" + own.encode()).digest())
    if by_content:
        kind = draft.content_type or "application/json"
        return (sha256(b"c" + sha256(draft.body).digest() + kind.encode()).digest(),)
    return place
