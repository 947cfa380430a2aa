"""From names to addresses that were judged.

The system's resolver cannot be interrupted: a name whose servers never answer holds a thread for half a minute. So each
look-up has a thread of its own, those of one caller are few, all who ask for a name share one, and nobody waits long.
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


class Unresolved(OSError):  # noqa: N818 - it says what happened
    """No address was found for a name; the text is for the user."""


@dataclass(frozen=True, slots=True)
class _Answer:
    addresses: tuple[Address, ...]
    until: float


def system_look_up(host: str) -> Iterable[str]:
    """Return the name's IPv4 and IPv6 addresses; blocks for as long as the system likes."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]


class Resolver:
    """Finds and judges addresses; lives in one event loop, with a memory of half a minute."""

    def __init__(
        self,
        rules: Rules,
        look_up: Callable[[str], Iterable[str]] = system_look_up,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.rules = rules
        self._look_up = look_up
        self._clock = clock
        self._kept: dict[str, _Answer] = {}
        self._running: dict[str, asyncio.Future[_Answer]] = {}
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._threads = asyncio.Semaphore(_THREADS)

    async def judged(self, host: str, port: int, *, http: bool, caller: str) -> tuple[Address, ...]:
        """Return where a connection may go; one address that is refused is enough to refuse the name.

        Raises:
            Refused: if push may not connect there.
            Unresolved: if the name has no address, or none was found in time.
        """
        written = literal(host)
        found = await self._addresses(host, caller) if written is None else (written,)
        for address in found:
            self.rules.judge(host, address, port, http=http)
        return found

    async def vet(self, target: Target, caller: str) -> None:
        """Raise Refused if push may not connect to the target as things stand; a name may get its address later."""
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
            answer = await self._asked(host, caller)
        if not answer.addresses:
            raise Unresolved(f"No address was found for {host}.")
        return answer.addresses

    async def _asked(self, host: str, caller: str) -> _Answer:
        """Wait for the look-up of a name, which goes on if the caller leaves."""
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                running = self._running.get(host) or await self._begun(host, caller)
                return await asyncio.shield(running)
        except TimeoutError:
            raise Unresolved(f"No address was found for {host} within {_PATIENCE_SECONDS:g} seconds.") from None

    async def _begun(self, host: str, caller: str) -> asyncio.Future[_Answer]:
        """Wait for a turn of the caller's, then start a look-up unless another did so meanwhile."""
        turns = self._turns.setdefault(caller, asyncio.Semaphore(_THREADS_OF_A_CALLER))
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(turns)
            await stack.enter_async_context(self._threads)
            if host not in self._running:
                running = self._started(host)
                running.add_done_callback(lambda _: turns.release())
                running.add_done_callback(lambda _: self._threads.release())
                stack.pop_all()
                return running
            return self._running[host]

    def _started(self, host: str) -> asyncio.Future[_Answer]:
        loop = asyncio.get_running_loop()
        ended = functools.partial(self._ended, host)

        def work() -> None:
            addresses: tuple[Address, ...] = ()
            try:
                addresses = _found(self._look_up, host)
            finally:
                # The loop may have ended before the name's servers answered.
                with contextlib.suppress(RuntimeError):
                    loop.call_soon_threadsafe(ended, addresses)

        try:
            # Not an executor's: those are waited for when the process ends.
            threading.Thread(target=work, name="resolver", daemon=True).start()
        except RuntimeError:
            raise Unresolved(f"{host} cannot be looked up now: the machine has no thread left.") from None
        self._running[host] = loop.create_future()
        return self._running[host]

    def _ended(self, host: str, addresses: tuple[Address, ...]) -> None:
        answer = _Answer(addresses, self._clock() + _KEPT_SECONDS)
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
