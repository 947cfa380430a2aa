"""What is done through one process is heard by another: at once where it is a change, soon where somebody waits."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.faults.wire import Answer, Wire, parked, wires
from tests.serving import Serving

pytestmark = [pytest.mark.anyio, pytest.mark.alone, pytest.mark.timeout(60)]

_QUEUE = "/v1/queues/q"
_ROUNDS = 50


@pytest.fixture
def services(standing_services: list[Serving]) -> list[Serving]:
    """Share the services: each test makes the queue anew."""
    return standing_services


@pytest.fixture
async def pair(services: list[Serving]) -> AsyncIterator[tuple[Wire, Wire]]:
    """Give a client of each of two services on one database."""
    one, other = services
    with wires(one.url, one.key, 1) as [here], wires(other.url, other.key, 1) as [there]:
        yield here, there
        await here.ask("DELETE", _QUEUE)


async def done(client: Wire, method: str, path: str = "", document: Any = None) -> Any:
    """Ask for what must succeed; return the answer's document."""
    answer = await client.ask(method, f"{_QUEUE}{path}", document)
    assert answer.status < 300, answer
    return answer.json() if answer.body else None


async def received(client: Wire, **fields: Any) -> list[dict[str, Any]]:
    """Receive, without waiting unless asked to."""
    messages: list[dict[str, Any]] = (await done(client, "POST", "/messages/receive", fields))["messages"]
    return messages


async def settle(client: Wire, receipt: str) -> int:
    """Delete; return the status."""
    return (await client.ask("DELETE", f"/v1/receipts/{receipt}")).status


async def wait_there(client: Wire, service: Serving) -> None:
    """Let a receive wait, and return when it does."""
    await client.say("POST", f"{_QUEUE}/messages/receive", {"wait": 30})
    with wires(service.url, service.key, 1) as [watcher]:
        await parked(watcher, 1)


async def heard(client: Wire, since: float, seconds: float) -> Answer:
    """Return the waiting receive's answer, which has to come within so many seconds of a moment."""
    answer = await client.hear()
    assert time.monotonic() - since < seconds
    return answer


async def test_a_send_wakes_a_receive_that_waits_in_the_other_process(pair: tuple[Wire, Wire]) -> None:
    here, there = pair
    await done(here, "PUT")
    delays = []
    for number in range(100):
        await there.say("POST", f"{_QUEUE}/messages/receive", {"wait": 30})
        # Long enough to be waiting most of the time; whether it is makes no difference to what is promised.
        await asyncio.sleep(0.005 + number % 10 / 1000)
        began = time.monotonic()
        await done(here, "POST", "/messages", {"body": number})
        [message] = (await there.hear()).json()["messages"]
        delays.append(time.monotonic() - began)
        assert message["body"] == number
        assert await settle(there, message["receipt"]) == 204
    assert sorted(delays)[98] < 0.2, sorted(delays)[-5:]


async def test_a_delay_that_ends_wakes_the_other_process(pair: tuple[Wire, Wire], services: list[Serving]) -> None:
    here, there = pair
    await done(here, "PUT")
    await wait_there(there, services[1])
    began = time.monotonic()
    await done(here, "POST", "/messages", {"body": 1, "delay": 0.7})
    answer = await heard(there, began + 0.7, 1.3)
    assert len(answer.json()["messages"]) == 1
    assert time.monotonic() - began > 0.7


async def test_a_lease_that_ends_wakes_the_other_process(pair: tuple[Wire, Wire], services: list[Serving]) -> None:
    here, there = pair
    await done(here, "PUT")
    await done(here, "POST", "/messages", {"body": 1})
    assert len(await received(here, visibility_timeout=3)) == 1
    began = time.monotonic()
    await wait_there(there, services[1])
    [message] = (await heard(there, began + 3, 1.3)).json()["messages"]
    assert message["receive_count"] == 2


async def test_a_release_wakes_the_other_process(pair: tuple[Wire, Wire], services: list[Serving]) -> None:
    here, there = pair
    await done(here, "PUT")
    await done(here, "POST", "/messages", {"body": 1})
    [message] = await received(here, visibility_timeout=600)
    await wait_there(there, services[1])
    began = time.monotonic()
    assert (await here.ask("POST", f"/v1/receipts/{message['receipt']}/release")).status == 204
    assert len((await heard(there, began, 1.2)).json()["messages"]) == 1


async def test_a_queue_that_is_deleted_ends_the_receives_of_the_other_process(
    pair: tuple[Wire, Wire], services: list[Serving]
) -> None:
    here, there = pair
    await done(here, "PUT")
    await wait_there(there, services[1])
    began = time.monotonic()
    await done(here, "DELETE")
    assert (await heard(there, began, 1.2)).status == 404


