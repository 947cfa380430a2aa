"""Names are judged by all they lead to, remembered for half a minute, and slow ones hold up nobody else."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from service.egress import resolver as module
from service.egress.addresses import Refused, Rules, parse_allowed
from service.egress.resolver import Resolver, Unresolved
from service.egress.urls import parse

pytestmark = pytest.mark.anyio


async def judged(resolver: Resolver, host: str, caller: str = "a") -> list[str]:
    return [str(address) for address in await resolver.judged(host, 443, http=False, caller=caller)]


@pytest.mark.parametrize(
    "answer",
    ["127.0.0.1", "8.8.8.8 127.0.0.1", "10.0.0.1 8.8.8.8", "8.8.8.8 ::1", "8.8.8.8 ::ffff:127.0.0.1", "fe80::1%eth0"],
)
async def test_one_refused_address_refuses_the_name_and_the_refusal_does_not_tell_it(
    names: Callable[..., Any], answer: str
) -> None:
    with pytest.raises(Refused, match=r"^hooks\.test does not have a public address") as refused:
        await judged(Resolver(Rules(), names(hooks=[answer])), "hooks.test")
    assert not any(address in str(refused.value) for address in answer.split())


async def test_a_public_name_leads_to_all_its_addresses_once_each(names: Callable[..., Any]) -> None:
    resolver = Resolver(Rules(), names(hooks=["2606:4700::1 8.8.8.8 8.8.8.8"]))
    assert await judged(resolver, "hooks.test") == ["2606:4700::1", "8.8.8.8"]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "::ffff:10.0.0.1", "169.254.169.254"])
async def test_a_written_address_is_judged_without_a_look_up(names: Callable[..., Any], host: str) -> None:
    asked = names()
    with pytest.raises(Refused):
        await judged(Resolver(Rules(), asked), host)
    assert await judged(Resolver(Rules(), asked), "8.8.8.8") == ["8.8.8.8"]
    assert asked.asked == []


async def test_the_systems_resolver_finds_loopback_under_its_name() -> None:
    open_to_loopback = Rules(parse_allowed("127.0.0.0/8,::1"))
    assert set(await judged(Resolver(open_to_loopback), "localhost")) <= {"127.0.0.1", "::1"}
    with pytest.raises(Refused):
        await judged(Resolver(Rules()), "localhost")


async def test_an_answer_is_kept_for_thirty_seconds(names: Callable[..., Any]) -> None:
    now = 1000.0
    asked = names(hooks=["8.8.8.8", "9.9.9.9"])
    resolver = Resolver(Rules(), asked, lambda: now)
    assert await judged(resolver, "hooks.test") == ["8.8.8.8"]
    now += 29.9
    assert await judged(resolver, "hooks.test") == ["8.8.8.8"]
    now += 0.1
    assert await judged(resolver, "hooks.test") == ["9.9.9.9"]
    assert asked.asked == ["hooks.test", "hooks.test"]


async def test_what_is_kept_is_bounded(names: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_KEPT", 2)
    resolver = Resolver(Rules(), asked := names(a=["8.8.8.8"], b=["8.8.8.8"], c=["8.8.8.8"]))
    for host in ("a.test", "b.test", "c.test", "c.test", "b.test", "a.test"):
        await judged(resolver, host)
    assert asked.asked == ["a.test", "b.test", "c.test", "a.test"]


async def test_a_name_without_addresses_is_unresolved_and_asked_again(names: Callable[..., Any]) -> None:
    asked = names(empty=[""], odd=["not an address"])
    resolver = Resolver(Rules(), asked)
    for host in ("none.test", "empty.test", "odd.test", "none.test"):
        with pytest.raises(Unresolved, match=f"No address was found for {host}"):
            await judged(resolver, host)
    assert len(asked.asked) == 4


class Hanging:
    """A resolver that holds back names that begin with `slow`, and those with `late`, until they are released."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.late = threading.Event()
        self.asked: list[str] = []

    def __call__(self, host: str) -> list[str]:
        self.asked.append(host)
        if host.startswith("slow"):
            self.released.wait(30)
        if host.startswith("late"):
            self.late.wait(30)
        return ["8.8.8.8"]


@pytest.fixture
async def hanging() -> AsyncIterator[Hanging]:
    names = Hanging()
    yield names
    names.released.set()
    names.late.set()


async def test_those_who_ask_for_a_name_at_once_share_a_look_up(hanging: Hanging) -> None:
    resolver = Resolver(Rules(), hanging)
    asking = [asyncio.create_task(judged(resolver, "slow.test", caller)) for caller in "abc" * 20]
    assert await judged(resolver, "quick.test") == ["8.8.8.8"]
    hanging.released.set()
    assert await asyncio.gather(*asking) == [["8.8.8.8"]] * 60
    assert sorted(hanging.asked) == ["quick.test", "slow.test"]


async def test_slow_names_of_one_caller_delay_no_other(hanging: Hanging) -> None:
    resolver = Resolver(Rules(), hanging)
    asking = [asyncio.create_task(judged(resolver, f"slow{number}.test")) for number in range(50)]
    for number in range(20):
        assert await judged(resolver, f"quick{number}.test", "b") == ["8.8.8.8"]
    assert len([host for host in hanging.asked if host.startswith("slow")]) == 8
    hanging.released.set()
    assert await asyncio.gather(*asking) == [["8.8.8.8"]] * 50


