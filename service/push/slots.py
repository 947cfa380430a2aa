"""Divide the requests that a process may have in flight among webhooks.

Slow endpoints share a part of the slots, so that others always find free ones, and each project gets a part of that
part. Projects take turns, and within a project its webhooks do, so that a thousand endpoints of one project get as much
as a single one of another.
"""

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass

from service.store.messaging.pushes import Wish

SLOTS = 400
# The slots for all webhooks that are slow or whose speed is unknown, and for those of a single project.
_SLOW_SLOTS = SLOTS * 3 // 4
_PROJECT_SLOTS = _SLOW_SLOTS * 3 // 4
# The slots for a single webhook, because it may become slow at any time.
_WEBHOOK_SLOTS = SLOTS * 3 // 4
# The slots that are reserved for webhooks known to be quick.
_QUICK_SLOTS = SLOTS // 8
_SLOW_SECONDS = 1.0
_MOST_KNOWN = 10_000


@dataclass(eq=False, slots=True)
class Slot:
    """A request in flight; `since` is in seconds of the event loop's time."""

    webhook_id: int
    project_id: int
    since: float


@dataclass(slots=True)
class _Slow:
    """Webhooks with requests in flight that are slow or of unknown speed, and the number of their slots."""

    webhooks: set[int]
    slots: int
    projects: Counter[int]

    def has_room(self, project_id: int) -> bool:
        return self.slots < _SLOW_SLOTS and self.projects[project_id] < _PROJECT_SLOTS

    def add(self, project_id: int) -> None:
        self.slots += 1
        self.projects[project_id] += 1


class Slots:
    """The slots of one process. Times are in seconds of the event loop's time."""

    def __init__(self) -> None:
        self._taken: set[Slot] = set()
        # Webhooks whose last request was quick, and those whose last request was slow, with their project.
        self._quick: set[int] = set()
        self._slow: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._taken)

    def take(self, webhook_id: int, project_id: int, now: float) -> Slot:
        """Occupy a slot for a request that starts."""
        slot = Slot(webhook_id, project_id, now)
        self._taken.add(slot)
        return slot

    def free(self, slot: Slot, now: float) -> None:
        """Free the slot of a request that has ended."""
        self._taken.remove(slot)
        if len(self._quick) + len(self._slow) >= _MOST_KNOWN:
            self._quick.clear()
            self._slow.clear()
        if now - slot.since < _SLOW_SECONDS:
            self._slow.pop(slot.webhook_id, None)
            self._quick.add(slot.webhook_id)
        else:
            self._quick.discard(slot.webhook_id)
            self._slow[slot.webhook_id] = slot.project_id

    def barred(self, now: float) -> list[int]:
        """Return the webhooks that can get no slot now, so that the database need not look for their messages."""
        slow = self._slow_in_flight(now)
        projects = self._slow | {
            slot.webhook_id: slot.project_id for slot in self._taken if slot.webhook_id in slow.webhooks
        }
        return [webhook for webhook, project in projects.items() if not slow.has_room(project)]

    def allot(self, wishes: Sequence[Wish], now: float) -> Counter[int]:
        """Return how many requests each webhook may start now. Earlier wishes take precedence."""
        slow, left = self._slow_in_flight(now), SLOTS - len(self._taken)
        taken = Counter(slot.webhook_id for slot in self._taken)
        given: Counter[int] = Counter()
        turns = _by_project(wishes)
        while turns and left > 0:
            mine = turns.popleft()
            wish = mine.popleft()
            quick = wish.webhook_id in self._quick and wish.webhook_id not in slow.webhooks
            may = quick or slow.has_room(wish.project_id) or (left > _QUICK_SLOTS and self._is_new(wish, slow, given))
            most = min(wish.room, _WEBHOOK_SLOTS - taken[wish.webhook_id])
            if may and given[wish.webhook_id] < most:
                given[wish.webhook_id] += 1
                left -= 1
                if not quick:
                    slow.add(wish.project_id)
                mine.append(wish)
            if mine:
                turns.append(mine)
        return given

    def _is_new(self, wish: Wish, slow: _Slow, given: Counter[int]) -> bool:
        """Return whether the webhook's speed is unknown and it has no request; a single request may then measure it."""
        webhook = wish.webhook_id
        return not (webhook in self._quick or webhook in self._slow or webhook in slow.webhooks or given[webhook])

    def _slow_in_flight(self, now: float) -> _Slow:
        webhooks = {
            slot.webhook_id
            for slot in self._taken
            if now - slot.since >= _SLOW_SECONDS or slot.webhook_id not in self._quick
        }
        projects = Counter(slot.project_id for slot in self._taken if slot.webhook_id in webhooks)
        return _Slow(webhooks, projects.total(), projects)


def _by_project(wishes: Sequence[Wish]) -> deque[deque[Wish]]:
    projects: dict[int, deque[Wish]] = {}
    for wish in wishes:
        projects.setdefault(wish.project_id, deque()).append(wish)
    return deque(projects.values())
