"""Whatever a client does between the bytes of a request that its connection answers by itself."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any
from unittest.mock import patch

import pytest

from service.api.http import body as bodies
from service.api.http import deadlines
from service.api.http.call import Call
from service.api.http.protocol import Protocol
from service.store.messaging import sends
from tests.faults.wire import Answer, NoAnswer, Wire, parked, wires
from tests.in_process import ROOT_KEY, Service

pytestmark = pytest.mark.anyio

_SEND = "/v1/queues/q/messages"
_RECEIVE = "/v1/queues/q/messages/receive"


@pytest.fixture
async def wire(service: Service) -> AsyncIterator[Wire]:
    """Make the queue; return one connection."""
    await service.queue()
    with wires(service.url, ROOT_KEY, 1) as [wire]:
        yield wire


@pytest.fixture
def statement(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[asyncio.Event, asyncio.Event]]:
    """Hold every statement that stores messages: return when one has come, and what lets it go on."""
    come, may_go_on, store = asyncio.Event(), asyncio.Event(), sends._store

    async def held(*arguments: Any, **named: Any) -> Any:
        come.set()
        await may_go_on.wait()
        return await store(*arguments, **named)

    monkeypatch.setattr(sends, "_store", held)
    yield come, may_go_on
    may_go_on.set()


def request(method: str, path: str, document: Any = None, *lines: str, key: str = ROOT_KEY) -> bytes:
    body = b"" if document is None else json.dumps(document).encode()
    head = (f"{method} {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {key}", f"Content-Length: {len(body)}")
    return "\r\n".join([*head, *lines, "", ""]).encode() + body


async def written(wire: Wire, octets: bytes) -> None:
    """Write past the client's own requests."""
    await wire.say("GET", "/healthz")
    await wire.hear()
    assert wire._writer is not None
    wire._writer.write(octets)
    await wire._writer.drain()


async def heard(wire: Wire, answers: int) -> list[Answer]:
    return [await wire.hear() for _ in range(answers)]


def connections() -> list[Protocol]:
    """Return the service's side of the connections that are open."""
    return [one for state in deadlines._watched for one in state.connections if isinstance(one, Protocol)]


async def stored(service: Service) -> list[Any]:
    return [json.loads(row["body"]) for row in await service.sql.fetch("select body from message order by id")]


async def test_hot_operations_are_answered_as_calls_and_others_are_not(wire: Wire) -> None:
    with patch.object(Call, "start", autospec=True, side_effect=Call.start) as start:
        assert (await wire.ask("POST", _SEND, {"body": 1})).status == 201
        [message] = (await wire.ask("POST", _RECEIVE, {})).json()["messages"]
        assert (await wire.ask("DELETE", f"/v1/receipts/{message['receipt']}")).status == 204
        assert start.call_count == 3
        assert (await wire.ask("GET", "/v1/queues/q")).status == 200
        await written(wire, request("POST", _SEND, {"body": 2}, "Origin: https://page.example"))
        assert (await wire.hear()).status == 201
        assert start.call_count == 3


