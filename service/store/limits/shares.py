"""The limit on a project's waiting receives, over all processes.

Each process has a share of the project's limit, in a row that it renews. A share that was not renewed for five seconds
no longer counts, so a process that died leaves none behind. A process increases its share when more receives wait, as
far as the shares of the others allow, and reduces it a moment after they have ended.
"""

import asyncio
import secrets
import time
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from service.store.database.statements import STATEMENTS
from service.store.database.transaction import transaction

_LOCK = STATEMENTS["shares.lock"]
_SHARE = STATEMENTS["shares.share"]
_RENEW = STATEMENTS["shares.renew"]
_DROP = STATEMENTS["shares.drop"]

RENEW_SECONDS = 1.0
_REFUSED_SECONDS = 0.05
# A fiftieth of the limit is kept as a spare share, so that not every new receive has to ask the database.
_SPARE = 50
_MOST_SPARE = 100_000


@dataclass(slots=True)
class _Share:
    """This process's share of one project's limit. Times are by time.monotonic()."""

    limit: int
    receives: int = 0
    used: int = 0
    waiting: int = 0
    noted: int = 0
    renewed_at: float = 0.0
    refused_until: float = 0.0
    asking: asyncio.Task[None] | None = None

    @property
    def spare(self) -> int:
        """Return how many places to keep beyond those that are taken."""
        return min(self.limit // _SPARE, _MOST_SPARE)

    def enter(self) -> bool:
        """Take a place for one more waiting receive; return False if none is free."""
        if self.used >= min(self.receives, self.limit):
            return False
        self.used += 1
        return True


class Shares:
    """The shares of one process, by project."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._process = secrets.randbits(63)
        self._shares: dict[int, _Share] = {}

    async def enter(self, project_id: int, limit: int) -> bool:
        """Take a place for a waiting receive, to be given back with `leave`; return False if there is none."""
        share = self._shares.setdefault(project_id, _Share(limit))
        share.limit = limit
        if share.enter():
            return True
        share.waiting += 1
        try:
            while time.monotonic() >= share.refused_until:
                await asyncio.shield(share.asking or self._ask(project_id, share))
                if share.enter():
                    return True
        finally:
            share.waiting -= 1
        return False

    def leave(self, project_id: int) -> None:
        """Give a place back."""
        self._shares[project_id].used -= 1

    async def renew(self) -> None:
        """Reduce the shares to what is needed, and renew them."""
        now = time.monotonic()
        due: dict[int, int] = {}
        for project_id, share in list(self._shares.items()):
            share.receives = min(share.receives, share.used + share.spare)
            if share.receives != share.noted or (share.receives and now - share.renewed_at >= RENEW_SECONDS):
                due[project_id] = share.noted = share.receives
                share.renewed_at = now
            elif not (share.used or share.receives or share.asking or share.waiting):
                del self._shares[project_id]
        if due:
            await self._note(due)

    async def _note(self, shares: dict[int, int]) -> None:
        async def work(connection: AsyncConnection) -> None:
            await connection.exec_driver_sql(_RENEW, (self._process, list(shares), list(shares.values())))
            await connection.exec_driver_sql(_DROP)

        await transaction(self._engine, work)

    def _ask(self, project_id: int, share: _Share) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(self._grow(project_id, share), name="shares")
        share.asking = task
        # If no receive waits for it, a failure concerns none: retrieve the exception so that it is not logged.
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return task

    async def _grow(self, project_id: int, share: _Share) -> None:
        needed = share.used + share.waiting
        wanted = needed + share.spare

        async def work(connection: AsyncConnection) -> int:
            await connection.exec_driver_sql(_LOCK, (project_id,))
            asked = (project_id, self._process, wanted, share.limit, share.used)
            return (await connection.exec_driver_sql(_SHARE, asked)).scalar() or 0

        try:
            share.receives = share.noted = await transaction(self._engine, work)
            share.renewed_at = time.monotonic()
            if share.receives < needed:
                share.refused_until = share.renewed_at + _REFUSED_SECONDS
        finally:
            share.asking = None
