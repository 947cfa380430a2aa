"""Does a queue slow down when a million messages wait in it, and how long does browsing them take?"""

from collections.abc import Iterator

from bench import database, scripts, servers
from bench.figures import Figure, at_least, at_most, ratio
from bench.plan import Plan
from bench.servers import Service


def measure(plan: Plan) -> Iterator[Figure]:
    """Run cycles on the full queue and on an empty one of the same service, in turns."""
    with servers.restante() as service, service.queue("deep") as deep, service.queue("empty") as empty:
        before = _cycles(service, empty, plan)
        filled = service.fill(deep, plan.backlog)
        database.quiet(service.database_url)
        rates: dict[str, list[float]] = {deep: [], empty: []}
        for _ in range(plan.rounds):
            for queue, seen in rates.items():
                seen.append(_cycles(service, queue, plan))
        yield ratio(
            f"cycles with {plan.backlog:,} waiting",
            (f"cycles/s, {plan.backlog:,} waiting", rates[deep]),
            ("cycles/s, empty", rates[empty]),
            at_least(0.8),
            [f"filled at {filled:,.0f} messages/s; cycles/s before anything was stored: {before:,.0f}"],
        )
        yield _browse(service, deep, plan)


def _browse(service: Service, queue: str, plan: Plan) -> Figure:
    seen = service.load(scripts.BROWSE, connections=1, seconds=plan.seconds, values={"queue": queue})
    step = seen.steps["list"]
    return Figure(
        name=f"a page of 100 out of {plan.backlog:,} messages",
        formula="p50 of a request",
        value=step["p50"] / 1000,
        unit="ms",
        bound=at_most(20),
        raw={"p50 ms": step["p50"] / 1000, "p99 ms": step["p99"] / 1000},
        notes=tuple(seen.troubles("pages")),
    )


def _cycles(service: Service, queue: str, plan: Plan) -> float:
    return service.load(scripts.CYCLE, connections=plan.busiest, seconds=plan.seconds, values={"queue": queue}).rate
