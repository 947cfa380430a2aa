"""What a project may use at most, held over all processes."""

import asyncio
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest

from tests.api.resources.test_queues import problem
from tests.in_process import ROOT_KEY, Service, in_process

pytestmark = pytest.mark.anyio

_LIMITS = ("queues", "messages", "bytes", "requests_per_second", "parked_receives")
_NONE = dict.fromkeys(_LIMITS)
_ITEM = re.compile(r'"(?P<name>[a-z_]+)"(?P<parameters>(?:;[a-z]+=(?:\d+|"[a-z-]+"))*)\Z')


@pytest.fixture
async def other(database: str) -> AsyncIterator[Service]:
    """Serve the same database from another process' point of view."""
    async with in_process(database) as other:
        yield other


@pytest.fixture
async def shop(service: Service, other: Service) -> AsyncIterator[list[httpx.AsyncClient]]:
    """Make project `shop` with a queue q; give its client at each process."""
    assert (await service.root.put("/v1/projects/shop")).status_code == 201
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(served.client(ROOT_KEY, **{"Restante-Project": "shop"}))
            for served in (service, other)
        ]
        assert (await clients[0].put("/v1/queues/q")).status_code == 201
        yield clients


async def limit(service: Service, **limits: int | None) -> None:
    answer = await service.root.patch("/v1/projects/shop", json={"limits": limits})
    assert answer.status_code == 200, answer.text


async def send(client: httpx.AsyncClient, body: object = 1) -> httpx.Response:
    return await client.post("/v1/queues/q/messages", json={"body": body})


async def stored(client: httpx.AsyncClient) -> int:
    return int((await client.get("/v1/queues/q")).json()["stats"]["total"])


def items(header: str) -> dict[str, dict[str, int | str]]:
    """Return a list of strings with parameters (RFC 9651), as the two RateLimit fields are."""
    found: dict[str, dict[str, int | str]] = {}
    for item in header.split(", "):
        match = _ITEM.match(item)
        assert match is not None, header
        pairs = (pair.split("=") for pair in match["parameters"].split(";")[1:])
        found[match["name"]] = {key: value.strip('"') if '"' in value else int(value) for key, value in pairs}
    return found


def exceeded(answer: httpx.Response, name: str) -> None:
    """Check an answer that tells of a limit that is reached."""
    assert problem(answer)[:2] == (429, "quota_exceeded")
    assert f"`{name}` in its limits" in answer.json()["detail"]
    assert int(answer.headers["Retry-After"]) >= 1
    assert items(answer.headers["RateLimit"])[name]["r"] == 0
    assert name in items(answer.headers["RateLimit-Policy"])


async def until(what: Any, seconds: float = 5) -> None:
    """Wait until a coroutine function returns true."""
    async with asyncio.timeout(seconds):
        # The service tells nobody; it has to be asked.
        while not await what():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_a_project_has_no_limits_unless_they_are_set(service: Service) -> None:
    made = await service.root.put("/v1/projects/shop", json={})
    assert made.json()["limits"] == _NONE
    assert (await service.root.get("/v1/limits")).json()["project"] == _NONE
    answer = await service.root.get("/v1/queues")
    assert not {"ratelimit", "ratelimit-policy"} & answer.headers.keys()


async def test_limits_are_set_shown_and_taken_away(service: Service) -> None:
    limits = {name: number for number, name in enumerate(_LIMITS, 100)}
    made = await service.root.put("/v1/projects/shop", json={"limits": limits})
    assert (made.status_code, made.json()["limits"]) == (201, limits)
    again = await service.root.put("/v1/projects/shop", json={"limits": limits})
    assert (again.status_code, again.json()) == (200, made.json())
    async with service.client(ROOT_KEY, **{"Restante-Project": "shop"}) as inside:
        assert (await inside.get("/v1/limits")).json()["project"] == limits
    changed = await service.root.patch("/v1/projects/shop", json={"limits": {"queues": 0}})
    assert changed.json()["limits"] == _NONE | {"queues": 0}
    assert changed.headers["ETag"] != made.headers["ETag"] == again.headers["ETag"]
    assert (await service.root.patch("/v1/projects/shop", json={})).json() == changed.json()
    for method, body in (("PATCH", {"limits": None}), ("PUT", {})):
        await service.root.patch("/v1/projects/shop", json={"limits": limits})
        cleared = await service.root.request(method, "/v1/projects/shop", json=body)
        assert (cleared.status_code, cleared.json()["limits"]) == (200, _NONE)


