"""Deduplication: the hashes that identify a message, so that sending it again stores nothing."""

from datetime import datetime
from hashlib import sha256

from service.message import Draft
from service.model import Queue
from service.store.messaging.deduplication import Unique
from service.store.store import Store


def is_asked_for(drafts: list[Draft], key: str | None) -> bool:
    """Return whether the sender gave a deduplication id or a key."""
    return key is not None or any([draft.deduplication_id is not None for draft in drafts])  # noqa: C419 - twice as fast


async def send_once(store: Store, queue: Queue, drafts: list[Draft], key: str | None) -> list[datetime]:
    """Store the messages that were not sent before; the others become duplicates, with the first message's id.

    `key` identifies the drafts as a batch. Raises StaleQueue, QueueFull, Unavailable, and Conflict if the key was used
    for another batch.
    """
    sents = await store.send_once(unique(queue, drafts, key))
    for draft, sent in zip(drafts, sents, strict=True):
        draft.id, draft.duplicate = sent.id, sent.duplicate
    return [sent.visible_at for sent in sents]


def unique(queue: Queue, drafts: list[Draft], key: str | None = None) -> Unique:
    """Return a parcel with the hashes that identify its messages."""
    if not queue.config.deduplication_window:
        return Unique(queue, drafts, [()] * len(drafts))
    by_content = queue.config.deduplicate_by_content and key is None
    hashes = [_hashes(draft, position, key, by_content=by_content) for position, draft in enumerate(drafts)]
    return Unique(queue, drafts, hashes, keyed=key is not None)


def _hashes(draft: Draft, position: int, key: str | None, *, by_content: bool) -> tuple[bytes, ...]:
    """Return a message's hashes: of its place in a batch with a key, and of its own id; or else of its content.

    The first letter of what is hashed keeps the three kinds apart.
    """
    own = draft.deduplication_id
    place = () if key is None else (sha256(b"b%d %b" % (position, key.encode())).digest(),)
    if own is not None:
        return (*place, sha256(b"i" + own.encode()).digest())
    if by_content:
        kind = draft.content_type or "application/json"
        return (sha256(b"c" + sha256(draft.body).digest() + kind.encode()).digest(),)
    return place
