"""The limit on a project's requests per second, over all processes.

A bucket in the database holds at most a second's requests. Each process takes in advance what it is about to need, at
most a twentieth of a second's requests, and takes more before that is used up, so a request rarely waits for the
database. While the bucket is empty, requests are refused without asking until it must have filled again.
"""

import asyncio
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from service.errors import Problem, RateLimited, Unavailable
from service.store.database.connections import Link
from service.store.database.lane import Lane
from service.store.database.statements import STATEMENTS

_RESERVE = STATEMENTS["rates.reserve"]
_FILL = STATEMENTS["rates.fill"]

_SLICE_SECONDS = 0.05
# Requests that were taken and not used within this time are given up, as they may belong to another second's count.
_KEPT_SECONDS = 1.0
_REMEMBERED = 10_000


class _Wish(NamedTuple):
    project_id: int
    rate: int
    wanted: int


class _Grant(NamedTuple):
    granted: int
    rest: float


@dataclass(slots=True)
class _Allowance:
    """The requests that this process may still admit for one project. Times are by time.monotonic()."""

    rate: int
    held: int = 0
    held_until: float = 0.0
    # More is asked for when no more than this is left.
    low: int = -1
    # The rest that was left in the database's bucket.
    rest: float = 0.0
    refused_until: float = 0.0
    # Requests since the database was last asked, and requests that wait for its answer.
    seen: int = 0
    waiting: int = 0
    asking: asyncio.Task[None] | None = None

    def take(self, now: float) -> bool:
        """Use one of the requests that are held; return False if there is none."""
        if now >= self.held_until:
            self.held = 0
        if self.held == 0:
            return False
        self.held -= 1
        return True

    def wanted(self) -> int:
        """Return how many requests to ask for: those that wait, or as many as were needed recently."""
        return max(1, self.waiting, min(self.seen, int(self.rate * _SLICE_SECONDS)))

    def receive(self, wanted: int, grant: _Grant, now: float) -> None:
        """Add what the database has granted."""
        self.held = grant.granted + (self.held if now < self.held_until else 0)
        self.held_until = now + _KEPT_SECONDS
        self.low = grant.granted // 2 if grant.granted > 1 else -1
        self.rest = grant.rest
        self.seen = 0
        if grant.granted < wanted:
            self.refused_until = now + max(_SLICE_SECONDS, (1 - grant.rest % 1) / self.rate)

    @property
    def remaining(self) -> int:
        """Return how many more requests would be admitted now."""
        return min(self.rate, self.held + int(self.rest))


class Rates:
    """The requests that one process may admit for projects with a limit."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._allowances: dict[int, _Allowance] = {}
        self._lane: Lane[_Wish, _Grant] = Lane("limits", self._reserve)

    def open(self) -> None:
        """Start the lane."""
        self._lane.open()

    async def close(self) -> None:
        """Stop the lane."""
        await self._lane.close()

    def take(self, project_id: int, rate: int) -> int | None:
        """Admit a request; return how many more would be, or None if `wait` has to be asked. Raises RateLimited."""
        allowance = self._allowance(project_id, rate)
        now = time.monotonic()
        allowance.seen += 1
        if allowance.take(now):
            if allowance.held <= allowance.low and allowance.asking is None and now >= allowance.refused_until:
                self._ask(project_id, allowance)
            return allowance.remaining
        if now < allowance.refused_until:
            raise _refusal(allowance, now)
        return None

    async def wait(self, project_id: int, rate: int) -> int:
        """Ask the database, then admit a request as `take` does. Raises RateLimited, Unavailable."""
        allowance = self._allowance(project_id, rate)
        allowance.waiting += 1
        try:
            while True:
                await asyncio.shield(allowance.asking or self._ask(project_id, allowance))
                now = time.monotonic()
                if allowance.take(now):
                    return allowance.remaining
                if now < allowance.refused_until:
                    raise _refusal(allowance, now)
        finally:
            allowance.waiting -= 1

    def _allowance(self, project_id: int, rate: int) -> _Allowance:
        allowance = self._allowances.get(project_id)
        if allowance is None or allowance.rate != rate:
            self._allowances.pop(project_id, None)
            if len(self._allowances) >= _REMEMBERED:
                del self._allowances[next(iter(self._allowances))]
            allowance = self._allowances[project_id] = _Allowance(rate)
        return allowance

    def _ask(self, project_id: int, allowance: _Allowance) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(self._fetch(project_id, allowance), name="rates")
        allowance.asking = task
        # If no request waits for it, a failure concerns none: retrieve the exception so that it is not logged.
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return task

    async def _fetch(self, project_id: int, allowance: _Allowance) -> None:
        wanted = allowance.wanted()
        try:
            grant = await self._lane.submit(_Wish(project_id, allowance.rate, wanted))
            allowance.receive(wanted, grant, time.monotonic())
        finally:
            allowance.asking = None

    async def _reserve(self, wishes: Sequence[_Wish]) -> list[_Grant | Problem]:
        grants = await self._take_out(wishes)
        # Projects without a bucket, because no request of theirs was counted in this minute.
        if missing := [wish for wish in wishes if wish.project_id not in grants]:
            await self._link.fetch(_FILL, [wish.project_id for wish in missing], [float(wish.rate) for wish in missing])
            grants |= await self._take_out(missing)
        # A project without a bucket even now was deleted.
        return [grants.get(wish.project_id) or Unavailable() for wish in wishes]

    async def _take_out(self, wishes: Sequence[_Wish]) -> dict[int, _Grant]:
        ordered = sorted({wish.project_id: wish for wish in wishes}.values())
        rows = await self._link.fetch(
            _RESERVE,
            [wish.project_id for wish in ordered],
            [float(wish.rate) for wish in ordered],
            [float(wish.wanted) for wish in ordered],
        )
        return {ordered[row["ord"] - 1].project_id: _Grant(row["granted"], row["rest"]) for row in rows}


def _refusal(allowance: _Allowance, now: float) -> RateLimited:
    return RateLimited(allowance.rate, max(1, math.ceil(allowance.refused_until - now)))