async def test_limits_change_only_under_the_condition_that_is_given(service: Service) -> None:
    made = await service.root.put("/v1/projects/shop")
    create_only = {"If-None-Match": "*"}
    assert problem(await service.root.put("/v1/projects/shop", headers=create_only))[0] == 412
    tag = {"If-Match": made.headers["ETag"]}
    body = {"limits": {"queues": 3}}
    assert (await service.root.patch("/v1/projects/shop", json=body, headers=tag)).status_code == 200
    assert problem(await service.root.patch("/v1/projects/shop", json=body, headers=tag))[0] == 412
    new = (await service.root.get("/v1/projects/shop")).headers["ETag"]
    assert (await service.root.get("/v1/projects/shop", headers={"If-None-Match": new})).status_code == 304


@pytest.mark.parametrize("name", _LIMITS)
@pytest.mark.parametrize(
    ("value", "code"),
    [(-1, "out_of_range"), (2**63, "out_of_range"), (1.5, "wrong_type"), ("5", "wrong_type"), (True, "wrong_type")],
)
async def test_a_limit_that_is_none_is_refused(service: Service, name: str, value: object, code: str) -> None:
    for method in ("PUT", "PATCH"):
        answer = await service.root.request(method, "/v1/projects/shop", json={"limits": {name: value}})
        assert problem(answer) == (422, "invalid_request", [(f"/limits/{name}", code)])


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"keys": 1}, ("/limits/keys", "unknown_field")),
        ({"requests_per_second": 0}, ("/limits/requests_per_second", "out_of_range")),
        ([], ("/limits", "wrong_type")),
        (5, ("/limits", "wrong_type")),
    ],
)
async def test_limits_that_are_none_are_refused(service: Service, limits: object, expected: tuple[str, str]) -> None:
    for method in ("PUT", "PATCH"):
        answer = await service.root.request(method, "/v1/projects/shop", json={"limits": limits})
        assert problem(answer) == (422, "invalid_request", [expected])


async def test_queues_are_limited_exactly_however_many_are_made_at_once(
    service: Service, shop: list[httpx.AsyncClient]
) -> None:
    await limit(service, queues=5)
    answers = await asyncio.gather(*(shop[n % 2].put(f"/v1/queues/q{n}") for n in range(16)))
    assert Counter(answer.status_code for answer in answers) == {201: 4, 429: 12}
    for answer in answers:
        if answer.status_code == 429:
            exceeded(answer, "queues")
    assert (await shop[1].put("/v1/queues/q", json={"delay": 1})).status_code == 200
    assert (await shop[0].delete("/v1/queues/q")).status_code == 204
    assert (await shop[1].put("/v1/queues/another")).status_code == 201
    assert (await service.root.put("/v1/queues/elsewhere")).status_code == 201


@pytest.mark.alone
async def test_a_limit_holds_in_every_process_as_soon_as_it_is_answered(
    service: Service, shop: list[httpx.AsyncClient]
) -> None:
    await until(lambda: acquainted(service))
    for client in shop:
        assert (await send(client)).status_code == 201
    for _ in range(3):
        started = time.monotonic()
        await limit(service, messages=1)
        assert time.monotonic() - started < 1
        for client in (*shop, *shop):
            exceeded(await send(client), "messages")
        await limit(service)
        for client in (*shop, *shop):
            assert (await send(client)).status_code == 201


