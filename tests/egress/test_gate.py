"""What was judged is what is connected to: at every connection, whatever the name said before."""

import contextlib
from collections.abc import AsyncIterator

import aiohttp
import pytest

from service.egress.addresses import Guard, RefusedError, read_allowed
from service.egress.gate import Gate
from service.egress.resolver import SystemLookUp
from tests.push.sink import Sink, sink

pytestmark = pytest.mark.anyio


class Names:
    """A resolver that says something else each time."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)

    async def __call__(self, _host: str) -> list[str]:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextlib.asynccontextmanager
async def client(gate: Gate) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(connector=gate.connector(encrypted=False)) as session:
        yield session


def port_of(target: Sink) -> str:
    return target.url.rpartition(":")[2]


async def test_a_name_that_turns_to_loopback_is_not_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.egress.resolver._KEPT_SECONDS", 0)
    names = Names(["8.8.8.8"], ["127.0.0.1"])
    gate = Gate(Guard(http=True), names)
    async with sink() as target, client(gate) as session:
        url = f"http://rebound.example:{port_of(target)}/"
        await gate.check(url)
        with pytest.raises(RefusedError):
            await session.post(url)
    assert target.posted == []


async def test_one_refused_answer_refuses_the_name() -> None:
    gate = Gate(Guard(), Names(["8.8.8.8", "::1"]))
    with pytest.raises(RefusedError):
        await gate.check("https://mixed.example/")


async def test_an_allowed_network_is_reached_by_name_with_the_name_as_host() -> None:
    gate = Gate(Guard(read_allowed("127.0.0.0/8")), Names(["127.0.0.1"]))
    async with sink() as target, client(gate) as session:
        url = f"http://inside.example:{port_of(target)}/a"
        await gate.check(url)
        async with session.post(url) as answer:
            assert answer.status == 204
    assert target.posted[0].headers["host"] == f"inside.example:{port_of(target)}"


async def test_a_literal_is_judged_without_a_resolver() -> None:
    gate = Gate(Guard(), Names([]))
    for url in ("https://127.0.0.1/", "https://[::ffff:169.254.169.254]/", "https://10.0.0.1:8443/"):
        with pytest.raises(RefusedError):
            await gate.check(url)
    await gate.check("https://8.8.8.8/")


async def test_the_systems_resolver_answers_and_an_unknown_name_is_let_register() -> None:
    look_up = SystemLookUp()
    assert set(await look_up("localhost")) <= {"127.0.0.1", "::1"}
    with pytest.raises(RefusedError):
        await Gate(Guard(), look_up).check("https://localhost/")
    await Gate(Guard(), look_up).check("https://no-such-name.invalid/")


async def test_proxies_of_the_environment_have_no_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    gate = Gate(Guard(read_allowed("127.0.0.0/8")), Names(["127.0.0.1"]))
    async with sink() as target, client(gate) as session, session.post(target.url) as answer:
        assert answer.status == 204
