"""Are many queues slower than one?"""

from collections.abc import Iterator

from bench import scripts, servers
from bench.figures import Figure, at_least, ratio
from bench.plan import Plan


def measure(plan: Plan) -> Iterator[Figure]:
    """Run cycles spread at random over many queues and on one, in turns."""
    with servers.restante() as service, service.queue("one") as one:
        created = service.load(scripts.CREATE_MANY, connections=16, seconds=600, warm_up=0, cycles=plan.queues)
        spread, alone = [], []
        troubles = created.troubles("creating queues")
        for _ in range(plan.rounds):
            many = service.load(
                scripts.SPREAD_CYCLE, connections=plan.busiest, seconds=plan.seconds, spread=plan.queues
            )
            single = service.load(scripts.CYCLE, connections=plan.busiest, seconds=plan.seconds, values={"queue": one})
            spread.append(many.rate)
            alone.append(single.rate)
            troubles += many.troubles("spread") + single.troubles("one queue")
        yield ratio(
            f"cycles over {plan.queues:,} queues",
            (f"cycles/s over {plan.queues:,} queues", spread),
            ("cycles/s on one", alone),
            at_least(0.7),
            [f"queues made at {created.rate:,.0f}/s", *troubles],
        )
