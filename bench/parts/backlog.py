"""Does a queue slow down when a million messages wait in it?"""

from collections.abc import Iterator

from bench import database, scripts, servers
from bench.figures import Figure, at_least, ratio
from bench.plan import Plan
from bench.servers import Service

BATCH = 1000


def measure(plan: Plan) -> Iterator[Figure]:
    """Run cycles on the full queue and on an empty one of the same service, in turns."""
    with servers.restante() as service, service.queue("deep") as deep, service.queue("empty") as empty:
        before = _cycles(service, empty, plan)
        filled = fill(service, deep, plan.backlog)
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


def _cycles(service: Service, queue: str, plan: Plan) -> float:
    return service.load(scripts.CYCLE, connections=plan.busiest, seconds=plan.seconds, values={"queue": queue}).rate


def fill(service: Service, queue: str, messages: int) -> float:
    """Store so many messages; answer how many a second that was."""
    seen = service.load(
        scripts.batch_send(BATCH),
        connections=4,
        seconds=600,
        warm_up=0,
        cycles=messages // BATCH,
        values={"queue": queue},
    )
    if seen.troubles("fill"):
        raise RuntimeError(seen.troubles("fill"))
    return seen.rate * BATCH
