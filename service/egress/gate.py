"""The way out: a URL is read, its host judged when it is registered, and again at every connection."""

import contextlib

import aiohttp

from service.egress.addresses import Guard
from service.egress.resolver import GuardedResolver, LookUp
from service.egress.urls import Url, read_url

_KEEP_ALIVE_SECONDS = 30.0


class Gate:
    """The operator's rules with a way to look up names."""

    def __init__(self, guard: Guard, look_up: LookUp) -> None:
        self._guard = guard
        self._look_up = look_up

    async def check(self, text: str) -> None:
        """Say now what a connection would be told later. Raises UrlError, RefusedError.

        A name that cannot be looked up is let pass: it may be there tomorrow.
        """
        url = read_url(text)
        addresses = [url.host] if url.literal else []
        if not url.literal:
            with contextlib.suppress(OSError):
                addresses = await self._look_up(url.host)
        self._guard.check(addresses, url.port, encrypted=url.encrypted)

    def check_literal(self, url: Url) -> None:
        """Judge a host that is an address, which no resolver is asked for. Raises RefusedError."""
        if url.literal:
            self._guard.check([url.host], url.port, encrypted=url.encrypted)

    def connector(self, *, encrypted: bool) -> aiohttp.TCPConnector:
        """Return what connects to nothing but judged addresses; requests bring their own limits."""
        resolver = GuardedResolver(self._guard, self._look_up, encrypted=encrypted)
        return aiohttp.TCPConnector(
            resolver=resolver, use_dns_cache=False, limit=0, keepalive_timeout=_KEEP_ALIVE_SECONDS
        )
