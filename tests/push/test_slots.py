"""Slow endpoints leave room for quick ones, and projects take turns."""

from service.push.slots import SLOTS, Slots
from service.store.messaging.pushes import Wish

# What slow endpoints have together, and those of one project.
ALL_SLOW = SLOTS * 3 // 4
SLOW = ALL_SLOW * 3 // 4


def fill(slots: Slots, wishes: list[Wish], now: float) -> dict[int, int]:
    """Begin what the wishes are allotted."""
    given = slots.allot(wishes, now)
    for wish in wishes:
        for _ in range(given[wish.webhook_id]):
            slots.take(wish.webhook_id, wish.project_id, now)
    return dict(given)


def answered(slots: Slots, webhook_id: int, project_id: int, seconds: float) -> None:
    slots.free(slots.take(webhook_id, project_id, 0), seconds)


def test_a_slow_endpoint_leaves_room_for_quick_ones_of_its_project_too() -> None:
    slots = Slots()
    answered(slots, 2, 10, 0.1)
    assert fill(slots, [Wish(1, 10, 1000)], 0) == {1: SLOW}
    assert fill(slots, [Wish(1, 10, 1000), Wish(2, 10, 1000)], 5) == {2: SLOTS - SLOW}


def test_slow_endpoints_of_many_projects_leave_a_quarter_of_the_slots() -> None:
    slots = Slots()
    answered(slots, 99, 99, 0.1)
    for webhook in range(20):
        answered(slots, webhook, webhook, 30)
    fill(slots, [Wish(webhook, webhook, 50) for webhook in range(20)], 0)
    assert len(slots) == ALL_SLOW
    assert fill(slots, [Wish(99, 99, 50)], 1) == {99: 50}
    assert set(slots.barred(1)) == set(range(20))


def test_slow_endpoints_of_one_project_leave_room_for_those_of_another() -> None:
    slots = Slots()
    for webhook in (1, 2):
        answered(slots, webhook, webhook, 30)
    assert fill(slots, [Wish(1, 1, 1000)], 0) == {1: SLOW}
    assert slots.barred(0) == [1]
    assert fill(slots, [Wish(1, 1, 1000), Wish(2, 2, 1000)], 0) == {2: ALL_SLOW - SLOW}


def test_an_endpoint_that_turns_slow_counts_as_slow_before_it_answers() -> None:
    slots = Slots()
    answered(slots, 1, 1, 0.1)
    assert fill(slots, [Wish(1, 1, 1000)], 0) == {1: SLOTS * 3 // 4}
    assert slots.barred(0) == []
    assert slots.barred(2) == [1]


def test_one_that_nobody_knows_shows_what_it_is_with_one_request() -> None:
    slots = Slots()
    fill(slots, [Wish(1, 1, 1000), Wish(2, 2, 1000)], 0)
    assert fill(slots, [Wish(3, 3, 10)], 5) == {3: 1}
    assert fill(slots, [Wish(3, 3, 10)], 5) == {}


def test_projects_take_turns_and_their_webhooks_share_what_they_get() -> None:
    slots = Slots()
    crowd = [Wish(webhook, 1, 10) for webhook in range(1000)]
    given = fill(slots, [*crowd, Wish(2000, 2, 1000)], 0)
    assert given[2000] == ALL_SLOW // 2
    # Each of the crowd shows what it is; the last slots are for those that are known to be quick.
    assert sum(given.values()) == SLOTS * 7 // 8
    assert max(count for webhook, count in given.items() if webhook < 1000) == 1


def test_nobody_gets_more_than_there_is_room_for() -> None:
    slots = Slots()
    assert fill(slots, [Wish(1, 1, 0), Wish(2, 1, 3), Wish(3, 1, -2)], 0) == {2: 3}
