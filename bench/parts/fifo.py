"""How much slower are fifo queues? The more groups there are, the more consumers can work at the same time."""

from collections.abc import Iterator

from bench import database, scripts, servers
from bench.figures import Figure, at_least, ratio
from bench.plan import Plan
from bench.servers import Service

GROUPS = (10_000, 100, 1)


def measure(plan: Plan) -> Iterator[Figure]:
    """Run cycles on a fifo queue of many or few groups and on a standard queue with the same backlog, in turns."""
    for groups in GROUPS:
        with servers.restante() as service, service.queue("standard") as standard, service.queue("fifo", type="fifo"):
            service.fill(standard, plan.ordered)
            service.fill("fifo", plan.ordered, groups=groups)
            database.quiet(service.database_url)
            yield _figure(service, groups, plan)


def _figure(service: Service, groups: int, plan: Plan) -> Figure:
    ordered, unordered, troubles = [], [], []
    for _ in range(plan.rounds):
        for queue, script, rates in (
            ("fifo", scripts.GROUPED_CYCLE, ordered),
            ("standard", scripts.CYCLE, unordered),
        ):
            seen = service.load(
                script, connections=plan.busiest, seconds=plan.seconds, spread=groups, values={"queue": queue}
            )
            rates.append(seen.rate)
            troubles += seen.troubles(queue)
    return ratio(
        f"fifo cycles, {groups:,} groups, {plan.ordered:,} waiting",
        ("fifo cycles/s", ordered),
        ("standard cycles/s", unordered),
        at_least(0.4) if groups == max(GROUPS) else None,
        troubles,
    )