async def acquainted(service: Service) -> bool:
    """Tell whether the process knows of the other one."""
    return bool(service.app._store.wakeups._peers)


async def test_a_process_that_does_not_hear_of_a_limit_asks_for_it_in_time(
    service: Service, shop: list[httpx.AsyncClient], other: Service
) -> None:
    await until(lambda: acquainted(service))
    other.app._store.wakeups._hear_of_project = lambda *_: None  # type: ignore[method-assign]
    for client in shop:
        assert (await send(client)).status_code == 201
    await limit(service, messages=1)
    for client in shop:
        exceeded(await send(client), "messages")


@pytest.mark.alone
async def test_a_full_project_takes_nothing_more_until_something_has_left(
    service: Service, shop: list[httpx.AsyncClient]
) -> None:
    await limit(service, messages=5)
    batch = {"messages": [{"body": n} for n in range(6)]}
    exceeded(await shop[0].post("/v1/queues/q/messages/batch", json=batch), "messages")
    assert await stored(shop[0]) == 0
    for _ in range(5):
        assert (await send(shop[0])).status_code == 201
    for path in ("messages", "messages/batch", "raw"):
        exceeded(await shop[0].post(f"/v1/queues/q/{path}", content=b"not even JSON"), "messages")
    received = await shop[1].post("/v1/queues/q/messages/receive", json={"max_messages": 2})
    for message in received.json()["messages"]:
        assert (await shop[1].delete(f"/v1/receipts/{message['receipt']}")).status_code == 204

    async def taken() -> bool:
        return (await send(shop[0])).status_code == 201

    await until(taken, 2)
    await until(taken, 2)
    exceeded(await send(shop[0]), "messages")
    assert (await shop[0].post("/v1/queues/q/purge")).status_code == 200
    await until(taken, 2)


async def test_bytes_are_those_of_bodies_and_headers_over_all_queues(
    service: Service, shop: list[httpx.AsyncClient]
) -> None:
    await shop[0].put("/v1/queues/r")
    await limit(service, bytes=1000)
    message = {"body": "x" * 388, "headers": {"a": "y" * 9}}
    for name in "qr":
        assert (await shop[0].post(f"/v1/queues/{name}/messages", json=message)).status_code == 201
    exceeded(await shop[0].post("/v1/queues/q/messages", json=message), "bytes")
    assert (await shop[0].post("/v1/queues/q/raw", content=b"z" * 200)).status_code == 201
    exceeded(await shop[0].post("/v1/queues/q/raw", content=b"z"), "bytes")


@pytest.mark.alone
async def test_messages_sent_through_two_processes_end_near_the_limit(
    service: Service, shop: list[httpx.AsyncClient]
) -> None:
    await limit(service, messages=2000)
    answered: Counter[int] = Counter()
    ends = time.monotonic() + 4

    async def sender(client: httpx.AsyncClient) -> None:
        batch = {"messages": [{"body": n} for n in range(10)]}
        while time.monotonic() < ends:
            answered[(await client.post("/v1/queues/q/messages/batch", json=batch)).status_code] += 10

    await asyncio.gather(*(sender(client) for client in shop))
    assert answered.keys() == {201, 429}
    # What two seconds bring, of four.
    assert 1900 <= answered[201] <= 2000 + (answered[201] + answered[429]) / 2
    assert await stored(shop[0]) == answered[201]


async def flood(clients: Sequence[httpx.AsyncClient], seconds: float) -> tuple[list[httpx.Response], float]:
    """Ask without a pause; return the answers, and the seconds without those in which the machine stood still."""
    answers: list[httpx.Response] = []
    ends = time.monotonic() + seconds

    async def ask(client: httpx.AsyncClient) -> None:
        while time.monotonic() < ends:
            answers.append(await client.post("/v1/queues/q/messages/receive"))

    async def running() -> float:
        """Return the seconds in which whoever wanted to run could, whatever the database did."""
        ran = 0.0
        while (now := time.monotonic()) < ends:
            await asyncio.sleep(0.05)
            ran += min(time.monotonic() - now, 0.1)
        return ran

    ran = asyncio.create_task(running())
    await asyncio.gather(*(ask(client) for client in clients for _ in range(4)))
    return answers, await ran


