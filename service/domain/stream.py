"""Streams: messages sent to a connection as long as it has credit, with leases that are renewed while it lives.

A message is leased for the queue's visibility timeout, as in a receive. In the database, however, its lease ends after
half a minute at most and is renewed, so that the messages of a process that dies are soon free again. The transport
belongs to the caller: it writes the messages, and reports what the client says and how the connection ends.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from service.domain.receipts import ReceiptRequest, open_receipt
from service.domain.receives import ClientAdmission, receive
from service.errors import FieldError, InvalidRequest, QuotaExceeded, Unavailable
from service.message import Leased, Via
from service.model import MAX_RECEIVE, NOTHING, Action, Caller, Queue
from service.store.messaging.receipt_seal import receipt_not_found
from service.store.messaging.receipts import Settle
from service.store.messaging.waiting import Claimed
from service.store.store import Store

MAX_CREDIT = 1000
# Messages that a connection may hold. No more are sent until some are settled or their leases have ended.
MAX_HELD = 10_000
# Messages that are settled at once, so that settles of other callers do not wait for all of a connection's.
_PART = 1000
SLICE = timedelta(seconds=30)
_RENEW_SECONDS = 10.0
_WAIT_SECONDS = 60.0
_AWAY_SECONDS = 1.0

# Writes one message; returns when the transport has taken it.
Hand = Callable[[Claimed, Leased, datetime], Awaitable[None]]


@dataclass(slots=True, eq=False)
class _Held:
    """A message that is leased for the client.

    `ends`: when its visibility timeout ends, by the loop's clock; None if another request has changed the lease.
    `leased_until`: when its lease ends in the database, as this session has set it.
    """

    queue: Queue
    message_id: UUID
    lease: int
    ends: float | None
    leased_until: datetime
    written: bool = False

    @property
    def place(self) -> tuple[int, UUID, int]:
        """Return what identifies its lease in the database."""
        return self.queue.id, self.message_id, self.lease

    def renew(self, seconds: float) -> Settle:
        """Return what extends its lease by `seconds`, a slice at most, unless another request has changed it."""
        until = min(timedelta(seconds=seconds), SLICE)
        return Settle(*self.place, Action.EXTEND, until, renewed=self.leased_until, fifo=self.queue.is_fifo)

    def release(self, *, counted: bool) -> Settle:
        """Return what releases it. It need not be remembered, because the client cannot repeat it."""
        return Settle(*self.place, Action.RELEASE, counted=counted, remember=False, fifo=self.queue.is_fifo)


class _StreamClient:
    """The client of a stream as `receive` sees it."""

    def __init__(self, admission: ClientAdmission) -> None:
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._admission = admission

    def admitted(self) -> contextlib.AbstractContextManager[ClientAdmission]:
        """Return the connection's admission, which lasts as long as the connection."""
        return contextlib.nullcontext(self._admission)

    def has_left(self) -> bool:
        """Return whether the connection has ended."""
        return self.gone.done()

    @contextlib.contextmanager
    def leaving(self, leave: Callable[[], None]) -> Iterator[None]:
        """Call `leave` when the connection ends within the block."""

        def left(_gone: object) -> None:
            leave()

        self.gone.add_done_callback(left)
        try:
            yield
        finally:
            self.gone.remove_done_callback(left)

    def leave(self) -> None:
        """Record that the connection has ended."""
        if not self.gone.done():
            self.gone.set_result(None)


