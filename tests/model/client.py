"""A client that does everything twice, with the service and with the model, and compares what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import httpx

from tests.model.queue_model import DeadLetter, Message, Model, Moment, Queue
from tests.model.served import Served

# By far longer than all that is asked in one example takes.
TICK = 1000
_FORGED = "A" * 64
_names = count(1)


@dataclass(frozen=True)
class Call:
    """What is done with a receipt; `by`, `counted`, `drop` if the verb knows them. `batch`: as a batch of one."""

    verb: str
    by: int = 0
    error: str | None = None
    counted: bool = True
    batch: bool = False
    drop: bool = True

    def document(self) -> dict[str, Any]:
        """Return it as the service has it."""
        if self.verb == "delete":
            return {}
        if self.verb == "extend":
            return {"visibility_timeout": self.by * TICK}
        told = {} if self.error is None else {"error": self.error}
        if self.verb == "reject":
            return told | {"drop": self.drop}
        return told | {"delay": self.by * TICK, "count": self.counted}

    def item(self, receipt: str) -> dict[str, Any]:
        """Return it as a member of a batch or transaction."""
        return {"receipt": receipt, "action": self.verb, **self.document()}


class Client:
    """It has a queue and its dead-letter queue, of one type."""

    def __init__(self, service: Served, *, fifo: bool) -> None:
        self.service, self.fifo = service, fifo
        self.model = Model()
        self.receipts: list[str] = []
        self._bodies = count(1)
        number = next(_names)
        self._names = {"main": f"main-{number}", "dead": f"dead-{number}"}
        for which in ("dead", "main"):
            self.make(which)

    def close(self) -> None:
        """Delete the queues."""
        for queue in reversed(self.model.queues.values()):
            self.ask("DELETE", path(queue))

    def ask(self, method: str, below: str, document: Any = None) -> httpx.Response:
        """Ask the service."""
        return self.service.http.request(method, f"/v1{below}", json=document)

    def queue(self, which: str) -> Queue:
        """Return the model's `main` or `dead`."""
        return self.model.queues[self._names[which]]

    def make(self, which: str) -> None:
        """Make a queue, anew if there was one."""
        queue = Queue(self._names[which], self.fifo)
        if which == "main":
            queue.dead_letter = DeadLetter(self._names["dead"], 2, expired=False)
        self.model.queues[queue.name] = queue
        self.configure(queue, "PUT")

    def configure(self, queue: Queue, method: str = "PATCH") -> None:
        """Give the service's queue the configuration of the model's."""
        letter = queue.dead_letter
        document: dict[str, Any] = {
            "visibility_timeout": queue.visibility_timeout * TICK,
            "delay": queue.delay * TICK,
            "retention": None if queue.retention is None else queue.retention * TICK,
            "deduplication_window": queue.window * TICK,
            "paused": queue.paused,
            "dead_letter": letter
            and {"queue": letter.queue, "max_receives": letter.max_receives, "expired": letter.expired},
        }
        if method == "PUT":
            document["type"] = "fifo" if self.fifo else "standard"
        answer = self.ask(method, path(queue), document)
        assert answer.status_code in {200, 201}, answer.text

    def draft(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Return a message to send, no two alike."""
        draft = {"body": next(self._bodies), **{name: value for name, value in fields.items() if value is not None}}
        for name in {"delay", "ttl"} & draft.keys():
            draft[name] *= TICK
        if self.fifo:
            draft.pop("priority", None)
        return draft

    def send(self, queue: Queue, drafts: list[dict[str, Any]], *, batch: bool) -> None:
        """Send messages one by one or together."""
        for some in [drafts] if batch else [[draft] for draft in drafts]:
            below, document = f"{path(queue)}/messages", some[0]
            if batch:
                below, document = f"{below}/batch", {"messages": some}
            answer = self.ask("POST", below, document)
            assert answer.status_code == 201, answer.text
            told, at = answer.json(), self.model.moment()
            for draft, sent in zip(some, told.get("messages", [told]), strict=True):
                self.sent(queue, draft, sent["id"], at)

    def sent(self, queue: Queue, draft: dict[str, Any], message_id: str, at: Moment) -> None:
        """Store in the model what the service has stored."""
        fields = dict(draft)
        for name in {"delay", "ttl"} & draft.keys():
            fields[name] //= TICK
        self.model.send(queue, message_id, draft["body"], at, fields)

    def receive(self, queue: Queue, most: int, timeout: int | None) -> None:
        """Receive once, without waiting."""
        document = {"max_messages": most} | ({} if timeout is None else {"visibility_timeout": timeout * TICK})
        answer = self.ask("POST", f"{path(queue)}/messages/receive", document)
        assert answer.status_code == 200, answer.text
        received = answer.json()["messages"]
        by_id = {message.id: message for message in queue.messages}
        assert {document["id"] for document in received} <= by_id.keys(), "received what is not in the queue"
        messages = [by_id[document["id"]] for document in received]
        if queue.paused:
            assert not messages, "received from a paused queue"
        elif self.fifo:
            self._check_runs(queue, messages, most)
        else:
            self._check_order(queue, messages, most)
        until = self.model.moment(queue.visibility_timeout if timeout is None else timeout)
        for message, document in zip(messages, received, strict=True):
            self.model.lease(queue, message, document["receipt"], until)
            _check_received(message, document)
            self.receipts.append(document["receipt"])

    def _check_order(self, queue: Queue, messages: list[Message], most: int) -> None:
        """See that nothing was passed over."""
        ready = sorted(filter(self.model.is_visible, queue.messages), key=_turn)
        assert all(message in ready for message in messages), "received what is not ready"
        assert [_turn(message) for message in messages] == [_turn(message) for message in ready[:most]]

    def _check_runs(self, queue: Queue, messages: list[Message], most: int) -> None:
        """See that each group is taken from its head on, and the answer as full as what it was filled from."""
        runs = {run[0].group: run for run in self.model.runs(queue)}
        taken: dict[str | None, list[Message]] = {}
        for message in messages:
            taken.setdefault(message.group, []).append(message)
        for group, part in taken.items():
            assert part == runs.get(group, [])[: len(part)], f"group {group} not in order, or held"
        assert len(messages) <= most
        assert bool(messages) == bool(runs), "nothing received though a group is free"
        groups = self.model.groups(queue)
        if sum(len(groups[group]) for group in taken) < most:
            assert taken == runs, "an answer with room passed over a free group"

    def current(self) -> list[str]:
        """Return the receipts that hold something."""
        return [receipt for receipt in self.receipts if self.model.current(receipt)]

    def older(self, place: int) -> str:
        """Return a receipt counted from the latest; a forged one where there are not so many."""
        return self.receipts[-1 - place] if place < len(self.receipts) else _FORGED

    def any_receipt(self, place: int) -> str:
        """Return one that holds something, as far as there are some, else an older one."""
        current = self.current()
        return current[place] if place < len(current) else self.older(place - len(current))

    def settle(self, receipt: str, call: Call) -> None:
        """Use a receipt."""
        if call.batch:
            answer = self.ask("POST", "/receipts/batch", {"items": [call.item(receipt)]})
            code = answer.json()["results"][0]["status"]
        else:
            answer = self._settle_one(receipt, call)
            code = "ok" if answer.is_success else answer.json()["code"]
        self.settled(receipt, call, code)

    def _settle_one(self, receipt: str, call: Call) -> httpx.Response:
        below = f"/receipts/{receipt}"
        if call.verb == "delete":
            return self.ask("DELETE", below)
        if call.verb == "extend":
            return self.ask("PATCH", below, call.document())
        return self.ask("POST", f"{below}/{call.verb}", call.document())

    def settle_many(self, calls: Sequence[tuple[str, Call]]) -> None:
        """Use receipts in one batch."""
        items = [call.item(receipt) for receipt, call in calls]
        results = self.ask("POST", "/receipts/batch", {"items": items}).json()["results"]
        with self.model.at_once():
            for (receipt, call), result in zip(calls, results, strict=True):
                self.settled(receipt, call, result["status"], among_others=True)
        self.learn_places()

    def settled(self, receipt: str, call: Call, code: str, *, among_others: bool = False) -> None:
        """Compare what the use of a receipt was answered, and do it in the model."""
        if among_others and self.model.retakes(receipt, call.verb):
            # Another of them may have let the group go by then, or taken hold of it.
            serves = code == "ok"
        else:
            serves = self.model.serves(receipt, call.verb)
        if serves and self._would_lose(receipt, call):
            assert code == "no_dead_letter_queue", f"{call} would lose its message: {code}"
        elif serves:
            assert code == "ok", f"{call} refused: {code}"
            self.model.settle(receipt, call.verb, call.by, call.error, counted=call.counted or call.verb != "release")
        else:
            expected = self.model.refusal(receipt, call.verb)
            assert code in expected, f"{call} with a receipt that holds nothing: {code}, not {expected}"

    def _would_lose(self, receipt: str, call: Call) -> bool:
        """Tell whether a call that could be done is a reject into nowhere."""
        lease = self.model.current(receipt)
        return call.verb == "reject" and not call.drop and lease is not None and lease.queue.dead_letter is None

    def transact(self, receipts: list[str], call: Call, queue: Queue, draft: dict[str, Any]) -> None:
        """Settle and send at once; then ask again, which does nothing and answers the same."""
        document = {
            "settle": [call.item(receipt) for receipt in receipts],
            "send": [draft | {"queue": queue.name}],
        }
        answer = self.ask("POST", "/transactions", document)
        # What one of them does to a group decides whether another one may take hold of it again.
        among_others = len(set(receipts)) > 1 and any(self.model.retakes(receipt, call.verb) for receipt in receipts)
        serves = all(
            self.model.current(receipt) is not None if among_others else self.model.serves(receipt, call.verb)
            for receipt in receipts
        )
        serves = serves and not any(self._would_lose(receipt, call) for receipt in receipts)
        if not serves or (among_others and answer.status_code == 409):
            assert answer.status_code in {404, 409}, answer.text
            return
        assert answer.status_code == 200, answer.text
        with self.model.at_once():
            for receipt in receipts:
                self.settled(receipt, call, "ok", among_others=among_others)
        self.sent(queue, draft, answer.json()["messages"][0]["id"], self.model.moment())
        again = self.ask("POST", "/transactions", document)
        assert (again.status_code, again.json()) == (200, answer.json())
        self.learn_places()

    def do_chores(self) -> None:
        """Do the chores if something has to leave its queue; what leaves at once may do so in any order."""
        leaving = self.model.leaving()
        if not leaving:
            return
        self.service.do_chores()
        with self.model.at_once():
            for queue, message, reason in leaving:
                self.model.leave(queue, message, reason)
        places = self.learn_places()
        alike: dict[tuple[Any, ...], list[int]] = {}
        for _, message, reason in leaving:
            if message.id in places:
                # A ttl of its own is looked after apart.
                kind = reason, message.group, message.visible, message.expires is None
                alike.setdefault(kind, []).append(places[message.id])
        assert all(sorted(part) == part for part in alike.values()), "dead letters out of order"

    def learn_places(self) -> dict[str, int]:
        """Take over in which order the messages of a fifo dead-letter queue have come; return their places."""
        if not self.fifo:
            return {}
        dead = self.queue("dead")
        places = {message_id: place for place, message_id in enumerate(self.service.places(dead.name))}
        assert places.keys() == {message.id for message in dead.messages}
        dead.messages.sort(key=lambda message: places[message.id])
        return places

    def check_stats(self) -> None:
        """Compare how many messages there are of each kind."""
        for queue in self.model.queues.values():
            stats = self.ask("GET", path(queue)).json()["stats"]
            assert {name: stats[name] for name in ("ready", "delayed", "leased", "total")} == self.model.stats(queue)


def path(queue: Queue) -> str:
    """Return where a queue is."""
    return f"/queues/{queue.name}"


def _turn(message: Message) -> tuple[int, Moment]:
    return -message.priority, message.visible


def _check_received(message: Message, document: dict[str, Any]) -> None:
    shown = {"body": message.body, "group": message.group, "priority": message.priority}
    shown |= {"receive_count": message.receive_count, "last_error": message.last_error}
    block = document.get("dead_letter")
    assert {name: document.get(name) for name in shown} == shown
    assert (block and {name: value for name, value in block.items() if name != "at"}) == message.dead_letter
