"""What one process holds of the database: connections, lanes, lines, what it remembers of queues."""

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from service import telemetry
from service.errors import Problem, QuotaExceeded, pointed
from service.model import Action, Draft, Queue
from service.settings import Deployment
from service.store import activity, publishes, sends, settles, transacts
from service.store.claims import Claims
from service.store.clock import DatabaseClock
from service.store.connections import Link, create_engine
from service.store.consumers import Consumers
from service.store.deduplication import Sent, Unique, store_once
from service.store.directory import Directory
from service.store.identifiers import Identifiers
from service.store.lane import Lane
from service.store.lines import Claimed
from service.store.publishes import Publish, Published
from service.store.rates import Rates
from service.store.reads import Reads
from service.store.ready import Ready
from service.store.receipts import ReceiptSeal
from service.store.rooms import Rooms
from service.store.routes import Routes
from service.store.sealing import Sealing
from service.store.sends import Parcel, VisibleAt
from service.store.settles import Bundle, Settle, Settled
from service.store.shares import Shares
from service.store.transactions import finished
from service.store.transacts import Done, Name, Transact
from service.store.usage import Usage
from service.store.wakeups import Wakeups
from service.telemetry import PARKED_RECEIVES

_TRANSACTS = ("transact-1", "transact-2", "transact-3")
_LINKS = (
    *("send", "send-bounded", "send-once", "claim", "settle", "find", "names", "notify", "limits"),
    *("push", "publish", "topics"),
    *_TRANSACTS,
)

_LAST_SECONDS = 1.0


