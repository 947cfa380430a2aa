"""Is the load generator ever the limit?"""

from collections.abc import Iterator

from bench import scripts, servers
from bench.figures import Figure, at_least
from bench.plan import Plan


def measure(plan: Plan) -> Iterator[Figure]:
    """Measure the load generator against a responder that does nothing."""
    with servers.responder() as server:
        seen = server.load(scripts.NOOP, connections=plan.busiest, seconds=plan.seconds)
    yield Figure("load generator", "requests/s from a trivial responder", seen.rate, "/s", at_least(100_000))
