"""Lines: the receives that ask one queue, in the order in which they came. `Claims` leases messages for them."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta

from service.errors import Problem
from service.message import Leased
from service.model import Queue
from service.store.messaging.takers import Taker


@dataclass(slots=True, frozen=True)
class Claimed:
    """Messages that were leased for one receive, in order, with the lease that they share."""

    queue: Queue
    lease: int
    messages: list[Leased]


@dataclass(slots=True, eq=False)
class Ask:
    """One receive in a line: what it wants, and the future of its answer. `may_wait`: it waits if no message is ready.

    `waited`: when it was dismissed, a look had confirmed the queue that it named, and found no message for it.
    """

    turn: int
    wanted: int
    timeout: timedelta
    taker: Taker
    may_wait: bool
    answer: "asyncio.Future[Claimed | None]"
    waited: bool = False


@dataclass(slots=True, eq=False)
class WaitingLine:
    """The asks of one queue, in the order in which they came; `one_look`: those that wait for one look only."""

    queue: Queue
    asks: dict[Ask, None] = field(default_factory=dict)
    one_look: dict[Ask, None] = field(default_factory=dict)
    timer: asyncio.Handle | None = None
    rings_at: float = 0.0
    probed_at: float = 0.0
    # The last turn whose asks were included in a look.
    looked_until: int = 0

    def take(self, limit: int) -> list[Ask]:
        """Return the asks at the head that share a visibility timeout, up to `limit` messages wanted."""
        chosen: list[Ask] = []
        wanted = 0
        for ask in self.asks:
            if wanted >= limit or (chosen and ask.timeout != chosen[0].timeout):
                break
            chosen.append(ask)
            wanted += ask.wanted
        return chosen

    def enter(self, ask: Ask) -> None:
        """Add an ask at the end."""
        self.asks[ask] = None
        if not ask.may_wait:
            self.one_look[ask] = None

    def hurry(self, ask: Ask) -> bool:
        """Make an ask wait no longer than for the look that is due or running; False: it has had a look already."""
        if ask not in self.asks or ask.turn <= self.looked_until:
            return False
        self.one_look[ask] = None
        return True

    def leave(self, ask: Ask) -> None:
        """Remove an ask that was answered or waits no longer."""
        self.asks.pop(ask, None)
        self.one_look.pop(ask, None)

    def dismiss(self, problem: Problem | None = None) -> None:
        """Answer all asks with nothing, or with a problem, and empty the line."""
        for ask in self.asks:
            ask.waited = ask.turn <= self.looked_until
            answer_none(ask, problem)
        self.asks.clear()
        self.one_look.clear()

    def finish_look(self, turn: int) -> None:
        """Answer the asks that wait for one look only and had come by this turn, since a look has included them."""
        self.looked_until = turn
        for ask in [ask for ask in self.one_look if ask.turn <= turn]:
            self.leave(ask)
            answer_none(ask)


def answer_none(ask: Ask, problem: Problem | None = None) -> None:
    """Answer an ask with nothing, or with a problem, unless it has been answered already."""
    if ask.answer.done():
        return
    if problem is None:
        ask.answer.set_result(None)
    else:
        ask.answer.set_exception(problem)


def takers_of(asks: list[Ask]) -> list[Taker]:
    """Return the takers of the messages, in order: a single one if all ask with the same key in the same way."""
    first = asks[0].taker
    if all(ask.taker == first for ask in asks):
        return [first]
    return [ask.taker for ask in asks for _ in range(ask.wanted)]