@pytest.mark.parametrize("size", [1, 100, 60_000, 99_000, 100_000, 300_000])
async def test_a_body_may_come_in_any_number_of_packets(service: Service, wire: Wire, size: int) -> None:
    await service.root.patch("/v1/queues/q", json={"max_message_bytes": 1_000_000})
    sent = request("POST", _SEND, {"body": "x" * size})
    step = max(1, len(sent) // 7)
    await written(wire, b"")
    assert wire._writer is not None
    for start in range(0, len(sent), step):
        wire._writer.write(sent[start : start + step])
        await wire._writer.drain()
        await asyncio.sleep(0.002)
    assert (await wire.hear()).status == 201
    assert await stored(service) == ["x" * size]


async def test_every_byte_may_come_by_itself(service: Service, wire: Wire) -> None:
    await written(wire, b"")
    assert wire._writer is not None
    for octet in request("POST", _SEND, {"body": 1}):
        wire._writer.write(bytes([octet]))
        await asyncio.sleep(0)
    assert (await wire.hear()).status == 201
    assert await stored(service) == [1]


async def test_a_body_that_does_not_come_is_waited_for_so_long_and_the_connection_ends(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "READ_SECONDS", 0.5)
    await written(wire, request("POST", _SEND, {"body": 1})[:-1])
    answer = await wire.hear()
    assert (answer.status, answer.json()["code"], answer.headers["connection"]) == (400, "malformed_request", "close")
    with pytest.raises(NoAnswer):
        await wire.hear()


async def test_pipelined_requests_of_all_kinds_are_answered_in_their_order(service: Service, wire: Wire) -> None:
    kinds = [
        (request("POST", _SEND, {"body": 1}), 201),
        (request("GET", "/v1/queues/q"), 200),
        (request("POST", _RECEIVE, {"max_messages": 5}), 200),
        (request("POST", _SEND, {"body": 2}, key="wrong"), 401),
        (request("DELETE", "/v1/receipts/none"), 404),
        (request("POST", _SEND, {"body": 2}, "Origin: https://page.example"), 201),
        (request("POST", _RECEIVE, {"wait": 0.05}), 200),
        (request("GET", "/nowhere"), 404),
        (request("POST", "/v1/queues/none/messages", {"body": 2}), 404),
        (request("POST", _RECEIVE, {"wait": 0.05}), 200),
    ] * 5
    await written(wire, b"".join(octets for octets, _ in kinds))
    assert [answer.status for answer in await heard(wire, len(kinds))] == [status for _, status in kinds]
    assert sorted(await stored(service)) == [1] * 5 + [2] * 5


async def test_hundreds_of_requests_that_are_refused_at_once_may_come_in_one_packet(wire: Wire) -> None:
    await written(wire, request("DELETE", "/v1/receipts/none", key="wrong") * 500)
    assert {answer.status for answer in await heard(wire, 500)} == {401}


async def test_who_writes_and_does_not_read_is_held_up_until_it_reads(service: Service, wire: Wire) -> None:
    await service.root.patch("/v1/queues/q", json={"max_message_bytes": 1_000_000})
    for _ in range(8):
        assert (await wire.ask("POST", _SEND, {"body": "x" * 900_000})).status == 201
    receives = request("POST", _RECEIVE, {"max_messages": 8, "visibility_timeout": 0}) * 20
    await written(wire, receives)
    for answer in await heard(wire, 20):
        assert len(answer.json()["messages"]) == 8
    assert (await wire.ask("POST", _SEND, {"body": 1})).status == 201


async def test_a_request_that_comes_while_an_answer_is_not_read_is_answered_after_it(
    service: Service, wire: Wire
) -> None:
    await service.root.patch("/v1/queues/q", json={"max_message_bytes": 1_000_000})
    for _ in range(8):
        assert (await wire.ask("POST", _SEND, {"body": "x" * 900_000})).status == 201
    await written(wire, request("POST", _RECEIVE, {"max_messages": 8, "visibility_timeout": 0}))
    async with asyncio.timeout(10):
        while not any(one.flow.write_paused for one in connections()):  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)
    assert wire._writer is not None
    for number in range(3):
        wire._writer.write(request("POST", _SEND, {"body": number}))
        await asyncio.sleep(0.05)
    assert len((await wire.hear()).json()["messages"]) == 8
    assert [answer.status for answer in await heard(wire, 3)] == [201] * 3


@pytest.mark.parametrize("leave", [Wire.close, Wire.reset, Wire.half_close])
async def test_a_send_whose_client_leaves_while_it_waits_for_its_statement_is_stored(
    service: Service, wire: Wire, statement: Sequence[asyncio.Event], leave: Any
) -> None:
    come, may_go_on = statement
    await wire.say("POST", _SEND, {"body": 1})
    await come.wait()
    leave(wire)
    await asyncio.sleep(0.05)
    may_go_on.set()
    if leave is Wire.half_close:
        assert (await wire.hear()).status == 201
        with pytest.raises(NoAnswer):
            await wire.hear()
    async with asyncio.timeout(10):
        while not await stored(service):  # noqa: ASYNC110 - the database tells nobody
            await asyncio.sleep(0.01)


async def test_a_receive_that_is_half_closed_waits_no_longer(service: Service, wire: Wire) -> None:
    with wires(service.url, ROOT_KEY, 1) as [watcher]:
        await wire.say("POST", _RECEIVE, {"wait": 60})
        await parked(watcher, 1)
        wire.half_close()
        assert (await wire.hear()).json() == {"messages": []}
        with pytest.raises(NoAnswer):
            await wire.hear()
        await parked(watcher, 0)