async def taken(resolver: Resolver, caller: str) -> list[asyncio.Task[list[str]]]:
    """Have all look-ups that a caller may run hang."""
    asking = [asyncio.create_task(judged(resolver, f"slow{number}.test", caller)) for number in range(8)]
    assert await judged(resolver, "quick.test", "somebody else") == ["8.8.8.8"]
    return asking


async def test_a_look_up_that_runs_already_needs_no_turn(hanging: Hanging) -> None:
    resolver = Resolver(Rules(), hanging)
    await taken(resolver, "a")
    asking = [asyncio.create_task(judged(resolver, "late.test", caller)) for caller in "ba"]
    assert await judged(resolver, "quick2.test", "b") == ["8.8.8.8"]
    hanging.late.set()
    assert await asyncio.gather(*asking) == [["8.8.8.8"]] * 2


async def test_those_who_waited_for_a_turn_share_a_look_up_too(hanging: Hanging) -> None:
    resolver = Resolver(Rules(), hanging)
    slow = await taken(resolver, "a")
    asking = [asyncio.create_task(judged(resolver, "late.test", "a")) for _ in range(4)]
    assert await judged(resolver, "quick2.test", "b") == ["8.8.8.8"]
    hanging.released.set()
    await asyncio.gather(*slow)
    assert await judged(resolver, "quick3.test", "a") == ["8.8.8.8"]
    hanging.late.set()
    assert await asyncio.gather(*asking) == [["8.8.8.8"]] * 4
    assert hanging.asked.count("late.test") == 1


async def test_whoever_waits_too_long_gives_up_and_leaves_no_look_up_behind_that_had_not_begun(
    hanging: Hanging, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PATIENCE_SECONDS", 0.05)
    resolver = Resolver(Rules(), hanging)
    asking = [judged(resolver, f"slow{number}.test") for number in range(20)]
    ended = await asyncio.gather(*asking, return_exceptions=True)
    assert {type(end) for end in ended} == {Unresolved}
    assert "within 0.05 seconds" in str(ended[0])
    hanging.released.set()
    monkeypatch.setattr(module, "_PATIENCE_SECONDS", 5)
    assert await judged(resolver, "quick.test") == ["8.8.8.8"]
    assert len(hanging.asked) == 9


async def test_a_look_up_that_is_given_up_goes_on_for_the_next_who_asks(hanging: Hanging) -> None:
    resolver = Resolver(Rules(), hanging)
    impatient = asyncio.create_task(judged(resolver, "slow.test"))
    assert await judged(resolver, "quick.test") == ["8.8.8.8"]
    impatient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await impatient
    patient = asyncio.create_task(judged(resolver, "slow.test"))
    hanging.released.set()
    assert await patient == ["8.8.8.8"]
    assert hanging.asked.count("slow.test") == 1


async def test_a_machine_without_threads_resolves_nothing_and_recovers(
    names: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    resolver = Resolver(Rules(), names(hooks=["8.8.8.8"]))
    with monkeypatch.context() as broken:
        broken.setattr(threading.Thread, "start", none_left)
        for _ in range(20):
            with pytest.raises(Unresolved, match="no thread left"):
                await judged(resolver, "hooks.test")
    assert await judged(resolver, "hooks.test") == ["8.8.8.8"]


@pytest.mark.parametrize(
    "url", ["https://127.0.0.1/", "https://[::1]/", "https://inside.test/", "http://[fd00::1]:80/"]
)
async def test_a_url_that_leads_inside_is_refused_when_it_is_written(names: Callable[..., Any], url: str) -> None:
    with pytest.raises(Refused):
        await Resolver(Rules(http=True), names(inside=["10.0.0.1"])).vet(parse(url), "a")


@pytest.mark.parametrize("url", ["https://8.8.8.8/", "https://outside.test/", "https://not-yet.test/"])
async def test_a_url_that_leads_outside_or_nowhere_yet_is_taken(names: Callable[..., Any], url: str) -> None:
    await Resolver(Rules(), names(outside=["8.8.8.8"])).vet(parse(url), "a")


@pytest.mark.parametrize("allowed", ["", "10.0.0.0/8"])
@pytest.mark.parametrize("url", ["http://8.8.8.8/", "http://outside.test/", "http://not-yet.test/"])
async def test_http_is_refused_when_it_is_written_unless_it_is_known_to_be_allowed(
    names: Callable[..., Any], url: str, allowed: str
) -> None:
    outside = names(outside=["8.8.8.8"], inside=["10.0.0.1"])
    with pytest.raises(Refused, match="Use https"):
        await Resolver(Rules(parse_allowed(allowed)), outside).vet(parse(url), "a")
    await Resolver(Rules(parse_allowed(allowed), http=True), outside).vet(parse(url), "a")
    await Resolver(Rules(parse_allowed("10.0.0.0/8")), outside).vet(parse("http://inside.test/"), "a")
