"""Who is calling. Answered from memory while that is safe, from the database otherwise.

While an entry is used the database confirms it at least every two seconds, ahead of time and in the background, so
that no request waits for it. Should the database be away, an entry serves until it is five seconds old and not longer:
a revoked key stops everywhere within that time.
"""

import asyncio
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from hmac import compare_digest
from uuid import UUID

import structlog

from service.auth.keys import hash_of, is_secret
from service.errors import Forbidden, NotFound, Problem, Unauthenticated, Unavailable
from service.model import UNLIMITED, Caller, Project, ProjectLimits, Scope, is_name
from service.store import keys, projects
from service.store.keys import FoundKey
from service.store.store import Store
from service.store.transactions import T, Work, transaction
from service.store.wakeups import TRUSTED_SECONDS

_log = structlog.get_logger()

RENEW_SECONDS = 1.0
CONFIRM_SECONDS = TRUSTED_SECONDS
SERVE_SECONDS = 5.0
# How long the database is waited for where an entry could serve: what the request does next may have to wait as well.
PATIENCE_SECONDS = 1.0
REMEMBERED = 10_000
DEFAULT_PROJECT = "default"

_EVERYTHING = frozenset(Scope)
_Asked = tuple[bytes, bytes | None]


@dataclass(slots=True)
class _Entry:
    """A caller that was let in; the root key has no secret_hash here. Times are of time.monotonic()."""

    caller: Caller
    secret_hash: bytes
    asked_at: float
    expires_at: float
    used_at: float
    written_at: float = 0.0

    def serves(self, now: float, seconds: float) -> bool:
        return now < self.asked_at + seconds and now < self.expires_at


class Keyring:
    """The keys that this process has seen lately, by the hash of what was presented and the project header."""

    def __init__(self, store: Store, root_key: str) -> None:
        self._store = store
        self._root_hash = hash_of(root_key.encode("ascii"))
        self._entries: dict[_Asked, _Entry] = {}
        self._asking: dict[_Asked, asyncio.Task[Caller]] = {}
        self._renewing: asyncio.Task[None] | None = None
        self._used: dict[UUID, float] = {}
        self._forgot_at = 0.0
        store.wakeups.project_changed = self.forget_project

    def known(self, authorization: bytes | None, project: bytes | None) -> Caller | None:
        """Return who presents this, if that can be told without asking; else ask `caller`."""
        if authorization is None:
            return None
        entry = self._entries.get((sha256(authorization).digest(), project))
        if entry is None:
            return None
        now = time.monotonic()
        if now >= entry.expires_at or now >= entry.asked_at + CONFIRM_SECONDS:
            return None
        entry.used_at = now
        if now >= entry.asked_at + RENEW_SECONDS and self._renewing is None:
            self._renewing = asyncio.get_running_loop().create_task(self._renew(), name="keyring")
        return entry.caller

    async def caller(self, authorization: bytes | None, project: bytes | None, *, fresh: bool = False) -> Caller:
        """Return who presents this, by asking the database; the root key acts in the project that it names.

        `fresh` also has the root key's project looked up again, in case it was deleted and made anew.

        Raises:
            Unauthenticated: no key, or one that is malformed, unknown, revoked or expired.
            Forbidden: a project's key together with the name of another project.
            NotFound: the root key with the name of a project that does not exist.
            Unavailable: the database is away and what is remembered is too old.
        """
        known = self.known(authorization, project)
        if known is not None and not (fresh and known.is_operator):
            return known
        presented = _presented(authorization)
        asked = (sha256(authorization or b"").digest(), project)
        if self.is_root(authorization):
            return await self._admit(asked, self._operator_in(project))
        if not is_secret(presented):
            raise Unauthenticated
        task = self._asking.get(asked)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._admit(asked, self._holder_of(presented, project)))
            self._asking[asked] = task
            task.add_done_callback(lambda _task: self._asking.pop(asked, None))
        return await asyncio.shield(task)

    def is_root(self, authorization: bytes | None) -> bool:
        """Tell whether this is the root key. Raises Unauthenticated when it is no key at all."""
        return compare_digest(hash_of(_presented(authorization)), self._root_hash)

    def forget(self) -> None:
        """Trust nothing that was remembered: a key was revoked or a project deleted through this process."""
        for asked in list(self._entries):
            self._drop(asked)

    def forget_project(self, project_id: int) -> None:
        """Trust nothing that was remembered of a project, or is being found out: its limits were changed."""
        self._forgot_at = time.monotonic()
        self._store.usage.forget(project_id)
        for asked, entry in list(self._entries.items()):
            if entry.caller.project_id == project_id:
                self._drop(asked)

    def take_used(self) -> dict[UUID, datetime]:
        """Return when keys were last used, those used since this was last called."""
        for entry in self._entries.values():
            self._note_use(entry)
        used, self._used = self._used, {}
        now, local = self._store.clock.now(), time.monotonic()
        return {key: now - timedelta(seconds=local - at) for key, at in used.items()}

    async def _admit(self, asked: _Asked, found: Coroutine[None, None, _Entry]) -> Caller:
        """Remember who was found. While the database is away, who was let in a moment ago is let in again."""
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
            raise NotFound("project", "There is no project of the name that Restante-Project gives. Create it first.")
        return _Entry(_operator(project), b"", asked_at, float("inf"), asked_at)

    async def _holder_of(self, secret: bytes, named: bytes | None) -> _Entry:
        asked_at, secret_hash = time.monotonic(), hash_of(secret)
        found = (await self._transaction(lambda connection: keys.find(connection, [secret_hash]))).get(secret_hash)
        if found is None or not compare_digest(found.secret_hash, secret_hash) or found.expired:
            raise Unauthenticated
        if named is not None and named != found.project_name.encode("ascii"):
            raise Forbidden("The key belongs to another project than Restante-Project names. Leave the header out.")
        return _Entry(_holder(found), secret_hash, asked_at, asked_at + found.seconds_left, asked_at)

    async def _renew(self) -> None:
        """Confirm, with one statement for all, what is in use and no longer fresh."""
        try:
            asked_at = time.monotonic()
            due = {
                asked: entry
                for asked, entry in self._entries.items()
                if asked_at >= entry.asked_at + RENEW_SECONDS and entry.used_at > entry.asked_at
            }
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
            _log.warning("keys_unconfirmed")
        finally:
            self._renewing = None

    def _confirm(self, asked: _Asked, entry: _Entry, asked_at: float, found: FoundKey | None) -> None:
        if found is None or found.expired:
            self._drop(asked)
        else:
            entry.caller, entry.asked_at, entry.expires_at = _holder(found), asked_at, asked_at + found.seconds_left

    def _confirm_operator(self, asked: _Asked, entry: _Entry, asked_at: float, project: Project | None) -> None:
        if project is None or project.id != entry.caller.project_id:
            self._drop(asked)
        else:
            entry.caller, entry.asked_at = _operator(project), asked_at

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


def _presented(authorization: bytes | None) -> bytes:
    """Return what stands after `Bearer`."""
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