class Store:
    """Built once in a process, inside its event loop. The verbs of `domain` take it first.

    Held connections: sends, bounded sends, deduplicated sends, claims, settles, transactions, look-ups,
    notifications, and the listener. They go past a pooler, which has nothing to give to a connection that is never
    idle.
    """

    def __init__(self, deployment: Deployment) -> None:
        direct = deployment.database_direct_url
        self.settings = deployment.settings
        self.engine = create_engine(deployment.database_url, pooled=direct != deployment.database_url)
        self.clock = DatabaseClock()
        self.identifiers = Identifiers(self.clock)
        self.receipts = ReceiptSeal(deployment.secret_key)
        self._links = {name: Link(direct, f"restante-{name}") for name in _LINKS}
        self.sealing = Sealing(deployment.secret_key)
        self.push_link = self._links["push"]
        # Set when there may be something to push.
        self.pushes = asyncio.Event()
        # Set when a webhook was made or changed.
        self.webhooks = asyncio.Event()
        self._sends: Lane[Parcel, VisibleAt] = self._send_lane("send", sends.store)
        self._bounded: Lane[Parcel, VisibleAt] = self._send_lane("send-bounded", Rooms().store)
        self._once: Lane[Unique, list[Sent]] = Lane(
            "send-once", partial(store_once, self._links["send-once"]), weigh=sends.weigh
        )
        self._settles: Lane[Bundle, list[Settled | Problem]] = Lane(
            "settle", partial(settles.settle_bundles, self._links["settle"], self.announce_all), weigh=settles.weigh
        )
        self._transacts: list[Lane[Transact, Done]] = [
            Lane(name, partial(transacts.transact, self._links[name], self.announce_all), weigh=transacts.weigh)
            for name in _TRANSACTS
        ]
        self._publishes: Lane[Publish, list[Published]] = Lane(
            "publish",
            partial(publishes.publish, self._links["publish"], self.announce_all),
            weigh=publishes.weight,
        )
        self._turn = 0
        # What is set when something is done with a lease, through this process.
        self.watched: dict[tuple[UUID, int], asyncio.Event] = {}
        # Set when the service is about to end.
        self.draining = asyncio.Event()
        self.directory = Directory(self._links["find"], self._links["names"])
        self.routes = Routes(self._links["topics"])
        self.claims = Claims(
            self._links["claim"],
            self.clock,
            self.identifiers,
            self.give_back,
            tell=self._tell_others,
            max_parked=self.settings.max_parked_receives,
        )
        self.rates = Rates(self._links["limits"])
        self.usage = Usage(self.engine)
        self.shares = Shares(self.engine)
        self.reads = Reads()
        self.consumers = Consumers(self.engine)
        self.wakeups = Wakeups(
            self._links["notify"],
            direct,
            ready=self._heard_of,
            changed=self._queue_changed,
            missed=self.claims.sweep,
            each_second=self.report,
        )

    def _send_lane(self, name: str, run: "sends.StoreParcels") -> Lane[Parcel, VisibleAt]:
        return Lane(name, partial(run, self._links[name]), weigh=sends.weigh)

    def _lanes(self) -> Iterator[Lane[Any, Any]]:
        yield from (self._sends, self._bounded, self._once, self._settles)
        yield from self._transacts
        yield self._publishes

    async def open(self) -> None:
        """Start the lanes. The database need not be there yet: what asks for it is told so."""
        for lane in self._lanes():
            lane.open()
        self.directory.open()
        self.routes.open()
        self.rates.open()
        self.claims.open()
        self.wakeups.open()

    async def close(self) -> None:
        """Finish what is under way and let go of every connection."""
        await self.claims.close()
        await self.wakeups.close()
        for lane in self._lanes():
            await lane.close()
        await self.directory.close()
        await self.routes.close()
        await self.rates.close()
        for link in self._links.values():
            await link.close()
        await self._write_down()
        await finished()
        await self.engine.dispose()

    async def _write_down(self) -> None:
        """Write down what was done since the last time, and by whom, if that does not keep the process from ending."""
        # Whatever is the matter with the database: nothing but this is lost.
        with contextlib.suppress(Exception):
            async with asyncio.timeout(_LAST_SECONDS):
                await activity.write(self.engine)
                await self.consumers.write()

    async def send(self, queue: Queue, drafts: list[Draft]) -> list[datetime]:
        """Store messages durably; return when each becomes visible.

        Raises StaleQueue, QueueFull, QuotaExceeded, Unavailable.
        """
        lane = self._sends if queue.config.max_length is None else self._bounded
        with self.usage.room(queue.project_id, drafts):
            visible_at = await lane.submit(Parcel(queue, drafts))
        self._announce_sent(queue.id, min(visible_at))
        return visible_at

    async def send_once(self, parcel: Unique) -> list[Sent]:
        """Store durably what was not sent before.

        Raises StaleQueue, QueueFull, QuotaExceeded, Conflict, Unavailable.
        """
        with self.usage.room(parcel.queue.project_id, parcel.drafts):
            sents = await self._once.submit(parcel)
        if new := [sent.visible_at for sent in sents if not sent.duplicate]:
            self._announce_sent(parcel.queue.id, min(new))
        return sents

    def _announce_sent(self, queue_id: int, visible_at: datetime) -> None:
        self.pushes.set()
        if self.claims.has_line(queue_id):
            self._wake(queue_id, visible_at)
        self.wakeups.ready(queue_id)

    async def settle(self, items: Sequence[Settle]) -> list[Settled | Problem]:
        """Settle leases; one outcome for each, in order, a problem where it failed. Raises Unavailable."""
        outcomes = await self._settles.submit(items)
        if self.watched:
            for item in items:
                if (changed := self.watched.get((item.message_id, item.lease))) is not None:
                    changed.set()
        return outcomes

    async def held(self, leases: Sequence[tuple[int, UUID, int]]) -> set[int]:
        """Return the places of those leases that still hold their messages. Raises Unavailable."""
        return await settles.held(self.engine, leases)

    async def settle_one(self, item: Settle) -> Settled:
        """Settle one lease. Raises LeaseLost, NotFound, Unavailable."""
        [outcome] = await self.settle([item])
        if isinstance(outcome, Problem):
            raise outcome
        return outcome

    async def transact(self, item: Transact) -> Done:
        """Settle and send, all or nothing. Raises a Problem, StaleQueue too."""
        self._turn = (self._turn + 1) % len(self._transacts)
        with contextlib.ExitStack() as rooms:
            for parcel, positions in zip(item.parcels, item.places, strict=True):
                try:
                    rooms.enter_context(self.usage.room(parcel.queue.project_id, parcel.drafts))
                except QuotaExceeded as problem:
                    raise pointed(problem, f"/send/{positions[0]}") from None
            return await self._transacts[self._turn].submit(item)

    async def publish(self, item: Publish) -> list[Published]:
        """Store copies of messages, all or none. Raises StaleQueue, QueueFull, QuotaExceeded, Conflict, Unavailable."""
        with contextlib.ExitStack() as rooms:
            for copies in item.copies:
                rooms.enter_context(self.usage.room(copies.queue.project_id, copies.drafts))
            return await self._publishes.submit(item)

    async def recall_transaction(self, name: Name, digest: bytes) -> Done | None:
        """Return what the same transaction was answered, if it was done. Raises Conflict, Unavailable."""
        return await transacts.recall(self.engine, name, digest)

    async def give_back(self, claimed: Claimed) -> None:
        """Return messages that nobody was handed, as if they had never been taken."""
        queue, lease = claimed.queue, claimed.lease
        await self.settle(
            [
                Settle(queue.id, row["id"], lease, Action.RELEASE, counted=False, remember=False, fifo=queue.is_fifo)
                for row in claimed.rows
            ]
        )

    def webhook_changed(self) -> None:
        """Have push look at the webhooks, and at what there is for them."""
        self.webhooks.set()
        self.pushes.set()

    def drain(self) -> None:
        """Lease nothing from here on; whoever waits is answered now."""
        self.draining.set()
        self.claims.drain()

    def report(self) -> None:
        """Bring the metrics up to date."""
        PARKED_RECEIVES.set(self.claims.parked)
        telemetry.flush()

    def _tell_others(self, queue_id: int) -> None:
        self.wakeups.ready(queue_id)

    def announce_all(self, ready: Ready) -> None:
        """Wake who waits for messages of these queues."""
        for queue_id, visible_at in ready.items():
            self.announce(queue_id, visible_at)

    def announce(self, queue_id: int, visible_at: datetime) -> None:
        """Wake who waits for messages of this queue, here and elsewhere, when one becomes visible."""
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
