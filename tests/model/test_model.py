"""Whatever is asked, in whatever order: the service answers as a queue of plain lists would.

MODEL_EXAMPLES=1000 looks for more, other ones each time; what fails is printed as a program to be run again.
"""

import os
from collections.abc import Iterator
from functools import partial
from itertools import count
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from service.store.migrate import migrate
from tests.clock import shiftable
from tests.conftest import apart, created
from tests.model.queue_model import DeadLetter, Message, Model, Queue
from tests.model.served import Served, served

_EXAMPLES = os.environ.get("MODEL_EXAMPLES")
# MODEL_SHRINK=0: what fails is not made smaller, which takes minutes.
_PHASES = tuple(phase for phase in Phase if phase != Phase.shrink or os.environ.get("MODEL_SHRINK") != "0")
_SETTINGS = settings(
    max_examples=int(_EXAMPLES or 15),
    stateful_step_count=40,
    derandomize=_EXAMPLES is None,
    database=None,
    deadline=None,
    print_blob=True,
    phases=_PHASES,
    suppress_health_check=list(HealthCheck),
)
_TICK = 1000
_FORGED = "A" * 64
_names = count(1)

_which = st.sampled_from(["main", "dead"])
_ticks = st.sampled_from([0, 0, 1, 2, 5])
_most = st.sampled_from([1, 2, 3, 10])
_timeouts = st.sampled_from([None, None, 0, 1, 3])
_groups = st.sampled_from([None, "a", "b"])
_verbs = st.sampled_from(["release", "extend", "reject", "delete", "release"])
_fields = st.fixed_dictionaries(
    {},
    optional={
        "delay": st.sampled_from([0, 1, 3]),
        "ttl": st.sampled_from([1, 2, 4]),
        "group": _groups,
        "priority": st.integers(0, 9),
    },
)
_settle: dict[str, Any] = {
    "verb": _verbs,
    "ticks": _ticks,
    "error": st.sampled_from([None, "oops", "ouch"]),
    "counted": st.sampled_from([True, True, False]),
    "batch": st.booleans(),
}
# Which of those that there are; counted round.
_place = st.integers(0, 11)
_MANY = 12


