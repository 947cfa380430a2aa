"""Sends, cycles and batches beside the no-op, in turns."""

from collections import defaultdict
from collections.abc import Iterator

from bench import database, scripts, servers
from bench.figures import Figure, at_least, ratio
from bench.load import Load
from bench.plan import Plan
from bench.servers import Server, Service

BATCH = 10


def measure(plan: Plan) -> Iterator[Figure]:
    """Compare with a FastAPI endpoint that does nothing, at each number of connections."""
    with servers.noop() as noop, servers.restante() as service:
        for connections in plan.connections:
            yield from _compare(plan, connections, noop, service)


def _compare(plan: Plan, connections: int, noop: Server, service: Service) -> Iterator[Figure]:
    rates: defaultdict[str, list[float]] = defaultdict(list)
    last: dict[str, Load] = {}
    troubles: list[str] = []

    def record(name: str, seen: Load, rate: float) -> None:
        rates[name].append(rate)
        last[name] = seen
        troubles.extend(seen.troubles(name))

    for _ in range(plan.rounds):
        for name, script in (("send", scripts.SEND), ("cycle", scripts.CYCLE), ("batch", scripts.batch_cycle(BATCH))):
            database.quiet(service.database_url)
            seen = noop.load(scripts.NOOP, connections=connections, seconds=plan.seconds)
            record(f"no-op beside {name}", seen, seen.rate)
            with service.queue("bench") as queue:
                seen = service.load(script, connections=connections, seconds=plan.seconds, values={"queue": queue})
            record(name, seen, seen.values_per_second("settle") if name == "batch" else seen.rate)

    asked = connections == plan.busiest
    for name, what, bound in (
        ("send", "durable sends/s", at_least(3.0)),
        ("cycle", "cycles/s", at_least(0.6)),
        ("batch", "messages/s", at_least(3.0)),
    ):
        title = {
            "send": "durable send",
            "cycle": "send → receive → delete",
            "batch": f"batches of {BATCH}, full cycle",
        }[name]
        yield ratio(
            f"{title}, {connections} connections",
            (what, rates[name]),
            ("no-op/s", rates[f"no-op beside {name}"]),
            bound if asked else None,
            [*(text for text in troubles if text.startswith((name, f"no-op beside {name}"))), _latency(last[name])],
        )


def _latency(seen: Load) -> str:
    steps = (f"{name} {step['p50'] / 1000:.1f}/{step['p99'] / 1000:.1f}" for name, step in seen.steps.items())
    return f"p50/p99 in ms: {', '.join(steps)}"
