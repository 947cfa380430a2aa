"""The loops that run the chores."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta

import structlog

from service.errors import Unavailable
from service.store.database.connections import settle_down
from service.telemetry import CHORE_ROUNDS

_log = structlog.get_logger()

# A chore does one round and returns how long to wait before the next one.
Chore = Callable[[], Awaitable[timedelta]]

_FIRST_BACKOFF = timedelta(seconds=0.5)
_LONGEST_BACKOFF = timedelta(seconds=30)
# The first rounds of two chores begin so far apart. If all began at once, they would take most of the pool and of the
# processor while the first requests arrive.
_APART = timedelta(seconds=0.1)


class Upkeep:
    """The chores of a process, each in its own loop. All processes run the same chores."""

    def __init__(self, chores: Mapping[str, Chore]) -> None:
        self._chores = chores
        self._tasks: list[asyncio.Task[None]] = []

    def open(self) -> None:
        """Start every loop."""
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(_keep(name, chore, _APART * place), name=f"upkeep-{name}")
            for place, (name, chore) in enumerate(self._chores.items())
        ]

    async def close(self) -> None:
        """Stop every loop."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            await settle_down(task)


async def _keep(name: str, chore: Chore, delay: timedelta) -> None:
    """Run a chore for ever, first after `delay`, with growing pauses after failures."""
    backoff = _FIRST_BACKOFF
    await asyncio.sleep(delay.total_seconds())
    while True:
        rest = await do_round(name, chore)
        if rest is None:
            rest, backoff = backoff, min(2 * backoff, _LONGEST_BACKOFF)
        else:
            backoff = _FIRST_BACKOFF
        await asyncio.sleep(rest.total_seconds())


async def do_round(name: str, chore: Chore) -> timedelta | None:
    """Do one round and return the pause after it. A failure is logged and counted; then return None."""
    try:
        rest = await chore()
    except Unavailable:
        _log.info("chore_put_off", chore=name)
        CHORE_ROUNDS.labels(name, "put_off").inc()
        return None
    except Exception:  # noqa: BLE001 - a chore that fails must not end the others
        _log.exception("chore_failed", chore=name)
        CHORE_ROUNDS.labels(name, "failed").inc()
        return None
    CHORE_ROUNDS.labels(name, "done").inc()
    return rest
