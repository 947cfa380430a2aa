"""How fast are publishes to several queues, and to a topic with many subscriptions that do not match?"""

from collections.abc import Iterator
from statistics import median

from bench import scripts, servers
from bench.figures import Figure, at_least, ratio
from bench.plan import Plan
from bench.servers import Service

MATCHING = (1, 10, 100)
SUBSCRIPTIONS = 1000
_CONNECTIONS = 16


def measure(plan: Plan) -> Iterator[Figure]:
    """Measure publishes per second to some queues, and to ten of a thousand compared with ten of ten."""
    with servers.restante() as service:
        for place in range(SUBSCRIPTIONS):
            service.ask("PUT", f"/v1/queues/copy-{place}", {"retention": 60})
        for count in MATCHING:
            _subscribe(service, f"to-{count}", count, matching=count)
        _subscribe(service, "to-few", SUBSCRIPTIONS, matching=10)
        for count in MATCHING:
            rates = [_rate(service, f"to-{count}", plan.seconds) for _ in range(plan.rounds)]
            yield Figure(
                name=f"publishes a second to {count} matching queues",
                formula=f"answered publishes, {_CONNECTIONS} connections",
                value=median(rates),
                unit="/s",
                low=min(rates),
                high=max(rates),
            )
        few, ten = [], []
        for _ in range(plan.rounds):
            few.append(_rate(service, "to-few", plan.seconds))
            ten.append(_rate(service, "to-10", plan.seconds))
        yield ratio(
            f"{SUBSCRIPTIONS:,} subscriptions of which 10 match",
            ("publishes a second with them", few),
            ("publishes a second with 10 of 10", ten),
            at_least(0.8),
        )


def _subscribe(service: Service, topic: str, count: int, *, matching: int) -> None:
    service.ask("PUT", f"/v1/topics/{topic}", {})
    for place in range(count):
        color = "red" if place < matching else f"other-{place}"
        fields = {"queue": f"copy-{place}", "filter": {"headers": {"color": [color]}}}
        service.ask("PUT", f"/v1/topics/{topic}/subscriptions/s-{place}", fields)


def _rate(service: Service, topic: str, seconds: float) -> float:
    seen = service.load(scripts.PUBLISH, connections=_CONNECTIONS, seconds=seconds, values={"topic": topic})
    if troubles := seen.troubles(topic):
        raise RuntimeError(troubles)
    return seen.rate
