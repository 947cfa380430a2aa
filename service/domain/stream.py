"""Streams: messages handed to a connection as long as it has credit, held in slices while it lives.

What is handed out is leased as in a receive, for the queue's visibility timeout; in the database the lease ends after
half a minute at most and is renewed, so that a process that dies frees all that its connections held. The transport is
the caller's: it is given messages to write, says what the far end said, and how it left.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from service.domain.receive import receive
from service.domain.settle import Order, open_receipt
from service.errors import FieldError, InvalidRequest, QuotaExceeded, Unavailable
from service.model import MAX_RECEIVE, NOTHING, Action, Caller, Queue
from service.store.consumers import Via
from service.store.lines import Claimed
from service.store.receipts import receipt_not_found
from service.store.settles import Settle
from service.store.store import Store

MAX_CREDIT = 1000
# Messages that a connection holds: no more come until some are settled, or their leases have ended.
MAX_HELD = 10_000
# As many are settled at once: what others settle does not wait for the rest.
_PART = 1000
SLICE = timedelta(seconds=30)
_RENEW_SECONDS = 10.0
_WAIT_SECONDS = 60.0
_AWAY_SECONDS = 1.0
_RECLAIM_SECONDS = 1.0

# Writes one message; returns when the transport has taken it.
Hand = Callable[[Claimed, asyncpg.Record, datetime], Awaitable[None]]


@dataclass(slots=True, eq=False)
class _Held:
    """A message that was leased for the far end.

    `ends`: when its visibility timeout does, by the loop's time; None when somebody else has set that, by HTTP.
    `leased_until`: when its lease does in the database, as it was set here.
    """

    queue: Queue
    message_id: UUID
    lease: int
    ends: float | None
    leased_until: datetime
    written: bool = False

    @property
    def place(self) -> tuple[int, UUID, int]:
        """Return what names its lease in the database."""
        return self.queue.id, self.message_id, self.lease

    def renew(self, seconds: float) -> Settle:
        """Return what keeps it for so long, or for a slice, unless somebody else has said for how long."""
        until = min(timedelta(seconds=seconds), SLICE)
        return Settle(*self.place, Action.EXTEND, until, renewed=self.leased_until, fifo=self.queue.is_fifo)

    def release(self, *, counted: bool) -> Settle:
        """Return what gives it back; nobody can ask for that again."""
        return Settle(*self.place, Action.RELEASE, counted=counted, remember=False, fifo=self.queue.is_fifo)


class _FarEnd:
    """The far end as `receive` sees it."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()

    async def left(self) -> None:
        """Return when it has gone."""
        await self.gone.wait()

    def has_left(self) -> bool:
        """Tell whether it has gone."""
        return self.gone.is_set()


