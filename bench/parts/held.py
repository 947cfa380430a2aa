"""Do cycles slow down while somebody keeps a transaction open elsewhere, so that vacuum cannot clean up?"""

import asyncio
from collections.abc import Iterator
from statistics import median

from bench import database, load, scripts, servers
from bench.figures import Figure, at_least
from bench.plan import Plan
from bench.servers import Service

READING = ("begin isolation level repeatable read", "select count(*) from project")
WRITING = ("begin", "insert into bench_elsewhere values (1)")
NOBODY: tuple[str, ...] = ()


def measure(plan: Plan) -> Iterator[Figure]:
    """Keep the load on, open the transaction, and compare the last seconds with the first."""
    for name, statements, bound in (
        ("no transaction held (control)", NOBODY, None),
        (f"a reading transaction held for {plan.held} s", READING, at_least(0.9)),
        (f"a writing transaction held for {plan.held} s", WRITING, at_least(0.8)),
    ):
        seen = _watch(plan, statements)
        first = seen.per_second[1 : plan.before]
        last = seen.per_second[plan.before + plan.held :][: plan.after]
        yield Figure(
            name=f"cycles, {name}",
            formula="cycles/s after ÷ before",
            value=median(last) / median(first),
            bound=bound,
            low=min(last) / median(first),
            high=max(last) / median(first),
            raw={"cycles/s before": median(first), "cycles/s after": median(last)},
            notes=(f"cycles in each second: {' '.join(map(str, seen.per_second))}", *seen.troubles("under load")),
        )


def _watch(plan: Plan, statements: tuple[str, ...]) -> load.Load:
    seconds = plan.before + plan.held + plan.after
    with servers.restante() as service, service.queue("bench") as queue:
        # Its table stands before anything is measured.
        asyncio.run(_prepare(service.database_url))
        under_load = service.begin_load(
            scripts.CYCLE, connections=plan.busiest, seconds=seconds, values={"queue": queue}
        )
        asyncio.run(_hold(plan, service, statements))
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
