"""Authentication of API keys, from memory while that is safe, otherwise from the database.

Entries in use are confirmed in the background at least every two seconds, so that requests do not wait for it. If the
database is unreachable, an entry is valid until it is five seconds old, so a revoked key is refused everywhere within
that time.
"""

import asyncio
import time
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256
from hmac import compare_digest
from uuid import UUID

from service.auth.admission import Admission
from service.auth.keys import hash_of, is_secret
from service.errors import Forbidden, NotFound, Problem, Unauthenticated, Unavailable
from service.log import Seldom
from service.model import UNLIMITED, Caller, Project, ProjectLimits, Scope, is_name
from service.store.database.transaction import T, Work, transaction
from service.store.database.wakeups import TRUSTED_SECONDS
from service.store.resources import keys, projects
from service.store.resources.keys import FoundKey
from service.store.store import Store

_unconfirmed = Seldom("keys_unconfirmed")

RENEW_SECONDS = 1.0
CONFIRM_SECONDS = TRUSTED_SECONDS
SERVE_SECONDS = 5.0
# How long a request waits for the database before it uses an older entry.
PATIENCE_SECONDS = 1.0
REMEMBERED = 10_000
DEFAULT_PROJECT = "default"

_EVERYTHING = frozenset(Scope)
_LONG_AGO = float("-inf")
_Asked = tuple[bytes, bytes | None]


@dataclass(slots=True)
class _Entry:
    """An authenticated caller. `secret_hash` is empty for the root key. Times are from time.monotonic()."""

    caller: Caller
    secret_hash: bytes
    asked_at: float
    expires_at: float
    used_at: float
    written_at: float = 0.0

    def serves(self, now: float, seconds: float) -> bool:
        return now < self.asked_at + seconds and now < self.expires_at