class Session:
    """One connection to one queue."""

    def __init__(self, store: Store, caller: Caller, queue: str, hand: Hand, *, via: Via, shared: bool = False) -> None:
        """`shared`: what is settled, here or elsewhere (`reclaim`), gives its credit back."""
        self._store = store
        self._caller = caller
        self._queue = queue
        self._hand = hand
        self._via = via
        self._far_end = _FarEnd()
        self._credit = 0
        # There is credit, or room for what it may bring.
        self._granted = asyncio.Event()
        self._held: dict[tuple[UUID, int], _Held] = {}
        self._shared = shared
        self._changed = asyncio.Event()

    def grant(self, messages: int) -> None:
        """Let so many messages more be handed out. Raises InvalidRequest."""
        if messages < 1 or self._credit + messages > MAX_CREDIT:
            detail = f"Must be 1 to {MAX_CREDIT} together with what is outstanding ({self._credit})."
            raise InvalidRequest([FieldError("/n", "out_of_range", detail)])
        self._credit += messages
        self._granted.set()

    async def run(self) -> None:
        """Hand out messages until the service stops. Raises NotFound when the queue goes, and what `receive` raises."""
        loop = asyncio.get_running_loop()
        while not (self._store.draining.is_set() or self._far_end.has_left()):
            self._granted.clear()
            if self._room <= 0:
                await self._granted.wait()
                continue
            began = loop.time()
            claimed = None
            # The database will be there again, or others will wait no longer.
            with contextlib.suppress(Unavailable, QuotaExceeded):
                claimed = await self._receive()
            if claimed is not None:
                await self._hand_out(claimed)
            elif loop.time() - began < _AWAY_SECONDS:
                # Where no more may wait there is an answer at once.
                await asyncio.sleep(_AWAY_SECONDS)

    @property
    def _room(self) -> int:
        """Return how many messages may come now."""
        return min(self._credit, MAX_HELD - len(self._held))

    async def _there(self) -> Queue:
        """Return the queue. Raises NotFound."""
        known = self._store.directory.known(self._caller.project_id, self._queue)
        return known or await self._store.directory.find(self._caller.project_id, self._queue)

    async def _receive(self) -> Claimed | None:
        queue = await self._there()
        return await receive(
            self._store,
            self._caller,
            self._queue,
            self._far_end,
            via=self._via,
            max_messages=min(self._room, MAX_RECEIVE),
            wait=_WAIT_SECONDS,
            visibility_timeout=min(queue.config.visibility_timeout, SLICE),
        )

    async def _hand_out(self, claimed: Claimed) -> None:
        timeout = claimed.queue.config.visibility_timeout
        ends = asyncio.get_running_loop().time() + timeout.total_seconds()
        held = [_Held(claimed.queue, row["id"], claimed.lease, ends, row["lease_expires_at"]) for row in claimed.rows]
        self._held |= {(one.message_id, one.lease): one for one in held}
        if self._shared:
            self._store.watched |= {(one.message_id, one.lease): self._changed for one in held}
        self._credit -= len(held)
        expires_at = self._store.clock.now() + timeout
        for one, row in zip(held, claimed.rows, strict=True):
            if self._far_end.has_left():
                # It was given back.
                return
            await self._hand(claimed, row, expires_at)
            one.written = True

    async def reclaim(self) -> None:
        """Take back the credit of what was settled elsewhere: at once through this process, soon through others."""
        while not self._far_end.has_left():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_RECLAIM_SECONDS):
                    await self._changed.wait()
            self._changed.clear()
            await self._let_go(list(self._held.values()))

    async def keep(self) -> None:
        """Prolong what is held, slice by slice, each message up to its visibility timeout."""
        while not self._far_end.has_left():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_RENEW_SECONDS):
                    await self._far_end.left()
            await self._renew()

    async def _renew(self) -> None:
        now = asyncio.get_running_loop().time()
        with contextlib.suppress(Unavailable):
            for part in _parts([one for one in self._held.values() if one.ends and one.ends > now]):
                await self._renew_part(part, now)
            await self._let_go([one for one in self._held.values() if one.ends is None or one.ends <= now])

    async def _renew_part(self, held: list[_Held], now: float) -> None:
        mine = [(one, one.renew(one.ends - now)) for one in held if one.ends]
        outcomes = await self._store.settle([renewal for _, renewal in mine])
        for (one, renewal), outcome in zip(mine, outcomes, strict=True):
            if one.leased_until != renewal.renewed:
                # Extended by the far end meanwhile.
                continue
            if isinstance(outcome, datetime):
                one.leased_until = outcome
            else:
                one.ends = None

    async def _let_go(self, held: list[_Held]) -> None:
        """Hold those no more whose lease has ended, or is somebody else's."""
        with contextlib.suppress(Unavailable):
            for part in _parts(held):
                there = await self._store.held([one.place for one in part])
                for number, one in enumerate(part):
                    if number not in there:
                        self._drop((one.message_id, one.lease))

    async def settle(self, order: Order) -> datetime | None:
        """Do what the far end wants with a message of this queue; return when it is visible again, if it is.

        Raises NotFound, LeaseLost, Forbidden, Unavailable.
        """
        wanted = await open_receipt(self._store, self._caller, order)
        held = self._held.get((wanted.message_id, wanted.lease))
        if held is None and wanted.queue_id != (await self._there()).id:
            raise receipt_not_found()
        if order.action is Action.EXTEND and held is not None:
            return await self._extend(wanted, held)
        visible_at = await self._store.settle_one(wanted)
        self._drop((wanted.message_id, wanted.lease))
        return visible_at

    def _drop(self, key: tuple[UUID, int]) -> None:
        """Hold a message no more."""
        if self._held.pop(key, None) is None:
            return
        self._granted.set()
        if self._shared:
            self._store.watched.pop(key, None)
            self.grant(1)

    async def _extend(self, wanted: Settle, held: _Held) -> datetime:
        """Let a message be held longer, or not as long."""
        timeout = wanted.until or NOTHING
        wanted.until = min(timeout, SLICE)
        held.leased_until = await self._store.settle_one(wanted) or held.leased_until
        held.ends = asyncio.get_running_loop().time() + timeout.total_seconds()
        return self._store.clock.now() + timeout

    async def end(self, *, counted: bool) -> None:
        """Give back what was not settled. `counted`: as a delivery, except what was not written yet."""
        self._far_end.gone.set()
        self._granted.set()
        for key in self._held:
            self._store.watched.pop(key, None)
        held, self._held = list(self._held.values()), {}
        for part in _parts(held):
            await self._store.settle([one.release(counted=counted and one.written) for one in part])


def _parts(held: list[_Held]) -> Iterator[list[_Held]]:
    for start in range(0, len(held), _PART):
        yield held[start : start + _PART]
