"""One process's side of the database: connections, lanes, lines, and caches of queues and topics."""

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from service import telemetry
from service.errors import Problem, QuotaExceeded, pointed
from service.message import Draft
from service.model import Action, Queue
from service.settings import Deployment
from service.store.database.clock import DatabaseClock
from service.store.database.connections import POOL, Link, create_engine
from service.store.database.identifiers import Identifiers
from service.store.database.reads import Reads
from service.store.database.ready import Ready
from service.store.database.sealing import Sealing
from service.store.database.storage import Storage
from service.store.database.transaction import Work, finished, transaction
from service.store.database.wakeups import Wakeups
from service.store.limits.rates import Rates
from service.store.limits.shares import Shares
from service.store.limits.usage import Usage
from service.store.messaging import receipts, transactions
from service.store.messaging.deduplication import SentOnce, Unique
from service.store.messaging.directory import Directory
from service.store.messaging.lanes import LINKS, Lanes
from service.store.messaging.publishes import Publish, Published
from service.store.messaging.receipt_seal import ReceiptSeal
from service.store.messaging.receipts import Settle, Settled
from service.store.messaging.receives import Claims
from service.store.messaging.routes import Routes
from service.store.messaging.sends import Parcel
from service.store.messaging.transactions import Done, Name, Transact
from service.store.messaging.waiting import Claimed
from service.store.messaging.watched import Watched
from service.store.views import activity
from service.store.views.consumers import PresentConsumers
from service.telemetry import PARKED_RECEIVES

_LINKS = (*LINKS, "claim", "find", "names", "notify", "limits", "push", "topics")
_READS = ("find", "names", "topics")

# Connections that one process opens at most, its listener included.
SESSIONS = len(_LINKS) + 1 + POOL

_LAST_SECONDS = 1.0


T = TypeVar("T")


