"""The overview of a project: what needs attention, found by indexes and never by counting all messages."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from service.model import Queue
from service.store.database.clock import EPOCH
from service.store.database.statements import STATEMENTS
from service.store.database.transaction import by_index, driver
from service.store.resources import queues
from service.store.resources.queues import QueueFilter

SHOWN = 10
# Messages that a search for the fullest dead-letter queues may read, and how many queues are then counted.
_PASSED = 200_000
_CANDIDATES = 20

_COUNTS = STATEMENTS["overview.counts"]
_DEAD_LETTERS = STATEMENTS["overview.dead_letters"]
_WEBHOOKS = STATEMENTS["overview.webhooks"]
_OF_PROJECT = STATEMENTS["overview.attempts_of_project"]
_OF_QUEUES = STATEMENTS["overview.attempts_of_queues"]
# The time of each statement, in milliseconds: a figure that takes longer is left out.
_PATIENCE = "select set_config('statement_timeout', '1000', true)"


@dataclass(frozen=True, slots=True)
class Part:
    """The part of a project that patterns of queue names cover."""

    project_id: int
    names: tuple[str, ...] = ("*",)

    @property
    def is_whole(self) -> bool:
        """Return whether this is the whole project."""
        return "*" in self.names


@dataclass(frozen=True, slots=True)
class DeadLetters:
    """A dead-letter queue that holds messages, some queues that name it, and its growth in the last hour."""

    queue: Queue
    sources: list[str]
    growth: int


async def begin(connection: AsyncConnection) -> None:
    """Limit the time of the statements that follow, and the planner's choices."""
    await by_index(connection)
    await connection.exec_driver_sql(_PATIENCE)


async def counts(connection: AsyncConnection, part: Part) -> tuple[int, int]:
    """Return the numbers of queues and topics."""
    [row] = await _fetch(connection, _COUNTS, part)
    return row["queues"], row["topics"]


async def oldest(connection: AsyncConnection, part: Part) -> list[Queue]:
    """Return the queues with the longest-waiting ready messages."""
    found = await queues.by_age(connection, part.project_id, QueueFilter(names=part.names), (EPOCH, ""), SHOWN)
    return [aged.queue for aged in found if aged.since is not None]


async def dead_letters(connection: AsyncConnection, part: Part) -> list[DeadLetters]:
    """Return the dead-letter queues that may be the fullest: more than are shown, to be counted exactly."""
    rows = await _fetch(connection, _DEAD_LETTERS, part, _PASSED, _CANDIDATES, SHOWN)
    found = await queues.by_ids(connection, [row["id"] for row in rows])
    return [DeadLetters(found[row["id"]], row["sources"], row["growth"]) for row in rows if row["id"] in found]


async def webhooks(connection: AsyncConnection, part: Part) -> dict[str, int]:
    """Return how many webhooks are in each state, and how many requests they had in the last hour."""
    [states] = await _fetch(connection, _WEBHOOKS, part)
    if part.is_whole:
        [attempts] = await (await driver(connection)).fetch(_OF_PROJECT, part.project_id)
    else:
        [attempts] = await _fetch(connection, _OF_QUEUES, part)
    return {**states, **attempts}


async def _fetch(connection: AsyncConnection, sql: str, part: Part, *more: Any) -> list[Any]:
    return await (await driver(connection)).fetch(sql, part.project_id, queues.covering(part.names), *more)
