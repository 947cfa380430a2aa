"""What admins do with the keys of their project."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy.exc import IntegrityError

from service.errors import Forbidden, NotFound, invalid
from service.model import Caller, Key, Scope
from service.store import keys
from service.store.store import Store
from service.store.transactions import transaction


async def create_key(
    store: Store,
    caller: Caller,
    secret_hash: bytes,
    *,
    name: str,
    scopes: Iterable[Scope],
    queues: tuple[str, ...],
    expires_at: datetime | None,
) -> Key:
    """Make a key for the caller's project, which opens no queue that the caller's own key does not.

    Raises Forbidden, InvalidRequest (already expired), NotFound (the project is gone).
    """
    if expires_at is not None and expires_at <= store.clock.now():
        raise invalid("/expires_at", "out_of_range", "The time is past already. Give one to come, or null.")
    # A star in the new pattern is matched by a star alone, so whatever it covers is covered.
    if not all(caller.covers(pattern) for pattern in queues):
        raise Forbidden(f"A key bound to {', '.join(caller.queues)} cannot make one for other queues. Use a wider key.")
    now = store.clock.now()
    key = Key(
        uuid4(), caller.project_id, name, frozenset(scopes), queues, expires_at, created_at=now, last_used_at=None
    )
    try:
        return await transaction(store.engine, lambda connection: keys.create(connection, key, secret_hash))
    except IntegrityError as error:
        raise NotFound("project", "The project is gone; it can have no keys.") from error


async def list_keys(store: Store, project_id: int, after: UUID | None, limit: int) -> tuple[list[Key], UUID | None]:
    """Return a page of keys by id, and the id after which the next page begins."""
    found = await transaction(store.engine, lambda connection: keys.listed(connection, project_id, after, limit + 1))
    return found[:limit], found[limit - 1].id if len(found) > limit else None


async def delete_key(store: Store, project_id: int, key_id: UUID | None) -> None:
    """Revoke a key. Raises NotFound."""
    if key_id is None or not await transaction(
        store.engine, lambda connection: keys.remove(connection, project_id, key_id)
    ):
        raise NotFound("key", "There is no such key in this project. GET /v1/keys lists those that are.")
