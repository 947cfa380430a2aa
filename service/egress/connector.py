"""An aiohttp connector that connects only where the rules allow.

The resolver checks the addresses of names. Since aiohttp does not resolve addresses that are written in a URL, every
socket is checked again when it is created, with the address that it is about to connect to.
"""

import contextlib
import socket
import time
from collections.abc import Iterator
from contextvars import ContextVar
from functools import partial
from ipaddress import ip_address
from ssl import SSLContext
from typing import Any
from weakref import WeakKeyDictionary

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ClientRequest, ConnectionKey
from aiohttp.http import HttpProcessingError, RawResponseMessage
from aiohttp.streams import StreamReader
from aiohttp.tracing import Trace
from yarl import URL

from service.egress.addresses import Refused
from service.egress.resolver import Resolver
from service.egress.tls import tls_context
from service.egress.urls import Target

# An address is checked only when its connection is made, so connections must be short-lived: 150 s plus one request of
# at most 120 s and 15 s idle time are less than five minutes.
_REUSED_SECONDS = 150.0
_IDLE_SECONDS = 15.0

# RFC 9110, section 15.2.
_INTERIM = range(100, 200)
_MOST_INTERIM = 10

_caller: ContextVar[str] = ContextVar("caller", default="")
_http: ContextVar[bool] = ContextVar("http", default=True)

_AddrInfo = tuple[int | socket.AddressFamily, int | socket.SocketKind, int, str, tuple[object, ...]]


def open_session(resolver: Resolver, tls: SSLContext | None = None) -> aiohttp.ClientSession:
    """Return a session that ignores proxy settings in the environment.

    Callers must disable redirects and set a timeout for every request.
    """
    return aiohttp.ClientSession(
        connector=Connector(resolver, tls or tls_context()),
        headers={"Accept-Encoding": "identity"},
        trust_env=False,
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
    )


@contextlib.contextmanager
def on_behalf_of(caller: str) -> Iterator[None]:
    """Resolve names in this block on behalf of a caller, so that its slow names delay only itself."""
    token = _caller.set(caller)
    try:
        yield
    finally:
        _caller.reset(token)


def url_of(target: Target) -> URL:
    """Return the URL for aiohttp, with path and query unchanged."""
    host = f"[{target.host}]" if ":" in target.host else target.host
    return URL(f"{target.scheme}://{host}:{target.port}{target.target}", encoded=True)


class Connector(aiohttp.TCPConnector):
    """Connects only to permitted addresses and keeps connections for a short time. Callers limit their number."""

    def __init__(self, resolver: Resolver, tls: SSLContext) -> None:
        super().__init__(
            resolver=_CheckedNames(resolver),
            socket_factory=self._socket,
            ssl=tls,
            use_dns_cache=False,
            keepalive_timeout=_IDLE_SECONDS,
            limit=0,
        )
        self._factory = partial(_LimitedInterims, loop=self._loop)  # type: ignore[assignment]
        self._rules = resolver.rules
        self._made: WeakKeyDictionary[ResponseHandler, float] = WeakKeyDictionary()

    async def _create_connection(
        self,
        req: ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - as in the base class
    ) -> ResponseHandler:
        token = _http.set(not req.is_ssl())
        try:
            connection = await super()._create_connection(req, traces, timeout)
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error.__cause__, Refused):
                raise error.os_error.__cause__ from None
            raise
        finally:
            _http.reset(token)
        self._made[connection] = time.monotonic()
        return connection

    def _release(self, key: ConnectionKey, protocol: ResponseHandler, *, should_close: bool = False) -> None:
        old = time.monotonic() - self._made.get(protocol, 0) > _REUSED_SECONDS
        super()._release(key, protocol, should_close=should_close or old)

    def _socket(self, info: _AddrInfo) -> socket.socket:
        family, kind, protocol, _, (host, port, *_) = info
        try:
            self._rules.judge(str(host), ip_address(str(host)), int(str(port)), http=_http.get())
        except Refused as refused:
            # aiohttp's happy eyeballs handles only OSError.
            raise PermissionError(str(refused)) from refused
        return socket.socket(family, kind, protocol)


class _LimitedInterims(ResponseHandler):
    """Accepts only a limited number of interim responses (1xx) before the final one."""

    _interim = 0

    def set_response_params(self, **params: Any) -> None:
        self._interim = 0
        super().set_response_params(**params)

    def feed_data(self, data: tuple[RawResponseMessage, StreamReader], size: int = 0) -> None:
        self._interim += data[0].code in _INTERIM
        if self._interim <= _MOST_INTERIM:
            super().feed_data(data, size)
            return
        if self.transport is not None:
            self.transport.close()
        self.set_exception(HttpProcessingError(message="The server sent too many interim responses."))


class _CheckedNames(AbstractResolver):
    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,  # noqa: ARG002 - both families are always checked
    ) -> list[ResolveResult]:
        found = await self._resolver.judged(host, port, http=_http.get(), caller=_caller.get())
        return [
            ResolveResult(
                hostname=host,
                host=str(address),
                port=port,
                family=socket.AF_INET if address.version == 4 else socket.AF_INET6,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for address in found
        ]

    async def close(self) -> None:
        pass