@pytest.mark.alone
@pytest.mark.parametrize("rate", [5, 60])
async def test_requests_a_second_hold_over_all_processes(
    service: Service, shop: list[httpx.AsyncClient], rate: int
) -> None:
    await limit(service, requests_per_second=rate)
    answers, seconds = await flood(shop, 10)
    granted = sum(answer.status_code == 200 for answer in answers)
    assert 0.9 * seconds * rate <= granted <= 1.1 * 10 * rate
    for answer in answers:
        [(name, left)] = items(answer.headers["RateLimit"]).items()
        assert name == "requests"
        assert items(answer.headers["RateLimit-Policy"]) == {"requests": {"q": rate, "w": 1}}
        if answer.status_code == 429:
            assert problem(answer)[:2] == (429, "rate_limited")
            assert left["r"] == 0
            assert int(answer.headers["Retry-After"]) == left["t"] == 1
        else:
            assert 0 <= int(left["r"]) < rate


@pytest.mark.alone
async def test_whoever_stays_below_the_rate_is_never_refused(service: Service, shop: list[httpx.AsyncClient]) -> None:
    await limit(service, requests_per_second=10)
    for n in range(30):
        # From the one before, and not by the clock: after a machine has stood still, that would be many at once.
        await asyncio.sleep(1 / 9)
        assert (await shop[n % 2].get("/v1/whoami")).status_code == 200


@pytest.mark.alone
async def test_a_second_s_requests_may_come_at_once(service: Service, shop: list[httpx.AsyncClient]) -> None:
    await limit(service, requests_per_second=20)
    began = time.monotonic()
    answers = await asyncio.gather(*(shop[n % 2].get("/v1/queues/q") for n in range(40)))
    more = 20 * (time.monotonic() - began)
    assert 20 <= sum(answer.status_code == 200 for answer in answers) <= 20 + more


async def test_every_answer_of_a_limited_project_tells_its_rate_limit(
    service: Service, shop: list[httpx.AsyncClient]
) -> None:
    await limit(service, requests_per_second=1000)
    made = await shop[0].post("/v1/keys", json={"name": "k", "scopes": ["send"]})
    async with service.client(made.json()["secret"]) as key:
        for method, path, body, status in (
            ("GET", "/v1/whoami", None, 200),
            ("GET", "/v1/queues/none", None, 404),
            ("PUT", "/v1/queues/q", {}, 403),
            ("GET", "/v1/projects", None, 403),
            ("PUT", "/v1/projects/shop", {}, 403),
            ("POST", "/v1/queues/q/messages", {"body": 1}, 201),
            ("POST", "/v1/queues/q/messages", {}, 422),
            ("POST", "/v1/queues/q/messages/receive", {}, 403),
            ("POST", "/v1/queues/%71/messages", {"body": 1}, 201),
        ):
            answer = await key.request(method, path, json=body)
            assert answer.status_code == status, answer.text
            [left] = items(answer.headers["RateLimit"]).values()
            assert items(answer.headers["RateLimit-Policy"]) == {"requests": {"q": 1000, "w": 1}}
            assert 900 <= int(left["r"]) < 1000


async def test_what_is_refused_for_its_rate_is_refused_before_its_body_is_read(
    service: Service, shop: list[httpx.AsyncClient]
) -> None:
    await limit(service, requests_per_second=1)
    await send(shop[0])
    for path in ("messages", "messages/receive"):
        # Until then nothing comes in, however long the test takes.
        await service.sql.execute("update request_allowance set counted_at = counted_at + interval '1 hour'")
        answer = await shop[0].post(f"/v1/queues/q/{path}", content=b"\xff not JSON")
        assert problem(answer)[:2] == (429, "rate_limited")