class Store:
    """Everything that one process needs of the database; the verbs of `domain` take it as their first argument.

    It is created once in a process, inside the event loop. Its held connections (`_LINKS` and the listener) go past a
    pooler, because connections that are never idle gain nothing from one.
    """

    def __init__(self, deployment: Deployment) -> None:
        direct = deployment.database_direct_url
        self.settings = deployment.settings
        self.engine = create_engine(deployment.database_url, pooled=direct != deployment.database_url)
        self.clock = DatabaseClock()
        self.identifiers = Identifiers(self.clock)
        self.receipts = ReceiptSeal(*deployment.secret_keys)
        self.secret_keys = deployment.secret_keys
        self._links = {name: Link(direct, f"restante-{name}", reads=name in _READS) for name in _LINKS}
        self.sealing = Sealing(*deployment.secret_keys)
        self.push_link = self._links["push"]
        # Set when there may be messages to push.
        self.pushes = asyncio.Event()
        # Set when a webhook was created or changed.
        self.webhooks = asyncio.Event()
        self._lanes = Lanes(self._links, self.announce_all)
        self.watched = Watched(self.engine)
        # Set when the process is about to end.
        self.draining = asyncio.Event()
        self.directory = Directory(self._links["find"], self._links["names"])
        self.routes = Routes(self._links["topics"])
        self.claims = Claims(
            self._links["claim"],
            self.clock,
            self.identifiers,
            self.give_back,
            tell=self._tell_others,
            max_waiting=self.settings.max_parked_receives,
        )
        self.rates = Rates(self._links["limits"])
        self.usage = Usage(self.engine)
        self.storage = Storage(deployment.settings)
        self.shares = Shares(self.engine)
        self.reads = Reads()
        self.consumers = PresentConsumers(self.engine)
        self.wakeups = Wakeups(
            self._links["notify"],
            direct,
            ready=self._heard_of,
            changed=self._queue_changed,
            missed=self.claims.sweep,
            each_second=self.report,
        )

    async def open(self) -> None:
        """Start the lanes. The database need not be available yet: until it is, requests raise Unavailable."""
        self._lanes.open()
        self.directory.open()
        self.routes.open()
        self.rates.open()
        self.claims.open()
        self.wakeups.open()

    async def close(self) -> None:
        """Finish what is running, and close every connection."""
        await self.claims.close()
        await self.wakeups.close()
        await self._lanes.close()
        await self.directory.close()
        await self.routes.close()
        await self.rates.close()
        for link in self._links.values():
            await link.close()
        await self._write_records()
        await finished()
        await self.engine.dispose()

    async def _write_records(self) -> None:
        """Write the activity and the consumers since the last round of their chores, within a second."""
        # If the database fails, nothing but these records is lost, and the process still ends.
        with contextlib.suppress(Exception):
            async with asyncio.timeout(_LAST_SECONDS):
                await activity.write(self.engine)
                await self.consumers.write()

    async def transaction(self, work: Work[T]) -> T:
        """Run `work` in one transaction of the pool, as `database.transaction` does. Raises Unavailable."""
        return await transaction(self.engine, work)

    async def send(self, queue: Queue, drafts: list[Draft]) -> list[datetime]:
        """Store messages durably; return when each becomes visible.

        Raises StaleQueue, QueueFull, QuotaExceeded, StorageFull, Unavailable.
        """
        self.storage.check()
        lane = self._lanes.sends if queue.config.max_length is None else self._lanes.bounded
        with self.usage.room(queue.project_id, drafts):
            visible_at = await lane.submit(Parcel(queue, drafts))
        self._announce_sent(queue.id, min(visible_at))
        return visible_at

    async def send_once(self, parcel: Unique) -> list[SentOnce]:
        """Store the messages durably that were not sent before; return an outcome for each.

        Raises StaleQueue, QueueFull, QuotaExceeded, Conflict, StorageFull, Unavailable.
        """
        self.storage.check()
        with self.usage.room(parcel.queue.project_id, parcel.drafts):
            sents = await self._lanes.once.submit(parcel)
        if new := [sent.visible_at for sent in sents if not sent.duplicate]:
            self._announce_sent(parcel.queue.id, min(new))
        return sents

    def _announce_sent(self, queue_id: int, visible_at: datetime) -> None:
        self.pushes.set()
        if self.claims.has_line(queue_id):
            self._wake(queue_id, visible_at)
        self.wakeups.ready(queue_id)

    async def settle(self, items: Sequence[Settle]) -> list[Settled | Problem]:
        """Settle leases; return an outcome for each, in order, which is a problem if it failed. Raises Unavailable."""
        outcomes = await self._lanes.settles.submit(items)
        self._lanes.rooms.left([item.queue_id for item in items])
        self.watched.settled(items, outcomes)
        return outcomes

    async def held(self, leases: Sequence[tuple[int, UUID, int]]) -> set[int]:
        """Return the positions of the leases that still hold their messages. Raises Unavailable."""
        return await receipts.held(self.engine, leases)

    async def settle_one(self, item: Settle) -> Settled:
        """Settle one lease. Raises LeaseLost, NoDeadLetterQueue, NotFound, Unavailable."""
        [outcome] = await self.settle([item])
        if isinstance(outcome, Problem):
            raise outcome
        return outcome

    async def transact(self, item: Transact) -> Done:
        """Settle and send, all or nothing. Raises a Problem, which may be StaleQueue."""
        if item.parcels:
            self.storage.check()
        with contextlib.ExitStack() as rooms:
            for parcel, positions in zip(item.parcels, item.places, strict=True):
                try:
                    rooms.enter_context(self.usage.room(parcel.queue.project_id, parcel.drafts))
                except QuotaExceeded as problem:
                    raise pointed(problem, f"/send/{positions[0]}") from None
            return await self._lanes.transactions.submit(item)

    async def publish(self, item: Publish) -> list[Published]:
        """Store copies of messages, all or none. Raises StaleQueue, QueueFull, QuotaExceeded, Conflict, Unavailable."""
        self.storage.check()
        with contextlib.ExitStack() as rooms:
            for copies in item.copies:
                rooms.enter_context(self.usage.room(copies.queue.project_id, copies.drafts))
            return await self._lanes.publishes.submit(item)

    async def recall_transaction(self, name: Name, digest: bytes) -> Done | None:
        """Return the result of the same transaction if it was done before, or None. Raises Conflict, Unavailable."""
        return await transactions.recall(self.engine, name, digest)

    async def give_back(self, claimed: Claimed) -> None:
        """Release messages that no client has got, as if they had never been leased."""
        queue, lease = claimed.queue, claimed.lease
        await self.settle(
            [
                Settle(queue.id, message.id, lease, Action.RELEASE, counted=False, remember=False, fifo=queue.is_fifo)
                for message in claimed.messages
            ]
        )

    def webhook_changed(self) -> None:
        """Make push look at the webhooks again, and at the messages for them."""
        self.webhooks.set()
        self.pushes.set()

    def drain(self) -> None:
        """Answer all waiting receives now, and lease nothing from here on."""
        self.draining.set()
        self.claims.drain()

    def report(self) -> None:
        """Update the metrics, and look at the free space of the disk."""
        self.storage.look()
        PARKED_RECEIVES.set(self.claims.waiting)
        telemetry.flush()

    def _tell_others(self, queue_id: int) -> None:
        self.wakeups.ready(queue_id)

    def announce_all(self, ready: Ready) -> None:
        """Wake the receives that wait for messages of these queues."""
        for queue_id, visible_at in ready.items():
            self.announce(queue_id, visible_at)

    def announce(self, queue_id: int, visible_at: datetime) -> None:
        """Wake the receives that wait for messages of this queue, in all processes, when one becomes visible."""
        self._wake(queue_id, visible_at)
        self.wakeups.ready(queue_id)

    def _heard_of(self, queue_id: int) -> None:
        self.pushes.set()
        self.claims.wake(queue_id)

    def _wake(self, queue_id: int, visible_at: datetime) -> None:
        self.pushes.set()
        if self.clock.seconds_until(visible_at) > 0.001:
            self.claims.expect(queue_id, visible_at)
        else:
            self.claims.wake(queue_id)

    def _queue_changed(self, queue_id: int) -> None:
        self.directory.forget_id(queue_id)
        self.claims.wake(queue_id)
