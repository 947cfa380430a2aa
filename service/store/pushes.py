"""Messages for webhooks: which of them have something to do, what they take, and what came of it."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import asyncpg
from msgspec import Struct

from service.store import counting, fifo
from service.store.clock import EPOCH
from service.store.connections import Link
from service.store.statements import STATEMENTS

_LANES = STATEMENTS["push.lanes"]
_IN_FLIGHT = STATEMENTS["push.in_flight"]
_IDLE = STATEMENTS["push.idle"]
_SPEND = STATEMENTS["push.spend"]
_REPORT = STATEMENTS["push.report"]
_CLAIM = STATEMENTS["messages.claim"]

# A lease outlives its request by this much, so that a message is never in two requests.
MARGIN = timedelta(seconds=5)
_MOST_REQUESTS = 1000
_MOST_BYTES = 16 * 1024 * 1024


class Taken(Struct):
    """What one webhook was given: its row, with that of its queue, and messages under one lease."""

    lane: asyncpg.Record
    lease: int
    rows: list[asyncpg.Record]


class Wish(Struct):
    """A webhook that has something to do: how many requests it may have more, over all processes."""

    webhook_id: int
    project_id: int
    room: int


# A webhook, and when it had last been changed before it was asked: another receiver may be behind it by now.
Asked = tuple[int, datetime]


class Report(Struct):
    """What came of a webhook's requests: whether one succeeded, how many failed after that, and what it asked for."""

    succeeded: bool = False
    failed: int = 0
    pause: timedelta | None = None
    disabled: bool = False


async def is_idle(link: Link) -> bool:
    """Tell whether there is no webhook to serve."""
    [row] = await link.fetch(_IDLE)
    idle: bool = row["idle"]
    return idle


async def take(
    link: Link, lease: int, limit: int, barred: list[int], allot: Callable[[list[Wish]], Mapping[int, int]]
) -> tuple[list[Taken], bool]:
    """Lease messages for webhooks that have something to do; tell whether a rate held some back.

    Of at most so many webhooks, but for those that are barred, as many messages for each as it is allotted. One webhook
    of each queue at a time: a statement does not see which messages it has leased itself.
    """

    async def work() -> tuple[list[Taken], bool]:
        lanes = await link.fetch(_LANES, limit, barred)
        if not lanes:
            return [], False
        first: dict[int, asyncpg.Record] = {}
        for lane in lanes:
            first.setdefault(lane["queue_id"], lane)
        given = allot(await _wishes(link, list(first.values())))
        wanted = [(lane, room) for lane in first.values() if (room := given.get(lane["id"], 0)) > 0]
        standard = [(lane, room) for lane, room in wanted if not lane["is_fifo"]]
        ordered = [(lane, room) for lane, room in wanted if lane["is_fifo"]]
        taken = await _claim(link, lease, standard) if standard else []
        taken += await _claim_groups(link, lease, ordered) if ordered else []
        await _spend(link, taken)
        for part in taken:
            counting.received(part.lane["queue_id"], len(part.rows))
        return taken, any(lane["tokens"] is not None for lane in lanes)

    return await link.atomically(work)


async def _wishes(link: Link, lanes: list[asyncpg.Record]) -> list[Wish]:
    rows = await link.fetch(_IN_FLIGHT, [lane["number"] for lane in lanes], [lane["id"] for lane in lanes])
    in_flight = {row["id"]: row["messages"] for row in rows}
    return [
        Wish(lane["id"], lane["project_id"], min(_concurrency(lane) - in_flight[lane["id"]], _tokens(lane)))
        for lane in lanes
    ]


def _concurrency(lane: asyncpg.Record) -> int:
    """Return how many requests a webhook may have in flight: a single one, until its circuit is closed again."""
    return 1 if lane["openings"] else int(lane["max_concurrency"])


def _tokens(lane: asyncpg.Record) -> int:
    """Return how many requests a webhook's rate allows now."""
    return _MOST_REQUESTS if lane["tokens"] is None else int(lane["tokens"])


async def _spend(link: Link, taken: list[Taken]) -> None:
    limited = [part for part in taken if part.lane["tokens"] is not None]
    if limited:
        left = [part.lane["tokens"] - len(part.rows) for part in limited]
        await link.fetch(_SPEND, [part.lane["id"] for part in limited], left)


async def _claim(link: Link, lease: int, wanted: list[tuple[asyncpg.Record, int]]) -> list[Taken]:
    rows = await link.fetch(
        _CLAIM,
        [lane["number"] for lane, _ in wanted],
        [lane["version"] for lane, _ in wanted],
        [EPOCH] * len(wanted),
        [room for _, room in wanted],
        [_MOST_BYTES // len(wanted)] * len(wanted),
        [lane["timeout"] + MARGIN for lane, _ in wanted],
        lease,
        [lane["id"] for lane, _ in wanted],
    )
    taken: list[Taken] = [Taken(lane, lease, []) for lane, _ in wanted]
    for row in rows[len(wanted) :]:
        taken[row["ord"] - 1].rows.append(row)
    return [part for part in taken if part.rows]


async def _claim_groups(link: Link, lease: int, wanted: list[tuple[asyncpg.Record, int]]) -> list[Taken]:
    """Take the first message of as many groups as there is room for: the next one waits for what becomes of it."""
    looks = [
        fifo.Look(
            lane["number"],
            lane["version"],
            EPOCH,
            [fifo.Receiver(1, _MOST_BYTES, lane["timeout"] + MARGIN, [], lane["id"]) for _ in range(room)],
        )
        for lane, room in wanted
    ]
    await fifo.claim(link, looks, lease)
    taken = [
        Taken(lane, lease, [row for receiver in look.receivers for row in receiver.rows])
        for (lane, _), look in zip(wanted, looks, strict=True)
    ]
    return [part for part in taken if part.rows]


async def report(link: Link, reports: dict[Asked, Report]) -> None:
    """Note what came of requests, in the order in which webhooks are locked."""
    ordered: list[tuple[Asked, Report]] = sorted(reports.items())
    values: list[list[Any]] = [
        [identity for (identity, _), _ in ordered],
        [updated_at for (_, updated_at), _ in ordered],
        [said.succeeded for _, said in ordered],
        [said.failed for _, said in ordered],
        [said.pause for _, said in ordered],
        [said.disabled for _, said in ordered],
    ]
    await link.fetch(_REPORT, *values)
