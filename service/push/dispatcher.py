"""Push: lease messages for webhooks, post them, and settle them by the outcome.

Every process does this; there is no leader. A message being posted is leased in the database like any other, so its
lease ends even if the process dies.
"""

import asyncio
import contextlib
import time
from collections import Counter
from datetime import timedelta
from typing import Any

import msgspec
import structlog

from service.errors import NoDeadLetterQueue, Problem, TooManyTests, Unavailable
from service.message import Leased
from service.model import LEAST_URGENT, Action, Attempt, OnExhausted, Queue, Webhook
from service.push.outcomes import INTERRUPTED, Outcome, next_delay
from service.push.reports import Reports
from service.push.requests import Delivery
from service.push.sender import Sender
from service.push.slots import SLOTS, Slot, Slots
from service.store.database.connections import settle_down
from service.store.database.sealing import WrongKey
from service.store.messaging import pushes
from service.store.messaging.pushes import MARGIN, DueWebhook, WebhookMessages
from service.store.messaging.receipts import Settle
from service.store.resources import webhooks
from service.store.store import Store
from service.telemetry import PUSH_ATTEMPTS, PUSH_SECONDS

_log = structlog.get_logger()

# The pause between two rounds is as long as the last round, within these limits in seconds.
_SHORTEST_REST = 0.004
_LONGEST_REST = 0.02
_LOOK_SECONDS = 0.25
# The pause while a webhook's rate limit holds messages back.
_PACE_SECONDS = 0.05
_IDLE_SECONDS = 1.0
_ROUND_SECONDS = 5.0
_FINISH_SECONDS = 20.0
# The maximum number of concurrent webhook tests, for a project and in total.
_TESTS_OF_A_PROJECT = 5
_TESTS = 50
# How long to wait before settling a message again after a failure.
_AGAIN_SECONDS = 0.25


