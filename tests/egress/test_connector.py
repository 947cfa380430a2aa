"""What aiohttp connects to is what was judged, on real sockets."""

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from service.egress import connector as module
from service.egress.addresses import Refused, Rules, parse_allowed
from service.egress.connector import on_behalf_of, open_session, url_of
from service.egress.resolver import Resolver
from service.egress.urls import parse
from tests.egress.conftest import CERTIFICATE, Receiver

pytestmark = pytest.mark.anyio
LOOPBACK = Rules(parse_allowed("127.0.0.0/8"))


async def post(session: aiohttp.ClientSession, url: str) -> int:
    async with session.post(url_of(parse(url)), data=b"hello", allow_redirects=False) as answer:
        return answer.status


def trusting() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=CERTIFICATE)


async def test_an_allowed_network_is_reached_by_name_and_by_address(
    receiver: Receiver, names: Callable[..., Any]
) -> None:
    async with open_session(Resolver(LOOPBACK, names(hooks=["127.0.0.1"]))) as session:
        assert await post(session, f"http://hooks.test:{receiver.port}/in?q=1") == 204
        assert await post(session, f"http://127.0.0.1:{receiver.port}/") == 204
    named, numbered = receiver.heads
    assert named.startswith(b"POST /in?q=1 HTTP/1.1\r\n")
    assert f"\r\nHost: hooks.test:{receiver.port}\r\n".encode() in named
    assert f"\r\nHost: 127.0.0.1:{receiver.port}\r\n".encode() in numbered


@pytest.mark.parametrize("host", ["127.0.0.1", "[::ffff:127.0.0.1]", "[::1]", "0.0.0.0", "hooks.test", "both.test"])
@pytest.mark.parametrize("rules", [Rules(http=True), Rules(parse_allowed("127.0.0.1:1,10.0.0.0/8"), http=True)])
async def test_loopback_sees_no_connection_unless_it_is_allowed(
    receiver: Receiver, names: Callable[..., Any], host: str, rules: Rules
) -> None:
    resolver = Resolver(rules, names(hooks=["127.0.0.1"], both=["127.0.0.1 ::1"]))
    async with open_session(resolver) as session:
        for scheme in ("http", "https"):
            with pytest.raises(Refused, match="RESTANTE_PUSH_ALLOW"):
                await post(session, f"{scheme}://{host}:{receiver.port}/")
    assert receiver.connections == 0


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "127.0.0.1.", "①②⑦.0.0.1"])
async def test_odd_numbers_are_refused_even_past_the_reader_of_urls(receiver: Receiver, host: str) -> None:
    async with open_session(Resolver(Rules(http=True))) as session:
        with pytest.raises((Refused, aiohttp.ClientError, ValueError)):
            await session.post(f"http://{host}:{receiver.port}/")
    assert receiver.connections == 0


async def test_a_public_name_that_turns_to_loopback_is_refused_at_the_connection(
    receiver: Receiver, names: Callable[..., Any]
) -> None:
    now = 1000.0
    asked = names(hooks=["8.8.8.8", "127.0.0.1"])
    resolver = Resolver(Rules(http=True), asked, lambda: now)
    url = f"http://hooks.test:{receiver.port}/"
    await resolver.vet(parse(url), "a")
    now += 30
    async with open_session(resolver) as session:
        with pytest.raises(Refused):
            await post(session, url)
    assert len(asked.asked) == 2
    assert receiver.connections == 0