@pytest.mark.alone
async def test_a_limit_on_waiting_receives_holds_over_all_processes(
    service: Service, shop: list[httpx.AsyncClient]
) -> None:
    await limit(service, parked_receives=10)

    async def receive(client: httpx.AsyncClient, wait: float) -> httpx.Response:
        return await client.post("/v1/queues/q/messages/receive", json={"wait": wait})

    waits = [asyncio.create_task(receive(shop[n % 2], 4)) for n in range(30)]
    refused, _ = await asyncio.wait(waits, timeout=2)
    assert len(refused) == 20
    for task in refused:
        exceeded(task.result(), "parked_receives")
    assert (await receive(shop[0], 0)).status_code == 200
    assert (await shop[0].post("/v1/queues/q/messages/batch", json={"messages": [{"body": 1}] * 11})).status_code == 201
    answers = await asyncio.gather(*(task for task in waits if task not in refused))
    assert all(len(answer.json()["messages"]) == 1 for answer in answers)
    # The one that is left is given out although nobody else might wait, and the places are free again.
    assert len((await receive(shop[1], 4)).json()["messages"]) == 1

    async def free() -> bool:
        answers = await asyncio.gather(*(receive(shop[1], 0.1) for _ in range(10)))
        return all(answer.status_code == 200 for answer in answers)

    await until(free, 3)


async def test_the_greatest_limit_lets_receives_wait(service: Service, shop: list[httpx.AsyncClient]) -> None:
    await limit(service, parked_receives=2**53 - 1)
    receive = {"wait": 0.1}
    assert (await shop[0].post("/v1/queues/q/messages/receive", json=receive)).json() == {"messages": []}


async def test_a_transaction_that_is_too_large_for_its_project_is_told_where(
    service: Service, shop: list[httpx.AsyncClient]
) -> None:
    await limit(service, messages=2)
    await send(shop[0])
    drafts = [{"queue": "q", "body": 1}, {"queue": "q", "body": 2}]
    answer = await shop[0].post("/v1/transactions", json={"send": drafts})
    exceeded(answer, "messages")
    assert answer.json()["errors"][0]["pointer"] == "/send/0"
    assert await stored(shop[0]) == 1


async def test_a_message_that_is_there_is_given_out_though_nobody_may_wait(
    service: Service, shop: list[httpx.AsyncClient]
) -> None:
    await limit(service, parked_receives=0)
    receive = {"wait": 5}
    exceeded(await shop[0].post("/v1/queues/q/messages/receive", json=receive), "parked_receives")
    await send(shop[0])
    answer = await shop[0].post("/v1/queues/q/messages/receive", json=receive)
    assert len(answer.json()["messages"]) == 1


@pytest.mark.alone
async def test_a_project_that_floods_does_not_hold_up_another(service: Service, shop: list[httpx.AsyncClient]) -> None:
    await service.queue()

    async def slowest(seconds: float) -> float:
        """Return what nearly all requests of the other project took less than."""
        took, ends = [], time.monotonic() + seconds
        while time.monotonic() < ends:
            began = time.monotonic()
            assert (await send(service.root)).status_code == 201
            took.append(time.monotonic() - began)
            await asyncio.sleep(0.005)
        return sorted(took)[int(0.95 * len(took))]

    await limit(service, requests_per_second=30)
    alone = await slowest(2)

    async def many() -> None:
        ends = time.monotonic() + 3
        while time.monotonic() < ends:
            await send(shop[0], "x" * 1000)
            await asyncio.sleep(0.0025)

    flooding = asyncio.create_task(many())
    beside = await slowest(2)
    await flooding
    # Twice, and what one process that does all of it, client and service, adds.
    assert beside < 2 * alone + 0.02
