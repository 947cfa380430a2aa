"""How fast does a redrive move dead letters, and how much does it slow down their queue?"""

import time
from collections.abc import Iterator
from statistics import median

from bench import database, scripts, servers
from bench.figures import Figure, at_least
from bench.plan import Plan
from bench.servers import Service

POLL_SECONDS = 0.05


def measure(plan: Plan) -> Iterator[Figure]:
    """Redrive into a queue under load, and compare the seconds of the redrive with those before."""
    with servers.restante() as service, service.queue("busy") as busy, service.queue("dead") as dead:
        service.fill(dead, plan.redriven)
        database.quiet(service.database_url)
        under_load = service.begin_load(
            scripts.CYCLE, connections=plan.busiest, seconds=plan.before + plan.watched, values={"queue": busy}
        )
        time.sleep(plan.before)
        seconds = _redrive(service, dead, busy)
        seen = under_load.finish()
    before = median(seen.per_second[1 : plan.before - 1])
    # The redrive's whole seconds; the load began a little earlier than the clock here.
    during = seen.per_second[plan.before : plan.before + max(1, int(seconds))]
    yield Figure(
        name=f"redrive of {plan.redriven:,} messages into a queue under load",
        formula="messages/s, from the request to the end of the task",
        value=plan.redriven / seconds,
        unit="/s",
        bound=at_least(20_000),
        raw={"seconds": seconds},
    )
    yield Figure(
        name="cycles during the redrive",
        formula="cycles/s during ÷ before",
        value=median(during) / before,
        bound=at_least(0.7),
        low=min(during) / before,
        high=max(during) / before,
        raw={"cycles/s before": before, "cycles/s during": median(during)},
        notes=(f"cycles in each second: {' '.join(map(str, seen.per_second))}", *seen.troubles("under load")),
    )


def _redrive(service: Service, dead: str, to: str) -> float:
    """Redrive all messages; return how many seconds it took."""
    began = time.monotonic()
    _, task = service.request("POST", f"/v1/queues/{dead}/redrive", {"to": to})
    while task["state"] == "running":
        time.sleep(POLL_SECONDS)
        _, task = service.request("GET", f"/v1/tasks/{task['id']}")
    if task["state"] != "done" or task["remaining"]:
        raise RuntimeError(task)
    return time.monotonic() - began
