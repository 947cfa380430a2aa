"""Do cycles slow down while a transaction is kept open elsewhere, so that vacuum cannot clean up?"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median

from bench import database, load, scripts, servers
from bench.figures import Bound, Figure, at_least
from bench.plan import Plan
from bench.servers import Service

READING = ("begin isolation level repeatable read", "select count(*) from project")
WRITING = ("begin", "insert into bench_elsewhere values (1)")
NOTHING: tuple[str, ...] = ()
FIFO: dict[str, object] = {"type": "fifo"}


@dataclass(frozen=True)
class Case:
    """The transaction that is held open, and the queue that is used."""

    title: str
    statements: tuple[str, ...]
    bound: Bound | None
    config: dict[str, object] = field(default_factory=dict)
    script: str = scripts.CYCLE
    groups: int = 1


def measure(plan: Plan) -> Iterator[Figure]:
    """Open the transaction under load, and compare the last seconds with the first."""
    reading, writing = (f"a {kind} transaction held for {plan.held} s" for kind in ("reading", "writing"))
    for case in (
        Case("no transaction held (control)", NOTHING, None),
        Case(reading, READING, at_least(0.9)),
        Case(writing, WRITING, at_least(0.8)),
        Case(f"max_length, {writing}", WRITING, at_least(0.5), {"max_length": 100_000}),
        Case(f"fifo, 10,000 groups, {writing}", WRITING, at_least(0.5), FIFO, scripts.GROUPED_CYCLE, 10_000),
        Case(f"fifo, 100 groups, {writing}", WRITING, at_least(0.5), FIFO, scripts.GROUPED_CYCLE, 100),
    ):
        yield _figure(case, plan)


def _figure(case: Case, plan: Plan) -> Figure:
    seen = _watch(plan, case)
    first = seen.per_second[1 : plan.before]
    last = seen.per_second[plan.before + plan.held :][: plan.after]
    return Figure(
        name=f"cycles, {case.title}",
        formula="cycles/s after ÷ before",
        value=median(last) / median(first),
        bound=case.bound,
        low=min(last) / median(first),
        high=max(last) / median(first),
        raw={"cycles/s before": median(first), "cycles/s after": median(last)},
        notes=(f"cycles in each second: {' '.join(map(str, seen.per_second))}", *seen.troubles("under load")),
    )


def _watch(plan: Plan, case: Case) -> load.Load:
    seconds = plan.before + plan.held + plan.after
    with servers.restante() as service, service.queue("bench", **case.config) as queue:
        # Create the transaction's table before anything is measured.
        asyncio.run(_prepare(service.database_url))
        under_load = service.begin_load(
            case.script, connections=plan.busiest, seconds=seconds, spread=case.groups, values={"queue": queue}
        )
        asyncio.run(_hold(plan, service, case.statements))
        return under_load.finish()


async def _prepare(url: str) -> None:
    async with database.connected(url) as connection:
        await connection.execute("create table bench_elsewhere (n integer)")


async def _hold(plan: Plan, service: Service, statements: tuple[str, ...]) -> None:
    async with database.connected(service.database_url) as connection:
        await asyncio.sleep(load.WARM_UP + plan.before)
        for statement in statements:
            await connection.execute(statement)
        await asyncio.sleep(plan.held + plan.after)
