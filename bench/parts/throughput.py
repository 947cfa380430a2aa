"""How fast are sends, cycles and batches, compared with an endpoint that does nothing?"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median

from bench import database, scripts, servers
from bench.figures import Bound, Figure, at_least, ratio
from bench.load import Load
from bench.plan import Plan
from bench.servers import Server, Service

BATCH = 10


@dataclass
class Case:
    """One kind of use, with its measurements and those of the no-op right before each."""

    title: str
    unit: str
    script: str
    bound: Bound
    # The step whose values are counted; None: cycles are counted.
    counted: str | None = None
    service: list[Load] = field(default_factory=list)
    noop: list[Load] = field(default_factory=list)

    def measure(self, plan: Plan, connections: int, noop: Server, service: Service) -> None:
        """Add one pair of measurements."""
        database.quiet(service.database_url)
        self.noop.append(noop.load(scripts.NOOP, connections=connections, seconds=plan.seconds))
        with service.queue("bench") as queue:
            seen = service.load(self.script, connections=connections, seconds=plan.seconds, values={"queue": queue})
        self.service.append(seen)

    def figure(self, connections: int, *, asked: bool) -> Figure:
        """Compare the pairs."""
        rates = [self._rate(seen) for seen in self.service]
        troubles = [trouble for seen in self.service for trouble in seen.troubles("service")]
        troubles += [trouble for seen in self.noop for trouble in seen.troubles("no-op")]
        return ratio(
            f"{self.title}, {connections} connections",
            (self.unit, rates),
            ("no-op/s", [seen.rate for seen in self.noop]),
            self.bound if asked else None,
            [*troubles, self._cpu(), _latency(self.service[-1])],
        )

    def _rate(self, seen: Load) -> float:
        return seen.values_per_second(self.counted) if self.counted else seen.rate

    def _cpu(self) -> str:
        """Compare the processor time of the server's process, which is the same on a busy machine."""
        service = median(seen.server_cpu / self._rate(seen) for seen in self.service) * 1e6
        noop = median(seen.server_cpu / seen.rate for seen in self.noop) * 1e6
        return (
            f"processor time of the server for each: {service:.0f} µs, no-op {noop:.0f} µs; "
            f"no-op ÷ service {noop / service:.2f}"
        )


def measure(plan: Plan) -> Iterator[Figure]:
    """Compare with a FastAPI endpoint that does nothing, at each number of connections."""
    with servers.noop() as noop, servers.restante() as service:
        for connections in plan.connections:
            cases = _cases()
            for _ in range(plan.rounds):
                for case in cases:
                    case.measure(plan, connections, noop, service)
            for case in cases:
                yield case.figure(connections, asked=connections == plan.busiest)


def _cases() -> list[Case]:
    return [
        Case("durable send", "durable sends/s", scripts.SEND, at_least(3.0)),
        Case("send → receive → delete", "cycles/s", scripts.CYCLE, at_least(0.6)),
        Case(f"batches of {BATCH}, full cycle", "messages/s", scripts.batch_cycle(BATCH), at_least(3.0), "settle"),
    ]


def _latency(seen: Load) -> str:
    steps = (f"{name} {step['p50'] / 1000:.1f}/{step['p99'] / 1000:.1f}" for name, step in seen.steps.items())
    return f"p50/p99 in ms: {', '.join(steps)}"