class Machine(RuleBasedStateMachine):
    """One caller of a queue and its dead-letter queue, of one type."""

    def __init__(self, service: Served, *, fifo: bool) -> None:
        super().__init__()
        self._service, self._fifo = service, fifo
        self._model = Model()
        self._bodies = count(1)
        self._receipts: list[str] = []
        number = next(_names)
        self._names = {"main": f"main-{number}", "dead": f"dead-{number}"}
        for name in ("dead", "main"):
            self._make(name)

    def _holds(self) -> int:
        return sum(len(queue.messages) for queue in self._model.queues.values())

    def _current(self) -> list[str]:
        return [receipt for receipt in self._receipts if self._model.current(receipt)]

    def _is_any_visible(self) -> bool:
        return any(any(map(self._model.is_visible, queue.messages)) for queue in self._model.queues.values())

    def _queue(self, which: str) -> Queue:
        return self._model.queues[self._names[which]]

    def _ask(self, method: str, path: str, document: Any = None) -> httpx.Response:
        return self._service.http.request(method, f"/v1{path}", json=document)

    def _path(self, queue: Queue) -> str:
        return f"/queues/{queue.name}"

    def _make(self, which: str) -> None:
        queue = Queue(self._names[which], self._fifo)
        if which == "main":
            queue.dead_letter = DeadLetter(self._names["dead"], 2, expired=False)
        self._model.queues[queue.name] = queue
        self._configure(queue, "PUT")

    def _configure(self, queue: Queue, method: str = "PATCH") -> None:
        letter = queue.dead_letter
        document: dict[str, Any] = {
            "visibility_timeout": queue.visibility_timeout * _TICK,
            "delay": queue.delay * _TICK,
            "retention": None if queue.retention is None else queue.retention * _TICK,
            "deduplication_window": queue.window * _TICK,
            "paused": queue.paused,
            "dead_letter": letter
            and {"queue": letter.queue, "max_receives": letter.max_receives, "expired": letter.expired},
        }
        if method == "PUT":
            document["type"] = "fifo" if self._fifo else "standard"
        answer = self._ask(method, self._path(queue), document)
        assert answer.status_code in {200, 201}, answer.text

    def _draft(self, fields: dict[str, Any]) -> dict[str, Any]:
        draft = {"body": next(self._bodies), **{name: value for name, value in fields.items() if value is not None}}
        for name in {"delay", "ttl"} & draft.keys():
            draft[name] *= _TICK
        if self._fifo:
            draft.pop("priority", None)
        return draft

    @initialize(members=st.lists(_fields, min_size=3, max_size=8))
    def begin(self, members: list[dict[str, Any]]) -> None:
        self.send("main", members, batch=False)

    @precondition(lambda self: self._holds() < _MANY)
    @rule(which=_which, members=st.lists(_fields, min_size=1, max_size=4), batch=st.booleans())
    def send(self, which: str, members: list[dict[str, Any]], batch: bool) -> None:  # noqa: FBT001
        queue, drafts = self._queue(which), [self._draft(fields) for fields in members]
        for some in [drafts] if batch else [[draft] for draft in drafts]:
            path = f"{self._path(queue)}/messages"
            answer = (
                self._ask("POST", f"{path}/batch", {"messages": some}) if batch else self._ask("POST", path, some[0])
            )
            assert answer.status_code == 201, answer.text
            document, at = answer.json(), self._model.moment()
            for draft, sent in zip(some, document.get("messages", [document]), strict=True):
                self._sent(queue, draft, sent["id"], at)

    def _sent(self, queue: Queue, draft: dict[str, Any], message_id: str, at: tuple[int, int]) -> None:
        fields = dict(draft)
        for name in {"delay", "ttl"} & draft.keys():
            fields[name] //= _TICK
        self._model.send(queue, message_id, draft["body"], at, fields)

    @precondition(lambda self: self._holds() < _MANY)
    @rule(which=_which, name=st.sampled_from("xyz"), group=_groups)
    def send_once(self, which: str, name: str, group: str | None) -> None:
        queue, model = self._queue(which), self._model
        draft = self._draft({"group": group}) | {"deduplication_id": name}
        answer = self._ask("POST", f"{self._path(queue)}/messages", draft)
        sent, first = answer.json(), queue.known.get(name)
        if first is not None and first[1] > model.now:
            assert (answer.status_code, sent["id"], sent["duplicate"]) == (200, first[0], True), answer.text
            return
        assert (answer.status_code, sent["duplicate"]) == (201, False), answer.text
        queue.known[name] = sent["id"], model.now + queue.window
        self._sent(queue, draft, sent["id"], model.moment())

    @precondition(_is_any_visible)
    @rule(most=_most, timeout=_timeouts)
    def receive(self, most: int, timeout: int | None) -> None:
        """Receive where there is something."""
        queues = [queue for queue in self._model.queues.values() if any(map(self._model.is_visible, queue.messages))]
        self._receive(queues[most % len(queues)], most, timeout)

    @rule(which=_which, most=_most, timeout=_timeouts)
    def receive_of(self, which: str, most: int, timeout: int | None) -> None:
        """Receive whether or not there is something."""
        self._receive(self._queue(which), most, timeout)

    def _receive(self, queue: Queue, most: int, timeout: int | None) -> None:
        document = {"max_messages": most} | ({} if timeout is None else {"visibility_timeout": timeout * _TICK})
        answer = self._ask("POST", f"{self._path(queue)}/messages/receive", document)
        assert answer.status_code == 200, answer.text
        received = answer.json()["messages"]
        by_id = {message.id: message for message in queue.messages}
        assert {document["id"] for document in received} <= by_id.keys(), "received what is not in the queue"
        messages = [by_id[document["id"]] for document in received]
        if queue.paused:
            assert not messages, "received from a paused queue"
        elif self._fifo:
            self._check_runs(queue, messages, most)
        else:
            self._check_order(queue, messages, most)
        until = self._model.moment(queue.visibility_timeout if timeout is None else timeout)
        for message, document in zip(messages, received, strict=True):
            self._model.lease(queue, message, document["receipt"], until)
            self._check_received(message, document)
            self._receipts.append(document["receipt"])

    def _check_order(self, queue: Queue, messages: list[Message], most: int) -> None:
        """See that nothing was passed over."""
        ready = sorted(filter(self._model.is_visible, queue.messages), key=_turn)
        assert sorted(messages, key=_turn) == messages, "not in the order of priority and time"
        assert [_turn(message) for message in ready[:most]] == [_turn(message) for message in messages]
        assert all(message in ready for message in messages), "received what is not ready"

    def _check_runs(self, queue: Queue, messages: list[Message], most: int) -> None:
        """See that each group is taken from its head on, and that the answer is as full as what it was filled from."""
        runs = {run[0].group: run for run in self._model.runs(queue)}
        taken: dict[str | None, list[Message]] = {}
        for message in messages:
            taken.setdefault(message.group, []).append(message)
        for group, part in taken.items():
            assert part == runs.get(group, [])[: len(part)], f"group {group} not in order, or held"
        assert len(messages) <= most
        assert bool(messages) == bool(runs), "nothing received though a group is free"
        depths = [len(self._model.groups(queue)[group]) for group in taken]
        if sum(depths) < most:
            assert taken == runs, "an answer with room passed over a free group"

    def _check_received(self, message: Message, document: dict[str, Any]) -> None:
        shown = {"body": message.body, "group": message.group, "priority": message.priority}
        shown |= {"receive_count": message.receive_count, "last_error": message.last_error}
        block = document.get("dead_letter")
        assert {name: document.get(name) for name in shown} == shown
        assert (block and {name: value for name, value in block.items() if name != "at"}) == message.dead_letter

    def _receipt(self, place: int) -> str:
        """Return a receipt that holds something, as far as there are some, else an older or a forged one."""
        current = self._current()
        return current[place] if place < len(current) else self._older(place - len(current))

    def _older(self, place: int) -> str:
        return self._receipts[-1 - place] if place < len(self._receipts) else _FORGED

    @precondition(lambda self: bool(self._current()))
    @rule(place=_place, **_settle)
    def settle(  # noqa: PLR0917
        self,
        place: int,
        verb: str,
        ticks: int,
        error: str | None,
        counted: bool,  # noqa: FBT001
        batch: bool,  # noqa: FBT001
    ) -> None:
        """Settle a lease that there is."""
        current = self._current()
        self._settle(current[place % len(current)], verb, ticks, error, counted=counted, batch=batch)

    @precondition(lambda self: self._receipts)
    @rule(place=_place, **_settle)
    def settle_late(  # noqa: PLR0917
        self,
        place: int,
        verb: str,
        ticks: int,
        error: str | None,
        counted: bool,  # noqa: FBT001
        batch: bool,  # noqa: FBT001
    ) -> None:
        """Use a receipt of late, whether or not it is still good."""
        self._settle(self._older(place), verb, ticks, error, counted=counted, batch=batch)

    def _settle(
        self,
        receipt: str,
        verb: str,
        ticks: int,
        error: str | None,
        *,
        counted: bool,
        batch: bool,
    ) -> None:
        model = self._model
        fields = _call(verb, ticks, error, counted=counted)
        if batch:
            item = {"receipt": receipt, "action": verb, **fields}
            [result] = self._ask("POST", "/receipts/batch", {"items": [item]}).json()["results"]
            code = result["status"]
        else:
            code = _code(self._settle_one(receipt, verb, fields))
        self._settled(receipt, verb, code, ticks, error, counted=counted)
        assert model.current(receipt) is None or verb == "extend" or code != "ok"

    def _settle_one(self, receipt: str, verb: str, fields: dict[str, Any]) -> httpx.Response:
        path = f"/receipts/{receipt}"
        if verb == "delete":
            return self._ask("DELETE", path)
        if verb == "extend":
            return self._ask("PATCH", path, fields)
        return self._ask("POST", f"{path}/{verb}", fields)

    def _settled(self, receipt: str, verb: str, code: str, ticks: int, error: str | None, *, counted: bool) -> None:
        """Compare what a call with a receipt was answered, and do it here too."""
        if self._model.current(receipt) is not None:
            assert code == "ok", f"{verb} refused: {code}"
            self._model.settle(receipt, verb, ticks, error, counted=counted or verb != "release")
        else:
            expected = self._model.refusal(receipt, verb)
            assert code in expected, f"{verb} with a receipt that holds nothing: {code}, not {expected}"

    @precondition(lambda self: bool(self._current()))
    @rule(places=st.lists(_place, min_size=2, max_size=5), verbs=st.lists(_verbs, min_size=5, max_size=5))
    def settle_many(self, places: list[int], verbs: list[str]) -> None:
        calls = [(self._receipt(place), verb) for place, verb in zip(places, verbs, strict=False)]
        items = [{"receipt": receipt, "action": verb, **_call(verb, 1, "batch")} for receipt, verb in calls]
        results = self._ask("POST", "/receipts/batch", {"items": items}).json()["results"]
        with self._model.at_once():
            for (receipt, verb), result in zip(calls, results, strict=True):
                self._settled(receipt, verb, result["status"], 1, "batch", counted=True)
        self._learn_places()

    @precondition(lambda self: bool(self._current()))
    @rule(
        places=st.lists(st.integers(0, 4), min_size=1, max_size=3, unique=True),
        verb=_verbs,
        which=_which,
        group=_groups,
    )
    def transact(self, places: list[int], verb: str, which: str, group: str | None) -> None:
        """Settle and send at once; then ask again, which does nothing and answers the same."""
        receipts = list(dict.fromkeys(self._receipt(place) for place in places))
        queue, draft = self._queue(which), self._draft({"group": group})
        items = [{"receipt": receipt, "action": verb, **_call(verb, 1, "sent on")} for receipt in receipts]
        document = {"settle": items, "send": [draft | {"queue": queue.name}]}
        answer = self._ask("POST", "/transactions", document)
        if all(self._model.current(receipt) for receipt in receipts):
            assert answer.status_code == 200, answer.text
            with self._model.at_once():
                for receipt in receipts:
                    self._settled(receipt, verb, "ok", 1, "sent on", counted=True)
            self._sent(queue, draft, answer.json()["messages"][0]["id"], self._model.moment())
            again = self._ask("POST", "/transactions", document)
            assert (again.status_code, again.json()) == (200, answer.json())
            self._learn_places()
        else:
            assert answer.status_code in {404, 409}, answer.text

    @rule(ticks=st.integers(1, 4))
    def time_passes(self, ticks: int) -> None:
        self._model.now += ticks
        self._service.pass_time(ticks * _TICK)

    @precondition(lambda self: self._holds() > 2)
    @rule(place=_place)
    def remove(self, place: int) -> None:
        """Delete a message by its id."""
        model = self._model
        held = [(queue, message) for queue in model.queues.values() for message in queue.messages]
        queue, message = held[place % len(held)]
        answer = self._ask("DELETE", f"{self._path(queue)}/messages/{message.id}")
        if model.is_held(message):
            assert answer.json()["code"] == "message_leased"
        else:
            assert answer.status_code == 204, answer.text
            queue.messages.remove(message)

    @precondition(lambda self: self._holds() >= _MANY)
    @rule(which=_which)
    def purge(self, which: str) -> None:
        queue = self._queue(which)
        answer = self._ask("POST", f"{self._path(queue)}/purge")
        assert answer.json() == {"purged": len(queue.messages)}
        queue.messages.clear()
        queue.known.clear()

    @precondition(lambda self: self._holds() >= _MANY)
    @rule()
    def make_anew(self) -> None:
        queue = self._queue("main")
        assert self._ask("DELETE", self._path(queue)).status_code == 204
        self._make("main")

    @rule(which=_which)
    def pause(self, which: str) -> None:
        """Pause the queue for a receive, at most."""
        queue = self._queue(which)
        queue.paused = not queue.paused
        self._configure(queue)
        self._receive(queue, 2, None)
        queue.paused = False
        self._configure(queue)

    @rule(most=st.sampled_from([None, 1, 1, 2, 3]), expired=st.booleans())
    def change_dead_letters(self, most: int | None, expired: bool) -> None:  # noqa: FBT001
        queue = self._queue("main")
        queue.dead_letter = None if most is None else DeadLetter(self._names["dead"], most, expired)
        self._configure(queue)

    @rule(which=_which, retention=st.sampled_from([None, 2, 4]), delay=st.sampled_from([0, 0, 1]))
    def change_times(self, which: str, retention: int | None, delay: int) -> None:
        queue = self._queue(which)
        queue.retention, queue.delay = retention, delay
        self._configure(queue)

    @precondition(lambda self: self._queue("dead").messages)
    @rule(to=st.sampled_from([None, "main"]))
    def redrive(self, to: str | None) -> None:
        dead, name = self._queue("dead"), to and self._names[to]
        answer = self._ask("POST", f"{self._path(dead)}/redrive", {} if name is None else {"to": name})
        assert answer.status_code == 202, answer.text
        self._service.do_chores()
        task = self._ask("GET", f"/tasks/{answer.json()['id']}").json()
        assert task["state"] == "done"
        assert (task["moved"], task["skipped"]) == self._model.redrive(dead, name)

    @invariant()
    def everything_is_where_it_has_to_be(self) -> None:
        self._do_chores()
        for queue in self._model.queues.values():
            stats = self._ask("GET", self._path(queue)).json()["stats"]
            assert {name: stats[name] for name in ("ready", "delayed", "leased", "total")} == self._model.stats(queue)

    def _do_chores(self) -> None:
        """Do the chores where there is something to do; what they may do in any order they did in some order."""
        model = self._model
        leaving = model.leaving()
        if not leaving:
            return
        self._service.do_chores()
        at = model.moment()
        for queue, message, reason in sorted(leaving, key=lambda one: (one[2], one[1].visible)):
            model.leave(queue, message, reason, at)
        if self._fifo:
            self._check_places(leaving)

    def _check_places(self, came: list[tuple[Queue, Message, str]]) -> None:
        """See that those that came for one reason at one moment kept their order; learn that of the others."""
        places = self._learn_places()
        alike: dict[tuple[Any, ...], list[int]] = {}
        for _, message, reason in came:
            if message.id in places:
                alike.setdefault((reason, message.group, message.visible), []).append(places[message.id])
        assert all(sorted(part) == part for part in alike.values()), "dead letters out of order"

    def _learn_places(self) -> dict[str, int]:
        """Learn in which order messages that left at once came to the dead-letter queue; return their places."""
        dead = self._queue("dead")
        places = {message_id: place for place, message_id in enumerate(self._service.places(dead.name))}
        if self._fifo:
            assert places.keys() == {message.id for message in dead.messages}
            dead.messages.sort(key=lambda message: places[message.id])
        return places

    # Rules are chosen by their names: these more often than the others.
    receive_1 = receive_2 = receive
    settle_1 = settle_2 = settle

    def teardown(self) -> None:
        for queue in reversed(self._model.queues.values()):
            self._ask("DELETE", self._path(queue))


