"""Lines: those who ask one queue, in the order in which they came. What they get is leased by `claims`."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta

import asyncpg

from service.errors import Problem
from service.model import Queue


@dataclass(slots=True, frozen=True)
class Claimed:
    """Messages leased to one asker, in order, with the lease that they share."""

    queue: Queue
    lease: int
    rows: list[asyncpg.Record]


@dataclass(slots=True, eq=False)
class Ask:
    """One receive: what it wants, and the future that gets it. `patient`: it waits when there is nothing.

    `waited`: a look had found the queue as it was believed to be, and nothing in it, before the asker was sent away.
    """

    turn: int
    wanted: int
    timeout: timedelta
    patient: bool
    answer: "asyncio.Future[Claimed | None]"
    waited: bool = False


@dataclass(slots=True, eq=False)
class Line:
    """Those who ask one queue, in the order in which they came."""

    queue: Queue
    asks: dict[Ask, None] = field(default_factory=dict)
    impatient: dict[Ask, None] = field(default_factory=dict)
    timer: asyncio.Handle | None = None
    rings_at: float = 0.0
    probed_at: float = 0.0
    # Who had come by this turn has been looked for.
    looked_until: int = 0

    def take(self, limit: int) -> list[Ask]:
        """Return those at the head whose messages may be leased alike, as many as one claim serves."""
        chosen: list[Ask] = []
        wanted = 0
        for ask in self.asks:
            if wanted >= limit or (chosen and ask.timeout != chosen[0].timeout):
                break
            chosen.append(ask)
            wanted += ask.wanted
        return chosen

    def enter(self, ask: Ask) -> None:
        """Let somebody stand at the end."""
        self.asks[ask] = None
        if not ask.patient:
            self.impatient[ask] = None

    def hurry(self, ask: Ask) -> bool:
        """Let somebody wait for the look that is due or under way, and no longer; False: there was one already."""
        if ask not in self.asks or ask.turn <= self.looked_until:
            return False
        self.impatient[ask] = None
        return True

    def leave(self, ask: Ask) -> None:
        """Let somebody go who is served or waits no longer."""
        self.asks.pop(ask, None)
        self.impatient.pop(ask, None)

    def dismiss(self, problem: Problem | None = None) -> None:
        """Send everybody away."""
        for ask in self.asks:
            ask.waited = ask.turn <= self.looked_until
            answer_none(ask, problem)
        self.asks.clear()
        self.impatient.clear()

    def dismiss_impatient(self, turn: int) -> None:
        """Send those away who do not wait and had come by this turn: the look has been for them too."""
        self.looked_until = turn
        for ask in [ask for ask in self.impatient if ask.turn <= turn]:
            self.leave(ask)
            answer_none(ask)


def answer_none(ask: Ask, problem: Problem | None = None) -> None:
    """Give somebody nothing, or a problem, unless there is an answer already."""
    if ask.answer.done():
        return
    if problem is None:
        ask.answer.set_result(None)
    else:
        ask.answer.set_exception(problem)