async def test_nothing_remembers_an_answer_longer_than_the_resolver(
    receiver: Receiver, names: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_REUSED_SECONDS", -1)
    now = 1000.0
    resolver = Resolver(Rules(parse_allowed("127.0.0.1")), names(hooks=["127.0.0.1", "127.0.0.2"]), lambda: now)
    async with open_session(resolver) as session:
        assert await post(session, f"http://hooks.test:{receiver.port}/") == 204
        now += 30
        with pytest.raises(Refused):
            await post(session, f"http://hooks.test:{receiver.port}/")
    assert receiver.connections == 1


async def test_a_connection_is_made_to_the_answer_that_was_judged_without_a_second_look_up(
    receiver: Receiver, names: Callable[..., Any]
) -> None:
    asked = names(hooks=["127.0.0.1", "127.0.0.2"])
    async with open_session(Resolver(Rules(parse_allowed("127.0.0.1")), asked)) as session:
        assert await post(session, f"http://hooks.test:{receiver.port}/") == 204
    assert asked.asked == ["hooks.test"]


async def test_a_redirect_leads_to_no_other_place_even_if_it_is_followed(receiver: Receiver) -> None:
    rules = Rules(parse_allowed(f"127.0.0.1:{receiver.port}"), http=True)
    receiver.answer = (
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.2:%d/\r\nContent-Length: 0\r\n\r\n" % receiver.port
    )
    async with open_session(Resolver(rules)) as session:
        with pytest.raises(Refused):
            await session.post(f"http://127.0.0.1:{receiver.port}/", data=b"hello")
    assert receiver.connections == 1


async def test_a_name_that_is_not_found_is_an_error_of_dns(names: Callable[..., Any]) -> None:
    async with open_session(Resolver(Rules(), names())) as session:
        with pytest.raises(aiohttp.ClientConnectorDNSError) as unresolved:
            await post(session, "https://hooks.test/")
    assert str(unresolved.value.os_error) == "No address was found for hooks.test."


async def test_http_to_a_public_address_is_not_even_tried(names: Callable[..., Any]) -> None:
    async with open_session(Resolver(LOOPBACK, names(hooks=["8.8.8.8"]))) as session:
        for host in ("8.8.8.8", "hooks.test"):
            with pytest.raises(Refused, match="Use https"):
                await post(session, f"http://{host}/")


async def test_a_socket_is_judged_even_if_the_resolver_let_it_pass(receiver: Receiver) -> None:
    class Careless(Resolver):
        async def judged(self, host: str, port: int, *, http: bool, caller: str) -> Any:  # noqa: ARG002
            return await self._addresses(host, caller)

    async with open_session(Careless(Rules(http=True), lambda _: ["127.0.0.1", "127.0.0.2"])) as session:
        with pytest.raises(Refused):
            await post(session, f"http://hooks.test:{receiver.port}/")
    assert receiver.connections == 0


async def test_tls_asks_for_the_name_and_checks_it(tls_receiver: Receiver, names: Callable[..., Any]) -> None:
    resolver = Resolver(LOOPBACK, names(hooks=["127.0.0.1"], other=["127.0.0.1"]))
    async with open_session(resolver, trusting()) as session:
        assert await post(session, f"https://hooks.test:{tls_receiver.port}/") == 204
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await post(session, f"https://other.test:{tls_receiver.port}/")
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await post(session, f"https://127.0.0.1:{tls_receiver.port}/")
    assert tls_receiver.names == ["hooks.test", "other.test", None]
    assert f"\r\nHost: hooks.test:{tls_receiver.port}\r\n".encode() in tls_receiver.heads[0]


async def test_the_environment_vouches_for_nobody(
    tls_receiver: Receiver, names: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    monkeypatch.setenv("SSL_CERT_DIR", str(CERTIFICATE.parent))
    assert ssl.create_default_context().cert_store_stats()["x509"] == 1
    async with open_session(Resolver(LOOPBACK, names(hooks=["127.0.0.1"]))) as session:
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await post(session, f"https://hooks.test:{tls_receiver.port}/")
    assert tls_receiver.heads == []


async def test_proxies_and_passwords_of_the_environment_have_no_effect(
    receiver: Receiver, names: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
        monkeypatch.setenv(name.lower(), "http://127.0.0.1:1")
    netrc = tmp_path / "netrc"
    netrc.write_text("machine hooks.test login somebody password something\n", "utf-8")
    monkeypatch.setenv("NETRC", str(netrc))
    async with open_session(Resolver(LOOPBACK, names(hooks=["127.0.0.1"]))) as session:
        assert await post(session, f"http://hooks.test:{receiver.port}/") == 204
    assert b"Authorization" not in receiver.heads[0]


async def test_the_path_is_sent_as_it_was_written(receiver: Receiver) -> None:
    async with open_session(Resolver(LOOPBACK)) as session:
        for target in ("//a/../b/./%7e%7E%2f%2F;x=1//?x=/?&y[]=%00+%20&z", "/?%3f", "/%41?%41=%c3%bc", "/a:b@c"):
            assert await post(session, f"http://127.0.0.1:{receiver.port}{target}") == 204
            assert receiver.heads[-1].startswith(f"POST {target} HTTP/1.1\r\n".encode())


async def test_a_connection_is_used_again_for_a_while_only(
    receiver: Receiver, names: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_session(Resolver(LOOPBACK, names(hooks=["127.0.0.1"]))) as session:
        for _ in range(3):
            await post(session, f"http://hooks.test:{receiver.port}/")
        assert receiver.connections == 1
        monkeypatch.setattr(module, "_REUSED_SECONDS", -1)
        for _ in range(3):
            await post(session, f"http://hooks.test:{receiver.port}/")
        assert receiver.connections == 3


async def test_names_are_resolved_on_behalf_of_the_caller(receiver: Receiver) -> None:
    class Noting(Resolver):
        async def judged(self, host: str, port: int, *, http: bool, caller: str) -> Any:
            callers.append(caller)
            return await super().judged(host, port, http=http, caller=caller)

    callers: list[str] = []
    async with open_session(Noting(LOOPBACK, lambda _: ["127.0.0.1"])) as session:
        with on_behalf_of("first"):
            await post(session, f"http://a.test:{receiver.port}/")
        await post(session, f"http://b.test:{receiver.port}/")
    assert callers == ["first", ""]