def _turn(message: Message) -> tuple[int, tuple[int, int]]:
    return -message.priority, message.visible


def _call(verb: str, ticks: int, error: str | None, *, counted: bool = True) -> dict[str, Any]:
    """Return the fields of a call with a receipt."""
    by_verb: dict[str, dict[str, Any]] = {
        "delete": {},
        "extend": {"visibility_timeout": ticks * _TICK},
        "release": {"delay": ticks * _TICK, "count": counted},
        "reject": {},
    }
    told = {"error": error} if error is not None and verb in {"release", "reject"} else {}
    return by_verb[verb] | told


def _code(answer: httpx.Response) -> str:
    return "ok" if answer.is_success else str(answer.json()["code"])


@pytest.fixture(scope="module")
def service(postgres: str) -> Iterator[Served]:
    for database in created(postgres):
        apart(migrate(database))
        apart(shiftable(database))
        with served(database) as service:
            yield service


@pytest.mark.timeout(0 if _EXAMPLES else 120)
@pytest.mark.parametrize("kind", ["standard", "fifo"])
def test_a_queue_answers_as_its_model_whatever_is_asked(service: Served, kind: str) -> None:
    # Whatever makes a machine will do.
    machine: Any = partial(Machine, service, fifo=kind == "fifo")
    run_state_machine_as_test(machine, settings=_SETTINGS)
