"""How much does a project that makes ten times as many requests as its limit slow down another one?"""

from collections.abc import Iterator
from dataclasses import replace
from statistics import median

from bench import scripts, servers
from bench.figures import Figure, at_most, ratio
from bench.load import Load
from bench.plan import Plan
from bench.servers import Service

LIMIT = 200
FLOOD = 10
# The neighbour's own load: far below the capacity of the service, because a busy process is slow for all clients.
CYCLES_PER_SECOND = 200


def measure(plan: Plan) -> Iterator[Figure]:
    """Compare the p99 of a project's cycles alone and beside the flood, in turns."""
    alone, beside, troubles, flooded = [], [], [], []
    with servers.restante() as service:
        neighbour, loud = _project(service, "neighbour", {}), _project(service, "loud", {"requests_per_second": LIMIT})
        with neighbour.queue("bench"):
            loud.ask("PUT", "/v1/queues/bench", {})
            for _ in range(plan.rounds):
                seen = _cycles(neighbour, plan)
                alone.append(seen.cycle["p99"])
                flood = loud.begin_load(
                    scripts.SEND,
                    connections=16,
                    seconds=plan.seconds + 1,
                    rate=LIMIT * FLOOD,
                    values={"queue": "bench"},
                )
                seen = _cycles(neighbour, plan)
                beside.append(seen.cycle["p99"])
                troubles += seen.troubles("neighbour")
                flooded.append(flood.finish())
    yield ratio(
        f"a project beside one that asks {FLOOD} times its limit",
        ("p99 of a cycle beside it, µs", beside),
        ("p99 of a cycle alone, µs", alone),
        at_most(2),
        [_flood(flooded), *troubles],
    )


def _project(service: Service, name: str, limits: dict[str, int]) -> Service:
    """Create a project; return the service with that project's header."""
    service.ask("PUT", f"/v1/projects/{name}", {"limits": limits})
    return replace(service, headers=(*service.headers, f"Restante-Project: {name}"))


def _cycles(service: Service, plan: Plan) -> Load:
    return service.load(
        scripts.CYCLE, connections=4, seconds=plan.seconds, rate=CYCLES_PER_SECOND, values={"queue": "bench"}
    )


def _flood(flooded: list[Load]) -> str:
    asked = median(seen.steps["send"]["count"] / seen.seconds for seen in flooded)
    served = median(seen.rate for seen in flooded)
    return f"the other asked for {asked:,.0f} sends/s, may have {LIMIT} and got {served:,.0f}"
