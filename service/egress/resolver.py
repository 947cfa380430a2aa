"""Looking up hosts: every answer is judged, and what was judged is what is connected to."""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

from aiohttp.abc import AbstractResolver, ResolveResult

from service.egress.addresses import Guard

_LOOK_UP_SECONDS = 5.0
_KEPT_SECONDS = 30.0
_KEPT_NAMES = 10_000
_THREADS = 64

LookUp = Callable[[str], Awaitable[list[str]]]


class SystemLookUp:
    """Asks the system's resolver, in threads: it cannot be interrupted, so one that hangs is left behind."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="resolver")
        self._running: dict[str, asyncio.Future[list[str]]] = {}

    async def __call__(self, host: str) -> list[str]:
        """Return the addresses of a name, each once. Raises OSError, also when it takes too long."""
        running = self._running.get(host)
        if running is None:
            # Whoever asks for the same name waits for the same answer: a name that hangs holds one thread.
            running = asyncio.get_running_loop().run_in_executor(self._threads, _addresses, host)
            self._running[host] = running
            running.add_done_callback(lambda done: self._forget(host, done))
        try:
            async with asyncio.timeout(_LOOK_UP_SECONDS):
                return await asyncio.shield(running)
        except TimeoutError as error:
            raise OSError("the look-up took too long") from error

    def _forget(self, host: str, done: "asyncio.Future[list[str]]") -> None:
        del self._running[host]
        if not done.cancelled():
            done.exception()


def _addresses(host: str) -> list[str]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found))


class GuardedResolver(AbstractResolver):
    """What aiohttp's connector asks. A name with one address that is refused is refused."""

    def __init__(self, guard: Guard, look_up: LookUp, *, encrypted: bool) -> None:
        self._guard = guard
        self._look_up = look_up
        self._encrypted = encrypted
        self._kept: dict[str, tuple[float, list[str]]] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return where to connect to. Raises OSError, RefusedError."""
        addresses = await self._addresses(host)
        self._guard.check(addresses, port, encrypted=self._encrypted)
        return [_result(host, address, port) for address in addresses if _fits(address, family)]

    async def _addresses(self, host: str) -> list[str]:
        now = time.monotonic()
        kept = self._kept.get(host)
        if kept is not None and now < kept[0]:
            return kept[1]
        found = await self._look_up(host)
        if len(self._kept) >= _KEPT_NAMES:
            del self._kept[next(iter(self._kept))]
        self._kept[host] = now + _KEPT_SECONDS, found
        return found

    async def close(self) -> None:
        """Forget everything."""
        self._kept.clear()


def _fits(address: str, family: socket.AddressFamily) -> bool:
    return family in {socket.AF_UNSPEC, _family(address)}


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _result(host: str, address: str, port: int) -> ResolveResult:
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    return ResolveResult(hostname=host, host=address, port=port, family=_family(address), proto=0, flags=flags)
