"""Resolve host names and check their addresses.

The system's resolver cannot be interrupted: a name whose servers do not respond can block a thread for half a minute.
Therefore every lookup has its own thread, each caller can run only a few lookups, concurrent requests for a name share
one lookup, and callers wait only a few seconds.
"""

import asyncio
import contextlib
import functools
import socket
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from weakref import WeakValueDictionary

from service.egress.addresses import Address, Rules, literal
from service.egress.urls import Target

_PATIENCE_SECONDS = 5.0
_KEPT_SECONDS = 30.0
_MOST_KEPT = 10_000
_THREADS = 256
_THREADS_OF_A_CALLER = 8


class Unresolved(OSError):  # noqa: N818 - named after what happened
    """No address was found for a name. The text is for the user."""


@dataclass(frozen=True, slots=True)
class _Resolved:
    addresses: tuple[Address, ...]
    until: float


def system_look_up(host: str) -> Iterable[str]:
    """Return the name's IPv4 and IPv6 addresses. Blocks without a time limit."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]


class Resolver:
    """Resolves and checks names in one event loop, and caches addresses for half a minute."""

    def __init__(
        self,
        rules: Rules,
        look_up: Callable[[str], Iterable[str]] = system_look_up,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.rules = rules
        self._look_up = look_up
        self._clock = clock
        self._kept: dict[str, _Resolved] = {}
        self._running: dict[str, asyncio.Future[_Resolved]] = {}
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._threads = asyncio.Semaphore(_THREADS)

    async def judged(self, host: str, port: int, *, http: bool, caller: str) -> tuple[Address, ...]:
        """Return the addresses of a host. A single refused address refuses the whole name.

        Raises:
            Refused: An address may not be connected to.
            Unresolved: The name has no address, or none was found in time.
        """
        written = literal(host)
        found = await self._addresses(host, caller) if written is None else (written,)
        for address in found:
            self.rules.judge(host, address, port, http=http)
        return found

    async def vet(self, target: Target, caller: str) -> None:
        """Raise Refused if the target may not be connected to now. A name without an address is accepted."""
        http = target.scheme == "http"
        if http and not self.rules.allowed:
            self.rules.judge_http(target.host)
        try:
            await self.judged(target.host, target.port, http=http, caller=caller)
        except Unresolved:
            if http:
                self.rules.judge_http(target.host)

    async def _addresses(self, host: str, caller: str) -> tuple[Address, ...]:
        answer = self._kept.get(host)
        if answer is None or answer.until <= self._clock():
            answer = await self._wait_for_lookup(host, caller)
        if not answer.addresses:
            raise Unresolved(f"No address was found for {host}.")
        return answer.addresses

    async def _wait_for_lookup(self, host: str, caller: str) -> _Resolved:
        """Wait for the lookup of a name, which continues if the caller is cancelled. Raises Unresolved."""
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                running = self._running.get(host) or await self._start_in_turn(host, caller)
                return await asyncio.shield(running)
        except TimeoutError:
            raise Unresolved(f"No address was found for {host} within {_PATIENCE_SECONDS:g} seconds.") from None

    async def _start_in_turn(self, host: str, caller: str) -> asyncio.Future[_Resolved]:
        """Wait until the caller may run another lookup, then start it unless one is running by now."""
        turns = self._turns.setdefault(caller, asyncio.Semaphore(_THREADS_OF_A_CALLER))
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(turns)
            await stack.enter_async_context(self._threads)
            if host not in self._running:
                running = self._start_lookup(host)
                running.add_done_callback(lambda _: turns.release())
                running.add_done_callback(lambda _: self._threads.release())
                stack.pop_all()
                return running
            return self._running[host]

    def _start_lookup(self, host: str) -> asyncio.Future[_Resolved]:
        loop = asyncio.get_running_loop()
        ended = functools.partial(self._finish_lookup, host)

        def work() -> None:
            addresses: tuple[Address, ...] = ()
            try:
                addresses = _found(self._look_up, host)
            finally:
                # The event loop may have been closed before the lookup ended.
                with contextlib.suppress(RuntimeError):
                    loop.call_soon_threadsafe(ended, addresses)

        try:
            # Not an executor, because the process would wait for its threads at exit.
            threading.Thread(target=work, name="resolver", daemon=True).start()
        except RuntimeError:
            raise Unresolved(f"{host} cannot be looked up now: there is no thread left.") from None
        self._running[host] = loop.create_future()
        return self._running[host]

    def _finish_lookup(self, host: str, addresses: tuple[Address, ...]) -> None:
        answer = _Resolved(addresses, self._clock() + _KEPT_SECONDS)
        self._kept.pop(host, None)
        if addresses:
            self._kept[host] = answer
        if len(self._kept) > _MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        self._running.pop(host).set_result(answer)


def _found(look_up: Callable[[str], Iterable[str]], host: str) -> tuple[Address, ...]:
    try:
        return tuple(ip_address(text) for text in dict.fromkeys(look_up(host)))
    except (OSError, ValueError):
        return ()