class Keyring:
    """The recently used keys of this process, by the hash of the Authorization header and the project header."""

    def __init__(self, store: Store, root_key: str) -> None:
        self._store = store
        self._root_hash = hash_of(root_key.encode("ascii"))
        self._entries: dict[_Asked, _Entry] = {}
        self._asking: dict[_Asked, asyncio.Task[Caller]] = {}
        self._renewing: asyncio.Task[None] | None = None
        # The admissions of waiting receives and streams, with the entry that each was authenticated by.
        self._admissions: dict[_Asked, dict[Admission, _Entry]] = {}
        self._ticks: asyncio.TimerHandle | None = None
        self._used: dict[UUID, float] = {}
        self._forgot_at = 0.0
        store.wakeups.project_changed = self.forget_project

    def known(self, authorization: bytes | None, project: bytes | None) -> Caller | None:
        """Return the caller from memory, or None if the database must be asked (`caller`)."""
        if authorization is None:
            return None
        entry = self._entries.get((sha256(authorization).digest(), project))
        if entry is None:
            return None
        now = time.monotonic()
        if now >= entry.expires_at or now >= entry.asked_at + CONFIRM_SECONDS:
            return None
        entry.used_at = now
        if now >= entry.asked_at + RENEW_SECONDS:
            self._begin_to_renew()
        return entry.caller

    async def caller(self, authorization: bytes | None, project: bytes | None, *, fresh: bool = False) -> Caller:
        """Authenticate a caller, by asking the database if needed. The root key acts in the project that it names.

        `fresh`: look up the root key's project again, because it may have been deleted and recreated.

        Raises:
            Unauthenticated: There is no key, or it is malformed, unknown, revoked or expired.
            Forbidden: The key belongs to another project than the named one.
            NotFound: The root key names a project that does not exist.
            Unavailable: The database is unreachable and the entry in memory is too old.
        """
        known = self.known(authorization, project)
        if known is not None and not (fresh and known.is_operator):
            return known
        presented = _presented(authorization)
        asked = (sha256(authorization or b"").digest(), project)
        is_root = self.is_root(authorization)
        if not is_root and not is_secret(presented):
            raise Unauthenticated
        task = self._asking.get(asked)
        if task is None or fresh:
            found = self._operator_in(project) if is_root else self._holder_of(presented, project)
            task = asyncio.get_running_loop().create_task(self._admit(asked, found))
            self._asking[asked] = task
            task.add_done_callback(lambda _task: self._asking.pop(asked, None))
        return await asyncio.shield(task)

    async def caller_now(self, authorization: bytes | None, project: bytes | None) -> Caller:
        """Authenticate a caller, from memory if its entry is recent enough. Raises the same as `caller`."""
        return self.known(authorization, project) or await self.caller(authorization, project)

    def admit(self, authorization: bytes | None, project: bytes | None, caller: Caller) -> Admission:
        """Return an admission for an authenticated caller that waits. The admission ends with its `with` block."""
        asked = (sha256(authorization or b"").digest(), project)
        admission = Admission(caller, partial(self.caller_now, authorization, project), partial(self._dismiss, asked))
        entry = self._entries.get(asked)
        if entry is None:
            # The entry was dropped a moment ago; the next tick checks the key.
            secret_hash = b"" if caller.is_operator else hash_of(_presented(authorization))
            entry = _Entry(caller, secret_hash, _LONG_AGO, float("inf"), _LONG_AGO)
        self._admissions.setdefault(asked, {})[admission] = entry
        if self._ticks is None:
            self._ticks = asyncio.get_running_loop().call_later(RENEW_SECONDS, self._tick)
        return admission

    def _dismiss(self, asked: _Asked, admission: Admission) -> None:
        held = self._admissions.get(asked)
        if held is not None and held.pop(admission, None) is not None and not held:
            del self._admissions[asked]

    def _tick(self) -> None:
        """Check the keys of all admissions, every second while there are any."""
        self._ticks = None
        if self._admissions:
            self._ticks = asyncio.get_running_loop().call_later(RENEW_SECONDS, self._tick)
            self._begin_to_renew()

    def is_root(self, authorization: bytes | None) -> bool:
        """Return whether this is the root key. Raises Unauthenticated if the header is missing or malformed."""
        return compare_digest(hash_of(_presented(authorization)), self._root_hash)

    def forget(self) -> None:
        """Drop all entries, after this process has revoked a key or deleted a project."""
        for asked in list(self._entries):
            self._drop(asked)

    def forget_project(self, project_id: int) -> None:
        """Drop a project's entries, including those being looked up, because its limits were changed."""
        self._forgot_at = time.monotonic()
        self._store.usage.forget(project_id)
        for asked, entry in list(self._entries.items()):
            if entry.caller.project_id == project_id:
                self._drop(asked)

    def take_used(self) -> dict[UUID, datetime]:
        """Return the time of last use of every key that was used since the previous call."""
        for entry in self._entries.values():
            self._note_use(entry)
        used, self._used = self._used, {}
        now, local = self._store.clock.now(), time.monotonic()
        return {key: now - timedelta(seconds=local - at) for key, at in used.items()}

    async def _admit(self, asked: _Asked, found: Coroutine[None, None, _Entry]) -> Caller:
        """Store the entry that is found. If the database is unreachable, use the old entry for up to SERVE_SECONDS."""
        old = self._entries.get(asked)
        may_serve = old is not None and old.serves(time.monotonic() + PATIENCE_SECONDS, SERVE_SECONDS)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS if may_serve else None):
                entry = await found
        except (Unavailable, TimeoutError) as error:
            if old is None or not old.serves(time.monotonic(), SERVE_SECONDS):
                raise Unavailable from error
            return old.caller
        except Problem:
            self._drop(asked)
            raise
        self._drop(asked)
        if len(self._entries) >= REMEMBERED:
            self._drop(next(iter(self._entries)))
        if entry.asked_at > self._forgot_at:
            self._entries[asked] = entry
        return entry.caller

    async def _operator_in(self, named: bytes | None) -> _Entry:
        asked_at = time.monotonic()
        name = DEFAULT_PROJECT if named is None else named.decode("latin-1")
        project = await self._transaction(lambda connection: projects.find(connection, name)) if is_name(name) else None
        if project is None and name == DEFAULT_PROJECT:
            project = await self._transaction(lambda connection: projects.ensure(connection, name))
        if project is None:
            raise _no_project()
        return _Entry(_operator(project), b"", asked_at, float("inf"), asked_at)

    async def _holder_of(self, secret: bytes, named: bytes | None) -> _Entry:
        asked_at, secret_hash = time.monotonic(), hash_of(secret)
        found = (await self._transaction(lambda connection: keys.find(connection, [secret_hash]))).get(secret_hash)
        if found is None or not compare_digest(found.secret_hash, secret_hash) or found.expired:
            raise Unauthenticated
        if named is not None and named != found.project_name.encode("ascii"):
            raise Forbidden("The key does not belong to the project named in Restante-Project. Omit the header.")
        return _Entry(_holder(found), secret_hash, asked_at, asked_at + found.seconds_left, asked_at)

    def _begin_to_renew(self) -> None:
        if self._renewing is None:
            self._renewing = asyncio.get_running_loop().create_task(self._renew(), name="keyring")

    def _due(self, now: float) -> dict[_Asked, _Entry]:
        """Return the entries that are in use, or that admissions depend on, and need to be confirmed."""
        for asked, held in self._admissions.items():
            if asked not in self._entries:
                # The entry was dropped; it becomes valid again only if the database confirms it.
                self._entries[asked] = replace(next(iter(held.values())), asked_at=_LONG_AGO)
        return {
            asked: entry
            for asked, entry in self._entries.items()
            if now >= entry.asked_at + RENEW_SECONDS and (entry.used_at > entry.asked_at or asked in self._admissions)
        }

    async def _renew(self) -> None:
        """Confirm all entries that need it, with one statement for keys and one for projects."""
        try:
            asked_at = time.monotonic()
            due = self._due(asked_at)
            hashes = {entry.secret_hash for entry in due.values() if entry.secret_hash}
            names = {entry.caller.project_name for entry in due.values() if not entry.secret_hash}
            found = await self._transaction(lambda connection: keys.find(connection, hashes))
            there = await self._transaction(lambda connection: projects.named(connection, names)) if names else {}
            for asked, entry in due.items():
                if entry.secret_hash:
                    self._confirm(asked, entry, asked_at, found.get(entry.secret_hash))
                else:
                    self._confirm_operator(asked, entry, asked_at, there.get(entry.caller.project_name))
        except Unavailable:
            _unconfirmed.tell("tries")
        finally:
            self._renewing = None

    def _confirm(self, asked: _Asked, entry: _Entry, asked_at: float, found: FoundKey | None) -> None:
        if found is None or found.expired:
            self._refuse(asked, Unauthenticated())
        else:
            entry.caller, entry.asked_at, entry.expires_at = _holder(found), asked_at, asked_at + found.seconds_left
            for admission in self._admissions.get(asked, ()):
                admission.check(entry.caller)

    def _confirm_operator(self, asked: _Asked, entry: _Entry, asked_at: float, project: Project | None) -> None:
        if project is None or project.id != entry.caller.project_id:
            self._refuse(asked, _no_project())
        else:
            entry.caller, entry.asked_at = _operator(project), asked_at

    def _refuse(self, asked: _Asked, problem: Problem) -> None:
        """Drop an entry and end its admissions."""
        self._drop(asked)
        for admission in list(self._admissions.get(asked, ())):
            admission.end(problem)

    def _drop(self, asked: _Asked) -> None:
        entry = self._entries.pop(asked, None)
        if entry is not None:
            self._note_use(entry)

    def _note_use(self, entry: _Entry) -> None:
        key = entry.caller.key
        if key is not None and entry.used_at > entry.written_at:
            self._used[key] = max(entry.used_at, self._used.get(key, 0.0))
            entry.written_at = entry.used_at

    async def _transaction(self, work: Work[T]) -> T:
        return await transaction(self._store.engine, work)


def _no_project() -> NotFound:
    return NotFound("project", "The project named in Restante-Project does not exist. Create it first.")


def _presented(authorization: bytes | None) -> bytes:
    """Return the key after `Bearer`. Raises Unauthenticated."""
    scheme, _, secret = (authorization or b"").partition(b" ")
    if scheme.lower() != b"bearer":
        raise Unauthenticated
    return secret.strip()


def _holder(found: FoundKey) -> Caller:
    key = found.key
    limits = _in_force(found.limits)
    return Caller(key.project_id, found.project_name, key.scopes, key.queues, key.expires_at, key.id, limits)


def _operator(project: Project) -> Caller:
    return Caller(project.id, project.name, _EVERYTHING, limits=_in_force(project.limits))


def _in_force(limits: ProjectLimits) -> ProjectLimits | None:
    return None if limits == UNLIMITED else limits
