"""Sends, cycles and batches beside the no-op, in turns."""

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
    """One kind of use, with what was seen of it and of the no-op right before."""

    title: str
    unit: str
    script: str
    bound: Bound
    # What is counted: cycles, or the things that this step took from its answers.
    counted: str | None = None
    ours: list[Load] = field(default_factory=list)
    noop: list[Load] = field(default_factory=list)

    def measure(self, plan: Plan, connections: int, noop: Server, service: Service) -> None:
        """Add one pair."""
        database.quiet(service.database_url)
        self.noop.append(noop.load(scripts.NOOP, connections=connections, seconds=plan.seconds))
        with service.queue("bench") as queue:
            seen = service.load(self.script, connections=connections, seconds=plan.seconds, values={"queue": queue})
        self.ours.append(seen)

    def figure(self, connections: int, *, asked: bool) -> Figure:
        """Compare the pairs."""
        rates = [self._rate(seen) for seen in self.ours]
        troubles = [trouble for seen in self.ours for trouble in seen.troubles("ours")]
        troubles += [trouble for seen in self.noop for trouble in seen.troubles("no-op")]
        return ratio(
            f"{self.title}, {connections} connections",
            (self.unit, rates),
            ("no-op/s", [seen.rate for seen in self.noop]),
            self.bound if asked else None,
            [*troubles, self._cpu(), _latency(self.ours[-1])],
        )

    def _rate(self, seen: Load) -> float:
        return seen.values_per_second(self.counted) if self.counted else seen.rate

    def _cpu(self) -> str:
        """Compare by the processor time of the server's process, which shows the same on a busy machine."""
        ours = median(seen.server_cpu / self._rate(seen) for seen in self.ours) * 1e6
        noop = median(seen.server_cpu / seen.rate for seen in self.noop) * 1e6
        return (
            f"processor time of the server for each: {ours:.0f} µs, no-op {noop:.0f} µs; no-op ÷ ours {noop / ours:.2f}"
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