class Session:
    """One client's connection to one queue."""

    def __init__(
        self,
        store: Store,
        caller: Caller,
        admission: ClientAdmission,
        queue: str,
        hand: Hand,
        *,
        via: Via,
        shared: bool = False,
    ) -> None:
        """`shared`: a message that is settled, here or elsewhere, gives its credit back."""
        self._store = store
        self._caller = caller
        self._queue = queue
        self._hand = hand
        self._via = via
        self._client = _StreamClient(admission)
        self._credit = 0
        # Set when credit was granted, or a held message has gone.
        self._granted = asyncio.Event()
        self._held: dict[tuple[UUID, int], _Held] = {}
        # Set while messages are held: a connection without any need not wake up to renew leases.
        self._holds = asyncio.Event()
        self._shared = shared

    def grant(self, messages: int) -> None:
        """Allow up to `messages` more to be sent. Raises InvalidRequest."""
        if messages < 1 or self._credit + messages > MAX_CREDIT:
            detail = f"Must be at least 1, and at most {MAX_CREDIT} together with the unused credit ({self._credit})."
            raise InvalidRequest([FieldError("/n", "out_of_range", detail)])
        self._credit += messages
        self._granted.set()

    async def run(self) -> None:
        """Send messages until the service stops. Raises NotFound if the queue is deleted, and what `receive` raises."""
        loop = asyncio.get_running_loop()
        while not (self._store.draining.is_set() or self._client.has_left()):
            self._granted.clear()
            if self._room <= 0:
                await self._granted.wait()
                continue
            began = loop.time()
            claimed = None
            # Both pass: the database comes back, or other receives of the project stop waiting.
            with contextlib.suppress(Unavailable, QuotaExceeded):
                claimed = await self._receive()
            if claimed is not None:
                await self._hand_out(claimed)
            elif loop.time() - began < _AWAY_SECONDS:
                # The answer came at once, as it does if no more receives may wait: ask again after a pause.
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
            self._client,
            via=self._via,
            max_messages=min(self._room, MAX_RECEIVE),
            wait=_WAIT_SECONDS,
            visibility_timeout=min(queue.config.visibility_timeout, SLICE),
        )

    async def _hand_out(self, claimed: Claimed) -> None:
        timeout = claimed.queue.config.visibility_timeout
        ends = asyncio.get_running_loop().time() + timeout.total_seconds()
        held = [
            _Held(claimed.queue, message.id, claimed.lease, ends, message.lease_expires_at)
            for message in claimed.messages
        ]
        self._held |= {(one.message_id, one.lease): one for one in held}
        self._holds.set()
        if self._shared:
            self._store.watched.add(claimed.queue.id, [(one.message_id, one.lease) for one in held], self._drop)
        self._credit -= len(held)
        expires_at = self._store.clock.now() + timeout
        for one, message in zip(held, claimed.messages, strict=True):
            if self._client.has_left():
                # `end` has released what was not written.
                return
            await self._hand(claimed, message, expires_at)
            one.written = True

    async def keep(self) -> None:
        """Renew the leases of held messages slice by slice, each up to its visibility timeout."""
        while not self._client.has_left():
            await self._holds.wait()
            await asyncio.wait((self._client.gone,), timeout=_RENEW_SECONDS)
            await self._renew()
            if not self._held:
                self._holds.clear()

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
                # The client has extended it meanwhile.
                continue
            if isinstance(outcome, datetime):
                one.leased_until = outcome
            else:
                one.ends = None

    async def _let_go(self, held: list[_Held]) -> None:
        """Drop those whose lease has ended or was replaced by another."""
        with contextlib.suppress(Unavailable):
            for part in _parts(held):
                there = await self._store.held([one.place for one in part])
                for number, one in enumerate(part):
                    if number not in there:
                        self._drop((one.message_id, one.lease))

    async def settle(self, request: ReceiptRequest) -> datetime | None:
        """Settle a message of this queue; return when it becomes visible again, or None if it does not.

        Raises NotFound, LeaseLost, Forbidden, Unavailable.
        """
        wanted = await open_receipt(self._store, self._caller, request)
        held = self._held.get((wanted.message_id, wanted.lease))
        if held is None and wanted.queue_id != (await self._there()).id:
            raise receipt_not_found()
        if request.action is Action.EXTEND and held is not None:
            return await self._extend(wanted, held)
        visible_at = await self._store.settle_one(wanted)
        self._drop((wanted.message_id, wanted.lease))
        return visible_at

    def _drop(self, key: tuple[UUID, int]) -> None:
        """Forget a message, so that another one may be sent."""
        if self._held.pop(key, None) is None:
            return
        self._granted.set()
        if self._shared:
            self._store.watched.remove([key])
            self.grant(1)

    async def _extend(self, wanted: Settle, held: _Held) -> datetime:
        """Extend or shorten the lease of a held message; return when it ends."""
        timeout = wanted.until or NOTHING
        wanted.until = min(timeout, SLICE)
        held.leased_until = await self._store.settle_one(wanted) or held.leased_until
        held.ends = asyncio.get_running_loop().time() + timeout.total_seconds()
        return self._store.clock.now() + timeout

    async def end(self, *, counted: bool) -> None:
        """Release what was not settled. `counted`: as delivered, except for messages that were not written yet."""
        self._client.leave()
        self._granted.set()
        self._holds.set()
        self._store.watched.remove(self._held)
        held, self._held = list(self._held.values()), {}
        for part in _parts(held):
            await self._store.settle([one.release(counted=counted and one.written) for one in part])


def _parts(held: list[_Held]) -> Iterator[list[_Held]]:
    for start in range(0, len(held), _PART):
        yield held[start : start + _PART]
