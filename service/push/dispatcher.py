"""Pushing: who has something to do gets messages, each is posted, and what comes of it is settled.

Every process does this; there is no leader. A message under way is a lease in the database like any other: whatever
happens to the process, it ends.
"""

import asyncio
import contextlib
import time
from datetime import timedelta
from typing import Any

import asyncpg
import msgspec
import structlog

from service.errors import Problem, Unavailable
from service.model import LEAST_URGENT, Action, Attempt, OnExhausted, Queue, Webhook
from service.push.outcomes import INTERRUPTED, Outcome, next_delay
from service.push.requests import Delivery
from service.push.sender import Sender
from service.push.slots import SLOTS, Slot, Slots
from service.store import attempts, pushes, webhooks
from service.store.connections import settle_down
from service.store.pushes import MARGIN, Asked, Report, Taken
from service.store.sealing import WrongKey
from service.store.settles import Settle
from service.store.store import Store
from service.telemetry import PUSH_ATTEMPTS, PUSH_SECONDS

_log = structlog.get_logger()

# Between two rounds: as long as a round took, within these.
_SHORTEST_REST = 0.004
_LONGEST_REST = 0.02
_LOOK_SECONDS = 0.25
# While a rate holds something back.
_PACE_SECONDS = 0.05
_IDLE_SECONDS = 1.0
_ROUND_SECONDS = 5.0
_FINISH_SECONDS = 20.0
# Attempts that are written by one statement.
_MOST_ENDED = 2000


class Dispatcher:
    """What one process pushes."""

    def __init__(self, store: Store, sender: Sender) -> None:
        self._store = store
        self._sender = sender
        self._link = store.push_link
        self._in_flight: set[asyncio.Task[None]] = set()
        self._slots = Slots()
        self._reports: dict[Asked, Report] = {}
        self._ended: list[tuple[Webhook, Attempt]] = []
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        # How often it has looked for something to push.
        self.looks = 0

    def open(self) -> None:
        """Start to push."""
        self._sender.open()
        self._task = asyncio.get_running_loop().create_task(self._work(), name="push")

    def drain(self) -> None:
        """Take nothing more."""
        self._closing = True
        self._store.webhook_changed()

    async def close(self) -> None:
        """Finish what is in flight, as far as there is time for it."""
        self.drain()
        if self._task is not None:
            # Not in the middle of taking something.
            await asyncio.wait({self._task}, timeout=_ROUND_SECONDS)
            await settle_down(self._task)
        if self._in_flight:
            await asyncio.wait(self._in_flight, timeout=_FINISH_SECONDS)
        for task in self._in_flight:
            task.cancel()
        if self._in_flight:
            await asyncio.wait(self._in_flight, timeout=_ROUND_SECONDS)
        with contextlib.suppress(Problem):
            await self._report()
        await self._sender.close()

    async def test(self, queue: Queue, webhook: Webhook) -> Attempt:
        """Post one signed message that says that it is a test; it is stored nowhere and tried once."""
        body = msgspec.json.encode({"type": "restante.test", "queue": queue.name, "webhook": webhook.name})
        delivery = Delivery(
            webhook=webhook,
            project_id=queue.project_id,
            queue=queue.name,
            message_id=self._store.identifiers.message(),
            number=1,
            is_json=True,
            body=body,
        )
        loop, at = asyncio.get_running_loop(), self._store.clock.now()
        began, until = time.perf_counter(), loop.time() + webhook.config.timeout.total_seconds()
        outcome = await self._sender.attempt(delivery, at, until)
        identity = self._store.identifiers.message()
        return outcome.attempt(identity, delivery.message_id, 1, at, time.perf_counter() - began)

    async def _work(self) -> None:
        while not self._closing:
            began = asyncio.get_running_loop().time()
            try:
                rest = await self._round()
            except Unavailable:
                rest = None
            except Exception:  # noqa: BLE001 - it outlives whatever happens
                _log.exception("push_failed")
                rest = None
            # Where there is no webhook, no message is worth a look.
            took = asyncio.get_running_loop().time() - began
            stir = self._store.webhooks if rest is None else self._store.pushes
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_IDLE_SECONDS if rest is None else rest):
                    await stir.wait()
            await asyncio.sleep(min(max(took, _SHORTEST_REST), _LONGEST_REST))

    async def _round(self) -> float | None:
        """Report, and take what there is room for; return how long to rest unless something comes, None: no webhook."""
        self._store.pushes.clear()
        self._store.webhooks.clear()
        await self._report()
        began = asyncio.get_running_loop().time()
        taken, held_back = ([], False) if self._closing else await self._take(began)
        self.looks += 1
        if not taken and not self._in_flight and await pushes.is_idle(self._link):
            return None
        for part in taken:
            self._begin(part, began)
        if taken:
            self._store.pushes.set()
        return _PACE_SECONDS if held_back else _LOOK_SECONDS

    async def _take(self, now: float) -> tuple[list[Taken], bool]:
        free = SLOTS - len(self._slots)
        if free <= 0:
            return [], False
        lease, barred = self._store.identifiers.lease(), self._slots.barred(now)
        return await pushes.take(self._link, lease, free, barred, lambda wishes: self._slots.allot(wishes, now))

    def _begin(self, taken: Taken, began: float) -> None:
        try:
            webhook = webhooks.loaded(self._store.sealing, taken.lane)
        except WrongKey:
            _log.error("webhook_unreadable", webhook=taken.lane["name"], queue=taken.lane["queue_name"])
            return
        # From before the lease began, so that no request outlives it.
        until = began + webhook.config.timeout.total_seconds()
        for row in taken.rows:
            slot = self._slots.take(webhook.id, taken.lane["project_id"], began)
            task = asyncio.get_running_loop().create_task(self._push(webhook, taken, row, until, slot))
            self._in_flight.add(task)
            task.add_done_callback(self._in_flight.discard)

    async def _push(self, webhook: Webhook, taken: Taken, row: asyncpg.Record, until: float, slot: Slot) -> None:
        loop = asyncio.get_running_loop()
        # The loop's own clock counts whole milliseconds, and a closed port answers sooner.
        began, at = time.perf_counter(), self._store.clock.now()
        try:
            outcome = await self._sender.attempt(_delivery(webhook, taken.lane, row), at, until)
        except asyncio.CancelledError:
            outcome = Outcome(error=INTERRUPTED)
        finally:
            self._slots.free(slot, loop.time())
        took = time.perf_counter() - began
        PUSH_SECONDS.observe(took)
        PUSH_ATTEMPTS.labels(outcome.label).inc()
        self._note(webhook, outcome)
        identity = self._store.identifiers.message()
        self._ended.append((webhook, outcome.attempt(identity, row["id"], row["attempts"], at, took)))
        left = timedelta(seconds=max(0.0, until - loop.time())) + MARGIN
        with contextlib.suppress(Problem):
            # Not settled: the lease ends by itself, and another attempt follows.
            await self._store.settle_one(_settle(webhook, taken, row, outcome, left))
        self._store.pushes.set()

    def _note(self, webhook: Webhook, outcome: Outcome) -> None:
        if outcome.error == INTERRUPTED:
            return
        said = self._reports.setdefault((webhook.id, webhook.updated_at), Report())
        if outcome.succeeded:
            said.succeeded, said.failed = True, 0
            return
        said.failed += 1
        said.disabled = said.disabled or outcome.is_gone
        if outcome.pause is not None:
            said.pause = max(said.pause or outcome.pause, outcome.pause)

    async def _report(self) -> None:
        if self._reports:
            reports, self._reports = self._reports, {}
            await pushes.report(self._link, reports)
        while ended := self._ended[:_MOST_ENDED]:
            try:
                await attempts.store(self._link, ended)
            except asyncpg.CheckViolationError:
                # The first ones of a day that nobody has prepared.
                await attempts.keep_days(self._store.engine, self._store.clock.now())
                await attempts.store(self._link, ended)
            del self._ended[: len(ended)]


