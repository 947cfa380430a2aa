"""Clients of every kind at once on one queue, who write down what they do and see."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from tests.faults.history import Dead, History, Received, Sent, Settled, Unanswered
from tests.faults.wire import Answer, NoAnswer, Wire

QUEUE = "/v1/queues/work"
_DEAD = "/v1/queues/dead"
_GROUPS = 20
_DRAIN_SECONDS = 20.0
_LONG = timedelta(seconds=30)

Actor = Callable[[Wire], Awaitable[None]]


def now() -> datetime:
    """Return the time, by the clock that the database reads too."""
    return datetime.now(UTC)


class Workload:
    """The clients and their common history."""

    def __init__(self, url: str, key: str, seed: int, *, fifo: bool = False, max_receives: int | None = None) -> None:
        self.history = History(max_receives=max_receives)
        self._fifo = fifo
        self._url, self._key = url, key
        self._random = random.Random(seed)
        self._numbers = count(1)
        self._stopping = asyncio.Event()
        self._wires: list[Wire] = []
        self._later: asyncio.TaskGroup

    @contextlib.asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Let everybody work inside, and finish what they have begun at the end."""
        actors: list[tuple[Actor, int]] = [
            (self._send, 3),
            (self._send_and_leave, 1),
            (self._receive, 6),
            (self._receive_and_leave, 2),
        ]
        await self._make_queues()
        async with asyncio.TaskGroup() as self._later, asyncio.TaskGroup() as group:
            for actor, number in actors:
                for _ in range(number):
                    group.create_task(self._repeat(actor))
            yield
            self._stopping.set()

    async def _make_queues(self) -> None:
        wire, kind = self._wire(), {"type": "fifo" if self._fifo else "standard"}
        letter = None
        if self.history.max_receives is not None:
            assert (await wire.ask("PUT", _DEAD, kind)).status == 201
            letter = {"queue": "dead", "max_receives": self.history.max_receives}
        assert (await wire.ask("PUT", QUEUE, {"visibility_timeout": 1, "dead_letter": letter, **kind})).status == 201

    async def drain(self) -> None:
        """Receive and delete until nothing is left, leased and delayed messages included; or leave `drained` false."""
        wire = self._wire()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_SECONDS):
                while True:
                    messages = await self._take(wire, 100, 1, _LONG)
                    await self._settle_batch(wire, [message.receipt for message in messages])
                    stats = (await wire.ask("GET", QUEUE)).json()["stats"]
                    if not messages and stats["total"] == 0:
                        break
                if self.history.max_receives is not None:
                    await self._drain_dead(wire)
                self.history.drained = True

    async def _drain_dead(self, wire: Wire) -> None:
        """Take down what the dead-letter queue holds, nothing of which anybody else takes."""
        while True:
            messages = (await wire.ask("POST", f"{_DEAD}/messages/receive", {"max_messages": 100})).json()["messages"]
            for message in messages:
                block = message["dead_letter"]
                assert (message["receive_count"], block["source_queue"]) == (1, "work")
                at = datetime.fromisoformat(block["at"])
                self.history.dead.append(
                    Dead(message["id"], message["body"], block["reason"], block["receive_count"], at)
                )
                assert (await wire.ask("DELETE", f"/v1/receipts/{message['receipt']}")).status == 204
            if not messages:
                return

    def close(self) -> None:
        """Hang up."""
        for wire in self._wires:
            wire.close()

    def _wire(self) -> Wire:
        self._wires.append(Wire(self._url, self._key))
        return self._wires[-1]

    async def _repeat(self, actor: Actor) -> None:
        wire = self._wire()
        while not self._stopping.is_set():
            try:
                await actor(wire)
            except NoAnswer:
                # As a client would, which does not know whether the service is there yet.
                await asyncio.sleep(0.05)

    async def _send(self, wire: Wire) -> None:
        """Send one message or a batch; what may have failed, and now and then what did not, is sent again."""
        number = self._random.choice((1, 1, 1, 2, 10))
        bodies = [f"{next(self._numbers)} {'é' * self._random.randrange(50)}" for _ in range(number)]
        delay = timedelta(seconds=self._random.choice((0, 0, 0, 0.2, 1)))
        groups = [self._group() for _ in bodies]
        sent = await self._send_once(wire, bodies, delay, groups)
        if not sent or self._random.random() < 0.1:
            await self._send_once(wire, bodies, delay, groups)
        # Slower than the receivers: in a backlog no message meets its second receiver, nor a late delete a refusal.
        await asyncio.sleep(self._random.uniform(0.01, 0.05))

    def _group(self) -> str | None:
        return f"g{self._random.randrange(_GROUPS)}" if self._fifo else None

    async def _send_once(self, wire: Wire, bodies: list[str], delay: timedelta, groups: list[str | None]) -> bool:
        asked = now()
        drafts: list[dict[str, Any]] = [
            {"body": body, "delay": delay.total_seconds()} | ({} if group is None else {"group": group})
            for body, group in zip(bodies, groups, strict=True)
        ]
        path, document = (
            (f"{QUEUE}/messages", drafts[0]) if len(bodies) == 1 else (f"{QUEUE}/messages/batch", {"messages": drafts})
        )
        answer = await self._asked(wire, "POST", path, document, {201})
        ids: list[str | None] = [None] * len(bodies)
        if answer is not None:
            document = answer.json()
            ids = [message["id"] for message in document.get("messages", [document])]
        answered = now()
        self.history.sent += [
            Sent(asked, answered, body, name, delay, group, place)
            for place, (body, name, group) in enumerate(zip(bodies, ids, groups, strict=True))
        ]
        return answer is not None

    async def _send_and_leave(self, wire: Wire) -> None:
        asked, body = now(), f"{next(self._numbers)}"
        try:
            await self._leave_after(wire, "POST", f"{QUEUE}/messages", {"body": body})
        finally:
            self.history.sent.append(Sent(asked, now(), body, None))

    async def _receive(self, wire: Wire) -> None:
        """Receive, and do with each message what consumers do."""
        wait = self._random.choice((0, 0.2, 2))
        lease = timedelta(seconds=self._random.choice((0.3, 1, 3)))
        messages = await self._take(wire, self._random.choice((1, 1, 10)), wait, lease)
        if len(messages) > 1 and self._random.random() < 0.5:
            await self._settle_batch(wire, [message.receipt for message in messages])
            return
        for message in messages:
            await self._consume(wire, message)

    async def _receive_and_leave(self, wire: Wire) -> None:
        asked = now()
        try:
            await self._leave_after(wire, "POST", f"{QUEUE}/messages/receive", {"max_messages": 3, "wait": 1})
        finally:
            self.history.unanswered.append(Unanswered(asked, now()))

    async def _leave_after(self, wire: Wire, method: str, path: str, document: Any) -> None:
        """Ask and leave 1 to 20 ms later, in one of the ways that clients have."""
        await wire.say(method, path, document)
        await asyncio.sleep(self._random.uniform(0.001, 0.02))
        self._random.choice((wire.reset, wire.close, wire.half_close))()
        wire.close()

    async def _take(self, wire: Wire, most: int, wait: float, lease: timedelta) -> list[Received]:
        asked = now()
        document = {"max_messages": most, "wait": wait, "visibility_timeout": lease.total_seconds()}
        answer = await self._asked(wire, "POST", f"{QUEUE}/messages/receive", document, {200})
        answered = now()
        if answer is None:
            self.history.unanswered.append(Unanswered(asked, answered))
            return []
        messages = [
            Received(
                asked=asked,
                answered=answered,
                by=f"{id(wire):x}",
                id=message["id"],
                receipt=message["receipt"],
                body=message["body"],
                receive_count=message["receive_count"],
                lease_expires_at=datetime.fromisoformat(message["lease_expires_at"]),
                visibility_timeout=lease,
                place=place,
            )
            for place, message in enumerate(answer.json()["messages"])
        ]
        self.history.received += messages
        return messages

    async def _consume(self, wire: Wire, message: Received) -> None:
        fate = self._random.random()
        if self.history.max_receives is not None:
            # More often without success.
            fate = 0.4 + 0.6 * fate
        if fate < 0.55:
            await self._settle(wire, message.receipt, "delete")
        elif fate < 0.65:
            await self._settle(wire, message.receipt, "extend", timedelta(seconds=self._random.choice((0, 0.5, 2))))
            await self._settle(wire, message.receipt, "delete")
        elif fate < 0.75:
            await self._settle(wire, message.receipt, "release", timedelta(seconds=self._random.choice((0, 0, 0.5))))
        elif fate < 0.83:
            await self._settle(wire, message.receipt, "delete")
            await self._settle(wire, message.receipt, "delete")
        elif fate < 0.86 and self.history.max_receives is not None:
            await self._settle(wire, message.receipt, "reject")
        elif fate < 0.93:
            self._later.create_task(self._settle_late(message))

    async def _settle_late(self, message: Received) -> None:
        """Do what a consumer does that was asleep, around the end of its lease or long after."""
        wire = self._wire()
        late = self._random.choice((0.0, 0.01, 1.0))
        await asyncio.sleep(message.visibility_timeout.total_seconds() + late)
        with contextlib.suppress(NoAnswer):
            await self._settle(wire, message.receipt, self._random.choice(("delete", "delete", "release", "extend")))

    async def _settle(self, wire: Wire, receipt: str, verb: str, by: timedelta = timedelta(0)) -> None:
        asked, path, seconds = now(), f"/v1/receipts/{receipt}", by.total_seconds()
        if verb == "delete":
            answer = await self._asked(wire, "DELETE", path, None, {204, 409})
        elif verb == "extend":
            answer = await self._asked(wire, "PATCH", path, {"visibility_timeout": seconds}, {200, 409})
        else:
            document = {"delay": seconds} if verb == "release" else {"drop": True}
            answer = await self._asked(wire, "POST", f"{path}/{verb}", document, {204, 409})
        status = None if answer is None else answer.status
        until = datetime.fromisoformat(answer.json()["lease_expires_at"]) if answer and status == 200 else None
        self.history.settled.append(Settled(asked, now(), verb, receipt, status, by, until))

    async def _settle_batch(self, wire: Wire, receipts: list[str]) -> None:
        if not receipts:
            return
        asked = now()
        document = {"items": [{"receipt": receipt, "action": "delete"} for receipt in receipts]}
        answer = await self._asked(wire, "POST", "/v1/receipts/batch", document, {200})
        outcomes = [None] * len(receipts) if answer is None else [item["status"] for item in answer.json()["results"]]
        statuses = {"ok": 204, "lease_lost": 409}
        self.history.settled += [
            Settled(asked, now(), "delete", receipt, statuses.get(outcome) if outcome else None)
            for receipt, outcome in zip(receipts, outcomes, strict=True)
        ]

    async def _asked(self, wire: Wire, method: str, path: str, document: Any, usual: set[int]) -> Answer | None:
        """Return the answer, None where nobody knows what was done. Whatever is neither usual nor 503 is a fault."""
        try:
            answer = await wire.ask(method, path, document)
        except NoAnswer:
            return None
        if answer.status == 503:
            await asyncio.sleep(0.05)
            return None
        assert answer.status in usual, f"{method} {path}: {answer.status} {answer.body.decode()}"
        return answer