class Dispatcher:
    """Delivers messages to webhooks, on behalf of one process."""

    def __init__(self, store: Store, sender: Sender) -> None:
        self._store = store
        self._sender = sender
        self._link = store.push_link
        self._in_flight: set[asyncio.Task[None]] = set()
        self._slots = Slots()
        self._reports = Reports(store)
        # The database link can be used by only one task at a time.
        self._turn = asyncio.Lock()
        # Running webhook tests by project.
        self._tests: Counter[int] = Counter()
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        # The number of rounds, for tests.
        self.looks = 0

    def open(self) -> None:
        """Start delivering."""
        self._sender.open()
        self._task = asyncio.get_running_loop().create_task(self._work(), name="push")

    def drain(self) -> None:
        """Stop leasing messages."""
        self._closing = True
        self._store.webhook_changed()

    async def close(self) -> None:
        """Stop, after waiting for requests in flight for a limited time."""
        self.drain()
        if self._task is not None:
            # Let the current round finish, so that no leased message is dropped.
            await asyncio.wait({self._task}, timeout=_ROUND_SECONDS)
            await settle_down(self._task)
        if self._in_flight:
            await asyncio.wait(self._in_flight, timeout=_FINISH_SECONDS)
        for task in self._in_flight:
            task.cancel()
        if self._in_flight:
            await asyncio.wait(self._in_flight, timeout=_ROUND_SECONDS)
        with contextlib.suppress(Problem):
            async with self._turn:
                await self._report()
        await self._sender.close()

    async def test(self, queue: Queue, webhook: Webhook) -> Attempt:
        """Post one signed test message, which is not stored and not retried. Raises TooManyTests.

        A success closes the webhook's circuit, as for any message; a failure does not affect the webhook.
        """
        if self._tests[queue.project_id] >= _TESTS_OF_A_PROJECT or self._tests.total() >= _TESTS:
            raise TooManyTests
        self._tests[queue.project_id] += 1
        try:
            return await self._test(queue, webhook)
        finally:
            self._tests -= Counter({queue.project_id: 1})

    async def _test(self, queue: Queue, webhook: Webhook) -> Attempt:
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
        if outcome.succeeded:
            self._reports.note(webhook, outcome)
            with contextlib.suppress(Problem):
                await self._report_states()
            self._store.pushes.set()
        identity = self._store.identifiers.message()
        return outcome.attempt(identity, delivery.message_id, 1, at, time.perf_counter() - began)

    async def _work(self) -> None:
        while not self._closing:
            began = asyncio.get_running_loop().time()
            try:
                rest = await self._round()
            except Unavailable:
                rest = None
            except Exception:  # noqa: BLE001 - the loop must survive any error
                _log.exception("push_failed")
                rest = None
            # While there are no webhooks, only a new webhook needs to wake this process, not every message.
            took = asyncio.get_running_loop().time() - began
            stir = self._store.webhooks if rest is None else self._store.pushes
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_IDLE_SECONDS if rest is None else rest):
                    await stir.wait()
            await asyncio.sleep(min(max(took, _SHORTEST_REST), _LONGEST_REST))

    async def _round(self) -> float | None:
        """Write reports, then lease and post messages.

        Returns the seconds to wait for the next round unless there is news; None if there are no webhooks.
        """
        self._store.pushes.clear()
        self._store.webhooks.clear()
        async with self._turn:
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

    async def _take(self, now: float) -> tuple[list[WebhookMessages], bool]:
        free = SLOTS - len(self._slots)
        if free <= 0:
            return [], False
        lease, barred = self._store.identifiers.lease(), self._slots.barred(now)
        return await pushes.take(self._link, lease, free, barred, lambda wishes: self._slots.allot(wishes, now))

    def _begin(self, taken: WebhookMessages, began: float) -> None:
        try:
            webhook = webhooks.loaded(self._store.sealing, taken.webhook.row)
        except WrongKey:
            _log.error("webhook_unreadable", webhook=taken.webhook.name, queue=taken.webhook.queue_name)
            return
        # Counted from before the lease began, so that no request outlasts its lease.
        until = began + webhook.config.timeout.total_seconds()
        for message in taken.messages:
            slot = self._slots.take(webhook.id, taken.webhook.project_id, began)
            task = asyncio.get_running_loop().create_task(self._push(webhook, taken, message, until, slot))
            self._in_flight.add(task)
            task.add_done_callback(self._in_flight.discard)

    async def _push(self, webhook: Webhook, taken: WebhookMessages, message: Leased, until: float, slot: Slot) -> None:
        loop = asyncio.get_running_loop()
        # The event loop's clock is too coarse for a closed port, which refuses within a millisecond.
        began, at = time.perf_counter(), self._store.clock.now()
        try:
            outcome = await self._sender.attempt(_delivery(webhook, taken.webhook, message), at, until)
        except asyncio.CancelledError:
            outcome = Outcome(error=INTERRUPTED)
        finally:
            self._slots.free(slot, loop.time())
        took = time.perf_counter() - began
        PUSH_SECONDS.observe(took)
        PUSH_ATTEMPTS.labels(outcome.label).inc()
        self._reports.note(webhook, outcome)
        identity = self._store.identifiers.message()
        self._reports.note_attempt(webhook, outcome.attempt(identity, message.id, message.attempts, at, took))
        await self._finish(_settle(webhook, taken, message, outcome, until - loop.time()), outcome, until)
        self._store.pushes.set()

    async def _finish(self, settle: Settle, outcome: Outcome, until: float) -> None:
        """Settle a message by the outcome of its request, retrying until the lease ends.

        If the receiver asked for a pause, the pause is written before the message is released, so that every process
        respects it. A message that is rejected without a dead-letter queue is blocked instead.
        """
        loop = asyncio.get_running_loop()
        while True:
            try:
                if outcome.pause is not None or outcome.is_gone:
                    await self._report_states()
                await self._store.settle_one(settle)
            except Unavailable:
                if outcome.error == INTERRUPTED or loop.time() + _AGAIN_SECONDS > until + MARGIN.total_seconds():
                    return
                await asyncio.sleep(_AGAIN_SECONDS)
            except NoDeadLetterQueue:
                settle = msgspec.structs.replace(settle, action=Action.RELEASE, until=None)
            except Problem:
                # The lease was lost, or the message was deleted.
                return
            else:
                return

    async def _report_states(self) -> None:
        async with self._turn:
            await self._reports.write_states()

    async def _report(self) -> None:
        await self._reports.write_states()
        await self._reports.write_attempts()


def _delivery(webhook: Webhook, due: DueWebhook, message: Leased) -> Delivery:
    return Delivery(
        webhook=webhook,
        project_id=due.project_id,
        queue=due.queue_name,
        message_id=message.id,
        number=message.attempts,
        is_json=message.is_json,
        content_type=message.content_type,
        headers=tuple(msgspec.json.decode(message.headers, type=dict[str, str]).items()) if message.headers else (),
        group=message.group or None,
        priority=LEAST_URGENT - message.urgency,
        traceparent=message.traceparent,
        tracestate=message.tracestate,
        body=message.body,
    )


def _settle(webhook: Webhook, taken: WebhookMessages, message: Leased, outcome: Outcome, left: float) -> Settle:
    """Return how to settle a message by the outcome of its request. `left`: seconds that the request had left."""
    fields: dict[str, Any] = {"remember": False, "fifo": taken.webhook.is_fifo, "pushed": True}
    key = taken.webhook.queue_id, message.id, taken.lease
    if outcome.succeeded:
        return Settle(*key, Action.DELETE, **fields)
    if outcome.error == INTERRUPTED:
        # The receiver may still be processing the message, so delay the next attempt until this one would have ended.
        rest = timedelta(seconds=max(0.0, left)) + MARGIN
        return Settle(*key, Action.RELEASE, rest, counted=False, **fields)
    delay = next_delay(webhook.config.retry, message.attempts)
    if delay is None and webhook.config.on_exhausted is not OnExhausted.BLOCK:
        drop = webhook.config.on_exhausted is OnExhausted.DROP
        return Settle(*key, Action.REJECT, error=outcome.sentence, drop=drop, **fields)
    return Settle(*key, Action.RELEASE, delay, error=outcome.sentence, **fields)
