"""The judge of histories finds every kind of broken promise, by its name, and accuses nobody wrongly."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.faults.history import Dead, Fault, History, Received, Sent, Settled, Unanswered
from tests.faults.judge import Judge

_NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
_LEASE = timedelta(seconds=2)


def at(seconds: float) -> datetime:
    return _NOON + timedelta(seconds=seconds)


def sent(seconds: float = 0, name: str = "a", **fields: Any) -> Sent:
    return replace(Sent(at(seconds), at(seconds + 0.1), f"body of {name}", name), **fields)


def received(seconds: float, name: str = "a", count: int = 1, **fields: Any) -> Received:
    """Return a delivery that was leased at this second for two."""
    usual = Received(
        asked=at(seconds - 0.1),
        answered=at(seconds + 0.1),
        by="receiver",
        id=name,
        receipt=f"{name}{count}",
        body=f"body of {name}",
        receive_count=count,
        lease_expires_at=at(seconds) + _LEASE,
        visibility_timeout=_LEASE,
    )
    return replace(usual, **fields)


def settled(seconds: float, verb: str, receipt: str = "a1", status: int | None = 204, **fields: Any) -> Settled:
    return replace(Settled(at(seconds), at(seconds + 0.1), verb, receipt, status), **fields)


def ordered(seconds: float, name: str, **fields: Any) -> Sent:
    """Return a send to a group."""
    return sent(seconds, name, group="g", **fields)


def dead(seconds: float, count: int = 2, reason: str = "max_receives", **fields: Any) -> Dead:
    return replace(Dead("a", "body of a", reason, count, at(seconds)), **fields)


def rules(*events: object, drained: bool = True) -> set[str]:
    """Return the names of the promises that this history breaks; with dead letters, two deliveries are allowed."""
    history = History(drained=drained)
    for event in events:
        name = {
            Received: "received",
            Sent: "sent",
            Settled: "settled",
            Unanswered: "unanswered",
            Fault: "faults",
            Dead: "dead",
        }
        getattr(history, name[type(event)]).append(event)
    # A queue has a dead-letter queue if something is in there, or was rejected.
    if history.dead or any(settled.verb == "reject" for settled in history.settled):
        history.max_receives = 2
    return {violation.rule for violation in Judge(history).violations()}


_DELETED = (sent(), received(1), settled(2, "delete"))

_SOUND: dict[str, tuple[object, ...]] = {
    "sent, received, deleted": _DELETED,
    "deleted twice": (*_DELETED, settled(3, "delete")),
    "a lease that ran out": (sent(), received(1), received(3.5, count=2), settled(4, "delete", "a2")),
    "a late delete": (sent(), received(1), settled(9, "delete")),
    "refused after it was superseded": (
        *(sent(), received(1), received(3.5, count=2)),
        *(settled(3.8, "delete", status=409), settled(4, "delete", "a2")),
    ),
    "released and received again": (
        *(sent(), received(1), settled(1.2, "release"), received(1.3, count=2)),
        settled(2, "delete", "a2"),
    ),
    "an extend that shortens": (
        *(sent(), received(1), settled(1.2, "extend", status=200, by=timedelta(0), lease_expires_at=at(1.25))),
        *(received(1.4, count=2), settled(2, "delete", "a2")),
    ),
    "an extend of which nobody knows": (
        *(sent(), received(1), settled(1.2, "extend", status=None, by=timedelta(seconds=0.1))),
        *(received(1.4, count=2), settled(2, "delete", "a2")),
    ),
    "a delivery that nobody saw": (
        *(sent(), Unanswered(at(1), at(1.01)), received(3.5, count=2)),
        settled(4, "delete", "a2"),
    ),
    "a delivery that died with its process": (
        sent(),
        Fault(at(1), "worker"),
        received(3, count=2),
        settled(4, "delete", "a2"),
    ),
    "a delete of which nobody knows": (sent(), received(1), settled(2, "delete", status=None)),
    "a send of which nobody knows, lost": (sent(id=None),),
    "a send of which nobody knows, kept": (sent(id=None), received(1), settled(2, "delete")),
    "the same sent twice": (
        sent(id=None),
        sent(),
        *(received(1, "b", body="body of a"), settled(2, "delete", "b1")),
        *_DELETED[1:],
    ),
    "a delay": (sent(delay=timedelta(seconds=1)), received(1.05), settled(2, "delete")),
}

_ORDERED = (ordered(0, "a"), ordered(0.5, "b"))
_TOGETHER = replace(received(1, "b"), place=1)
_TWICE = (sent(), received(1), received(3.5, count=2))

_SOUND |= {
    "in order": (*_ORDERED, received(1), settled(2, "delete"), received(2.2, "b"), settled(3, "delete", "b1")),
    "in order in one answer": (*_ORDERED, received(1), _TOGETHER, settled(2, "delete"), settled(2, "delete", "b1")),
    "a run again from its head": (
        *(*_ORDERED, received(1), _TOGETHER, received(3.5, count=2), replace(received(3.5, "b", 2), place=1)),
        *(settled(4, "delete", "a2"), settled(4, "delete", "b2")),
    ),
    "sent at the same moment": (
        *(ordered(0, "a"), ordered(0.05, "b"), received(1, "b"), settled(2, "delete", "b1")),
        *(received(2.2), settled(3, "delete")),
    ),
    "the later one of other groups first": (
        *(ordered(0, "a"), sent(0.5, "b", group="h"), received(1, "b"), settled(2, "delete", "b1")),
        *(received(1.2), settled(3, "delete")),
    ),
    "dead after its second lease": (*_TWICE, dead(5.6)),
    "dead at the release of its second delivery": (*_TWICE, settled(4, "release", "a2"), dead(4.05)),
    "rejected": (sent(), received(1), settled(2, "reject"), dead(2.05, 1, "rejected")),
    "perhaps rejected": (sent(), received(1), settled(2, "reject", status=None), dead(2.05, 1, "rejected")),
}

_BROKEN: dict[str, dict[str, tuple[object, ...]]] = {
    "S1": {
        "never seen": (sent(),),
        "seen and gone": (sent(), received(1), settled(2, "extend", status=200, lease_expires_at=at(9))),
        "its delete was refused": (sent(), received(1), settled(9, "delete", status=409)),
    },
    "S2": {
        "nobody sent it": (received(1), settled(2, "delete")),
        "altered": (sent(), received(1, body="body of A"), settled(2, "delete")),
        "another's body": (*_DELETED, sent(name="b"), received(3, "b", body="body of a"), settled(4, "delete", "b1")),
        "stored twice": (*_DELETED, received(3, "b", body="body of a"), settled(4, "delete", "b1")),
    },
    "S3": {
        "one id for two": (sent(body="body of b"), *_DELETED),
        "one receipt for two": (*_DELETED, sent(name="b"), received(3, "b", receipt="a1"), settled(4, "delete")),
    },
    "S4": {
        "leased again": (sent(), received(1), received(2, count=2), settled(2.5, "delete", "a2")),
        "an extend did not hold": (
            *(sent(), received(1), settled(2, "extend", status=200, by=_LEASE * 2, lease_expires_at=at(6))),
            *(received(4, count=2), settled(5, "delete", "a2")),
        ),
        "an extend that did nothing": (
            *(sent(), received(1), settled(2, "extend", status=200, by=_LEASE * 2, lease_expires_at=at(3))),
            *(received(4, count=2), settled(5, "delete", "a2")),
        ),
    },
    "S5": {
        "skipped": (sent(), received(1), received(3.5, count=3), settled(4, "delete", "a3")),
        "stood still": (sent(), received(1), received(3.5, receipt="x"), settled(4, "delete", "x")),
        "did not begin with one": (sent(), received(1, count=2), settled(2, "delete", "a2")),
    },
    "S6": {
        "given out again": (*_DELETED, received(3.5, count=2)),
        "given out after a late delete": (sent(), received(1), settled(9, "delete"), received(9.5, count=2)),
    },
    "S7": {
        "deletes": (sent(), received(1), received(3.5, count=2), settled(4, "delete"), settled(5, "delete", "a2")),
        "releases": (sent(), received(1), received(3.5, count=2), settled(4, "release"), settled(5, "delete", "a2")),
        "refuses the holder": (
            sent(),
            received(1),
            settled(1.5, "delete", status=409),
            received(4, count=2),
            settled(5, "delete", "a2"),
        ),
    },
    "S8": {
        "before the delay": (sent(delay=timedelta(seconds=3)), received(2), settled(3, "delete")),
        "before a release's delay": (
            *(sent(), received(1), settled(1.2, "release", by=timedelta(seconds=3)), received(3, count=2)),
            settled(4, "delete", "a2"),
        ),
    },
    "F1": {
        "the later one first": (
            *(*_ORDERED, received(1, "b"), settled(2, "delete", "b1")),
            *(received(2.2), settled(3, "delete")),
        ),
        "in one answer": (
            *(*_ORDERED, received(1, place=1), replace(_TOGETHER, place=0)),
            *(settled(2, "delete"), settled(2, "delete", "b1")),
        ),
        "in one batch": (
            *(ordered(0, "a", place=1), ordered(0, "b"), received(1), settled(2, "delete")),
            *(received(2.2, "b"), settled(3, "delete", "b1")),
        ),
    },
    "F2": {
        "the next one while the first is leased": (
            *(*_ORDERED, received(1), received(2, "b")),
            *(settled(2.5, "delete"), settled(2.6, "delete", "b1")),
        ),
        "the first one again while the next is leased": (
            *(*_ORDERED, received(1), _TOGETHER, settled(1.2, "release"), received(2, count=2)),
            *(settled(2.5, "delete", "a2"), settled(2.6, "delete", "b1")),
        ),
    },
    "F3": {
        "the next one though the first was released": (
            *(*_ORDERED, received(1), settled(1.2, "release"), received(1.4, "b"), settled(1.6, "delete", "b1")),
            *(received(2, count=2), settled(3, "delete", "a2")),
        ),
        "the next one though the first's lease only ended": (
            *(*_ORDERED, received(1), received(3.5, "b"), settled(4, "delete", "b1")),
            *(received(5, count=2), settled(6, "delete", "a2")),
        ),
    },
    "Q1": {
        "twice": (*_TWICE, dead(5.6), dead(5.6)),
        "dead and given out": (*_TWICE, dead(5.6), received(7, count=2, receipt="a3")),
        "once too often": (*_TWICE, received(6, count=3), dead(8.1, 3)),
        "rejected and nowhere": (sent(), received(1), settled(2, "reject")),
    },
    "Q2": {
        "with a delivery left": (sent(), received(1), dead(3.5, 1)),
        "while its last lease stood": (*_TWICE, dead(4)),
    },
}
_BROKEN["S6"]["dead after its delete"] = (*_TWICE, settled(4, "delete", "a2"), dead(5.6))


@pytest.mark.parametrize("name", _SOUND)
def test_a_sound_history_is_not_accused(name: str) -> None:
    assert rules(*_SOUND[name]) == set()


@pytest.mark.parametrize(("rule", "name"), [(rule, name) for rule, histories in _BROKEN.items() for name in histories])
def test_a_planted_fault_is_caught_by_name(rule: str, name: str) -> None:
    assert rule in rules(*_BROKEN[rule][name])


def test_one_fault_is_not_called_by_every_name() -> None:
    accused = {name: rules(*events) for histories in _BROKEN.values() for name, events in histories.items()}
    assert all(len(broken) <= 2 for broken in accused.values()), accused


def test_nothing_is_called_lost_unless_the_queue_was_drained() -> None:
    assert rules(sent(), drained=False) == set()


def test_it_tells_what_was_exercised() -> None:
    history = History(
        sent=[sent()], received=[received(1)], settled=[settled(2, "delete")], faults=[Fault(at(1), "worker")]
    )
    assert history.exercised() == "delete 204 1, deliveries 1, killed worker 1, sends 1"
