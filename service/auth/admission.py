"""Continued authentication of waiting receives and streams, which end when their key becomes invalid."""

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from service.errors import Forbidden, NotFound, Problem, Unauthenticated
from service.model import Caller


class Admission:
    """The permission of a waiting receive or stream to continue. The keyring checks its key every second.

    `ended` is done when the permission has ended; its result is the problem to answer with.
    """

    __slots__ = ("_ask", "_leave", "caller", "ended")

    def __init__(
        self, caller: Caller, ask: Callable[[], Awaitable[Caller]], leave: Callable[["Admission"], None]
    ) -> None:
        """`ask` returns the caller as it is now, from memory if that is recent; `leave` unregisters this admission."""
        self.caller = caller
        self.ended: asyncio.Future[Problem] = asyncio.get_running_loop().create_future()
        self._ask = ask
        self._leave = leave

    def end(self, problem: Problem) -> None:
        """End the permission, with the problem to answer with."""
        if not self.ended.done():
            self.ended.set_result(problem)

    async def confirm(self) -> bool:
        """Return whether the caller may get messages now. Raises Unavailable if the key cannot be checked."""
        if not self.ended.done():
            try:
                self.check(await self._ask())
            except (Unauthenticated, Forbidden, NotFound) as problem:
                self.end(problem)
        return not self.ended.done()

    def check(self, caller: Caller) -> None:
        """End the permission if the key's scopes or queue patterns have changed."""
        if (caller.scopes, caller.queues) != (self.caller.scopes, self.caller.queues):
            self.end(Unauthenticated())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._leave(self)