def _delivery(webhook: Webhook, lane: asyncpg.Record, row: asyncpg.Record) -> Delivery:
    return Delivery(
        webhook=webhook,
        project_id=lane["project_id"],
        queue=lane["queue_name"],
        message_id=row["id"],
        number=row["attempts"],
        is_json=row["is_json"],
        content_type=row["content_type"],
        headers=tuple(msgspec.json.decode(row["headers"], type=dict[str, str]).items()) if row["headers"] else (),
        group=row["message_group"] or None,
        priority=LEAST_URGENT - row["urgency"],
        traceparent=row["traceparent"],
        tracestate=row["tracestate"],
        body=row["body"],
    )


def _settle(webhook: Webhook, taken: Taken, row: asyncpg.Record, outcome: Outcome, left: timedelta) -> Settle:
    """Return what follows from an outcome: gone, again later, or given up. `left`: what is left of the lease."""
    fields: dict[str, Any] = {"remember": False, "fifo": taken.lane["is_fifo"], "pushed": True}
    key = taken.lane["queue_id"], row["id"], taken.lease
    if outcome.succeeded:
        return Settle(*key, Action.DELETE, **fields)
    if outcome.error == INTERRUPTED:
        # The receiver may still be at it: no other attempt before this one would have ended.
        return Settle(*key, Action.RELEASE, left, counted=False, **fields)
    delay = next_delay(webhook.config.retry, row["attempts"])
    if delay is None and webhook.config.on_exhausted is OnExhausted.DEAD_LETTER:
        return Settle(*key, Action.REJECT, error=outcome.sentence, **fields)
    return Settle(*key, Action.RELEASE, delay, error=outcome.sentence, **fields)
