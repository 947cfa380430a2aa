"""What can be asked of a queue and its dead-letter queue, in any order that Hypothesis likes."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.model.client import TICK, Call, Client, path
from tests.model.queue_model import DeadLetter, Queue
from tests.model.served import Served

_MANY = 12

_which = st.sampled_from(["main", "dead"])
_groups = st.sampled_from([None, "a", "b"])
_most = st.sampled_from([1, 2, 3, 10])
_timeouts = st.sampled_from([None, None, 0, 1, 3])
# Which of those that there are.
_place = st.integers(0, 11)
_fields = st.fixed_dictionaries(
    {},
    optional={
        "delay": st.sampled_from([0, 1, 3]),
        "ttl": st.sampled_from([1, 2, 4]),
        "group": _groups,
        "priority": st.integers(0, 9),
    },
)
_calls = st.builds(
    Call,
    verb=st.sampled_from(["release", "extend", "reject", "delete", "release"]),
    by=st.sampled_from([0, 0, 1, 2, 5]),
    error=st.sampled_from([None, "oops", "ouch"]),
    counted=st.sampled_from([True, True, False]),
    batch=st.booleans(),
    drop=st.booleans(),
)


class Machine(RuleBasedStateMachine):
    """One caller. What needs messages or leases is asked when there are some."""

    def __init__(self, service: Served, *, fifo: bool) -> None:
        super().__init__()
        self._client = Client(service, fifo=fifo)
        self._model = self._client.model

    def _holds(self) -> int:
        return sum(len(queue.messages) for queue in self._model.queues.values())

    def _has_room(self) -> bool:
        return self._holds() < _MANY

    def _is_full(self) -> bool:
        return self._holds() >= _MANY

    def _visible(self) -> list[Queue]:
        queues = self._model.queues.values()
        return [queue for queue in queues if any(map(self._model.is_visible, queue.messages))]

    def _is_any_visible(self) -> bool:
        return bool(self._visible())

    def _has_leases(self) -> bool:
        return bool(self._client.current())

    @initialize(members=st.lists(_fields, min_size=3, max_size=8))
    def begin(self, members: list[dict[str, Any]]) -> None:
        self._client.send(self._client.queue("main"), list(map(self._client.draft, members)), batch=False)

    @precondition(_has_room)
    @rule(which=_which, members=st.lists(_fields, min_size=1, max_size=4), batch=st.booleans())
    def send(self, *, which: str, members: list[dict[str, Any]], batch: bool) -> None:
        self._client.send(self._client.queue(which), list(map(self._client.draft, members)), batch=batch)

    @precondition(_has_room)
    @rule(which=_which, name=st.sampled_from("xyz"), group=_groups)
    def send_once(self, which: str, name: str, group: str | None) -> None:
        """Send with a deduplication id that may have been used."""
        queue, now = self._client.queue(which), self._model.now
        draft = self._client.draft({"group": group}) | {"deduplication_id": name}
        answer = self._client.ask("POST", f"{path(queue)}/messages", draft)
        sent, first = answer.json(), queue.known.get(name)
        if first is not None and first[1] > now:
            assert (answer.status_code, sent["id"], sent["duplicate"]) == (200, first[0], True), answer.text
            return
        assert (answer.status_code, sent["duplicate"]) == (201, False), answer.text
        queue.known[name] = sent["id"], now + queue.window
        self._client.sent(queue, draft, sent["id"], self._model.moment())

    @precondition(_is_any_visible)
    @rule(most=_most, timeout=_timeouts)
    def receive(self, most: int, timeout: int | None) -> None:
        """Receive where there is something."""
        queues = self._visible()
        self._client.receive(queues[most % len(queues)], most, timeout)

    @rule(which=_which, most=_most, timeout=_timeouts)
    def receive_anywhere(self, which: str, most: int, timeout: int | None) -> None:
        """Receive whether or not there is something."""
        self._client.receive(self._client.queue(which), most, timeout)

    @precondition(_has_leases)
    @rule(place=_place, call=_calls)
    def settle(self, place: int, call: Call) -> None:
        """Settle a lease that there is."""
        current = self._client.current()
        self._client.settle(current[place % len(current)], call)

    @rule(place=_place, call=_calls)
    def settle_late(self, place: int, call: Call) -> None:
        """Use a receipt whether or not it is still good."""
        self._client.settle(self._client.older(place), call)

    @precondition(_has_leases)
    @rule(calls=st.lists(st.tuples(_place, _calls), min_size=2, max_size=5))
    def settle_many(self, calls: list[tuple[int, Call]]) -> None:
        self._client.settle_many([(self._client.any_receipt(place), call) for place, call in calls])

    @precondition(_has_leases)
    @rule(places=st.lists(st.integers(0, 4), min_size=1, max_size=3, unique=True), call=_calls, which=_which)
    def transact(self, places: list[int], call: Call, which: str) -> None:
        receipts = list(dict.fromkeys(map(self._client.any_receipt, places)))
        self._client.transact(receipts, call, self._client.queue(which), self._client.draft({}))

    @rule(ticks=st.integers(1, 4))
    def time_passes(self, ticks: int) -> None:
        self._model.now += ticks
        self._client.service.pass_time(ticks * TICK)

    @precondition(lambda self: self._holds() > 2)
    @rule(place=_place)
    def remove(self, place: int) -> None:
        """Delete a message by its id."""
        held = [(queue, message) for queue in self._model.queues.values() for message in queue.messages]
        queue, message = held[place % len(held)]
        answer = self._client.ask("DELETE", f"{path(queue)}/messages/{message.id}")
        if self._model.is_held(message):
            assert answer.json()["code"] == "message_leased"
        else:
            assert answer.status_code == 204, answer.text
            queue.messages.remove(message)

    @precondition(_is_full)
    @rule(which=_which)
    def purge(self, which: str) -> None:
        queue = self._client.queue(which)
        answer = self._client.ask("POST", f"{path(queue)}/purge")
        assert answer.json() == {"purged": len(queue.messages)}
        queue.messages.clear()
        queue.known.clear()

    @precondition(_is_full)
    @rule()
    def make_anew(self) -> None:
        assert self._client.ask("DELETE", path(self._client.queue("main"))).status_code == 204
        self._client.make("main")

    @rule(which=_which)
    def pause(self, which: str) -> None:
        """Pause a queue for the time of a receive."""
        queue = self._client.queue(which)
        for queue.paused in (True, False):
            self._client.configure(queue)
            self._client.receive(queue, 2, None)

    @rule(most=st.sampled_from([None, 1, 1, 2, 3]), expired=st.booleans())
    def change_dead_letters(self, *, most: int | None, expired: bool) -> None:
        queue, dead = self._client.queue("main"), self._client.queue("dead")
        queue.dead_letter = None if most is None else DeadLetter(dead.name, most, expired)
        self._client.configure(queue)

    @rule(which=_which, retention=st.sampled_from([None, 2, 4]), delay=st.sampled_from([0, 0, 1]))
    def change_times(self, which: str, retention: int | None, delay: int) -> None:
        queue = self._client.queue(which)
        queue.retention, queue.delay = retention, delay
        self._client.configure(queue)

    @precondition(lambda self: self._client.queue("dead").messages)
    @rule(to=st.sampled_from([None, "main"]))
    def redrive(self, to: str | None) -> None:
        dead, name = self._client.queue("dead"), to and self._client.queue(to).name
        answer = self._client.ask("POST", f"{path(dead)}/redrive", {} if name is None else {"to": name})
        assert answer.status_code == 202, answer.text
        self._client.service.do_chores()
        task = self._client.ask("GET", f"/tasks/{answer.json()['id']}").json()
        assert task["state"] == "done"
        assert (task["moved"], task["skipped"]) == self._model.redrive(dead, name)

    # Rules are chosen by these names: what moves most, more often.
    receive_1 = receive_2 = receive
    settle_1 = settle_2 = settle

    @invariant()
    def everything_is_where_it_has_to_be(self) -> None:
        self._client.do_chores()
        self._client.check_stats()

    def teardown(self) -> None:
        self._client.close()