async def test_a_queue_that_goes_on_wakes_the_receives_of_the_other_process(
    pair: tuple[Wire, Wire], services: list[Serving]
) -> None:
    here, there = pair
    await done(here, "PUT", "", {"paused": True})
    await done(here, "POST", "/messages", {"body": 1})
    await wait_there(there, services[1])
    began = time.monotonic()
    await done(here, "PATCH", "", {"paused": False})
    assert len((await heard(there, began, 1.2)).json()["messages"]) == 1


async def test_a_pause_holds_at_once_in_the_other_process(pair: tuple[Wire, Wire]) -> None:
    here, there = pair
    await done(here, "PUT", "", {"visibility_timeout": 0})
    await done(here, "POST", "/messages", {"body": 1})
    for _ in range(_ROUNDS):
        await done(here, "PATCH", "", {"paused": True})
        assert await received(there) == []
        await done(here, "PATCH", "", {"paused": False})
        assert len(await received(there)) == 1


async def test_a_purge_holds_at_once_in_the_other_process(pair: tuple[Wire, Wire]) -> None:
    here, there = pair
    await done(here, "PUT")
    for number in range(_ROUNDS):
        await done(there, "POST", "/messages/batch", {"messages": [{"body": number}, {"body": number}]})
        [leased] = await received(there)
        assert (await done(here, "POST", "/purge"))["purged"] == 2
        assert await received(there) == []
        assert await settle(there, leased["receipt"]) == 409
        await done(there, "POST", "/messages", {"body": "kept"})
        [kept] = await received(here)
        assert kept["body"] == "kept"
        assert await settle(here, kept["receipt"]) == 204


async def test_a_queue_made_anew_is_the_new_one_at_once_in_the_other_process(pair: tuple[Wire, Wire]) -> None:
    here, there = pair
    await done(here, "PUT")
    for number in range(_ROUNDS):
        await done(there, "POST", "/messages/batch", {"messages": [{"body": number}, {"body": number}]})
        [leased] = await received(there)
        await done(here, "DELETE")
        assert (await there.ask("POST", f"{_QUEUE}/messages", {"body": 1})).status == 404
        assert (await there.ask("POST", f"{_QUEUE}/messages/receive")).status == 404
        assert await settle(there, leased["receipt"]) == 404
        await done(here, "PUT")
        assert await received(there) == []
        await done(there, "POST", "/messages", {"body": "new"})
        [new] = await received(here)
        assert new["body"] == "new"
        assert await settle(here, new["receipt"]) == 204


async def test_a_limit_holds_at_once_in_the_other_process(pair: tuple[Wire, Wire]) -> None:
    here, there = pair
    await done(here, "PUT")
    long = {"body": "x" * 100}
    for number in range(_ROUNDS):
        await done(here, "PATCH", "", {"max_message_bytes": 50})
        assert (await there.ask("POST", f"{_QUEUE}/messages", long)).status == 413
        await done(here, "PATCH", "", {"max_message_bytes": 200})
        await done(there, "POST", "/messages", long)
        await done(here, "PATCH", "", {"max_length": number + 1})
        assert (await there.ask("POST", f"{_QUEUE}/messages", {"body": 1})).status == 429
        await done(here, "PATCH", "", {"max_length": None})
    await done(here, "DELETE")
    assert (await there.ask("POST", f"{_QUEUE}/messages", {"body": "x" * 300})).status == 404


async def test_a_full_queue_that_was_enlarged_takes_at_once_in_the_other_process(pair: tuple[Wire, Wire]) -> None:
    here, there = pair
    for number in range(_ROUNDS):
        await done(here, "PUT", "", {"max_length": number + 1})
        await done(there, "POST", "/messages", {"body": 1})
        assert (await there.ask("POST", f"{_QUEUE}/messages", {"body": 1})).status == 429


async def test_max_length_is_exact_between_processes(pair: tuple[Wire, Wire]) -> None:
    here, there = pair
    await done(here, "PUT", "", {"max_length": 30})

    async def fill(client: Wire) -> int:
        statuses = [(await client.ask("POST", f"{_QUEUE}/messages", {"body": 1})).status for _ in range(30)]
        assert set(statuses) <= {201, 429}
        return statuses.count(201)

    assert sum(await asyncio.gather(fill(here), fill(there))) == 30


async def test_what_both_have_counted_is_shown_by_either(pair: tuple[Wire, Wire]) -> None:
    here, there = pair
    await done(here, "PUT")
    for client, messages in ((here, 2), (there, 3)):
        for number in range(messages):
            await done(client, "POST", "/messages", {"body": number})
    [first] = await received(here)
    assert await settle(there, first["receipt"]) == 204
    async with asyncio.timeout(30):
        while True:
            found = await done(here, "GET", "/activity")
            if [sum(found[name]) for name in ("sent", "received", "deleted")] == [5, 1, 1]:
                break
            # Each process writes down what it has counted every few seconds.
            await asyncio.sleep(0.2)
    assert found["total"][-1] == 4
