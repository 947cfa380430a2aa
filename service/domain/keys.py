"""Keys of a project, as managed with a key that has the scope `admin` or `grant`."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from service.errors import Forbidden, NotFound, invalid
from service.model import Caller, Key, Scope
from service.store.database.transaction import Connection
from service.store.resources import keys
from service.store.store import Store

MAX_GRANT = timedelta(hours=24)


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
    """Create a key for the caller's project. It can cover only queues that the caller's own key covers.

    Raises Forbidden, InvalidRequest (it would expire in the past, or too late for the scope `grant`), NotFound (no such
    project).
    """
    now = store.clock.now()
    if expires_at is not None and expires_at <= now:
        raise invalid("/expires_at", "out_of_range", "This time is in the past. Give a time in the future, or null.")
    if not caller.covers_all(queues):
        raise Forbidden(f"A key bound to {', '.join(caller.queues)} cannot create keys for others. Use a wider key.")
    if not caller.has_scope(Scope.ADMIN):
        _check_grant(caller, frozenset(scopes), expires_at, now)
    key = Key(
        uuid4(), caller.project_id, name, frozenset(scopes), queues, expires_at, created_at=now, last_used_at=None
    )
    return await store.transaction(lambda connection: keys.create(connection, key, secret_hash))


async def list_keys(store: Store, project_id: int, after: UUID | None, limit: int) -> tuple[list[Key], UUID | None]:
    """Return a page of keys by id, and the id after which the next page begins."""
    found = await store.transaction(lambda connection: keys.listed(connection, project_id, after, limit + 1))
    return found[:limit], found[limit - 1].id if len(found) > limit else None


async def delete_key(store: Store, caller: Caller, key_id: UUID | None) -> None:
    """Revoke a key; with the scope `grant`, only one that it could have created. Raises NotFound, Forbidden."""

    async def work(connection: Connection) -> bool:
        if not caller.has_scope(Scope.ADMIN) and key_id is not None:
            found = await keys.get(connection, caller.project_id, key_id)
            if found is not None and not _could_have_made(caller, found, store.clock.now()):
                raise Forbidden("The scope 'grant' can revoke only keys that it could have created. Use 'admin'.")
        return key_id is not None and await keys.remove(connection, caller.project_id, key_id)

    if not await store.transaction(work):
        raise NotFound("key", "There is no such key in this project. GET /v1/keys lists its keys.")


def _could_have_made(caller: Caller, key: Key, now: datetime) -> bool:
    return (
        key.scopes <= _grantable(caller)
        and caller.covers_all(key.queues)
        and key.expires_at is not None
        and key.expires_at <= _latest(caller, now)
    )


def _check_grant(caller: Caller, scopes: frozenset[Scope], expires_at: datetime | None, now: datetime) -> None:
    """Refuse a key that may do more than its granter, or lasts too long. Raises Forbidden, InvalidRequest."""
    if beyond := scopes - _grantable(caller):
        raise Forbidden(f"This key cannot grant {', '.join(sorted(beyond))}, only its own scopes except 'grant'.")
    latest = _latest(caller, now)
    if expires_at is None or expires_at > latest:
        detail = (
            "A key created with the scope 'grant' must expire within 24 hours, and no later than the key that creates "
            f"it: by {latest:%FT%TZ}."
        )
        raise invalid("/expires_at", "out_of_range", detail)


def _grantable(caller: Caller) -> frozenset[Scope]:
    """Return the scopes that a key may grant. With `grant` among them, keys could renew themselves for ever."""
    return caller.scopes - {Scope.GRANT}


def _latest(caller: Caller, now: datetime) -> datetime:
    return min(now + MAX_GRANT, caller.expires_at or now + MAX_GRANT)
