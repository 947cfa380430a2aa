"""How many receives of a project wait at most, over all processes.

Each process has a share of what the project may have, in a row that it renews; a share that is not renewed for five
seconds is worth nothing, so a process that died leaves none behind. It is made larger when more wait here, seeing what
the others have, and smaller a moment after they have gone.
"""

import asyncio
import secrets
import time
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from service.store.statements import STATEMENTS
from service.store.transactions import transaction

_LOCK = STATEMENTS["limits.lock_shares"]
_SHARE = STATEMENTS["limits.share"]
_RENEW = STATEMENTS["limits.renew_shares"]
_DROP = STATEMENTS["limits.drop_shares"]

RENEW_SECONDS = 1.0
_REFUSED_SECONDS = 0.05
# A fiftieth of the limit is kept in hand when fewer wait, so that not everybody who comes has to ask.
_SPARE = 50
_MOST_SPARE = 100_000


@dataclass(slots=True)
class _Share:
    """This process' part of one project's limit. Times are of time.monotonic()."""

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
        """Return how many places are kept beyond those that are taken; no process needs more."""
        return min(self.limit // _SPARE, _MOST_SPARE)

    def enter(self) -> bool:
        """Let one more wait, if it has a place."""
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
        """Take a place among those who wait, to be given back with `leave`; False: there is none."""
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
        """Give up what is no longer needed, and say of the rest that it is."""
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
        # Nobody need wait for it; then nobody need know that it failed.
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
