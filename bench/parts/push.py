"""How many signed deliveries per second does a process make, and how much does a slow endpoint slow down quick ones?"""

import http.client
import re
import time
from collections.abc import Iterator
from itertools import cycle
from statistics import median, quantiles

from bench import servers
from bench.figures import Figure, at_least, at_most, ratio
from bench.plan import Plan
from bench.servers import Server, Service

# Numbers of endpoints, with how many requests each may have in flight.
SIZES = {10: 40, 200: 10}
# The number of endpoints that answer at once, and the messages that they get together.
_QUICK = 10
_MESSAGES_PER_SECOND = 100
# More than the slots of a process.
_SLOW_CONCURRENCY = 1000
_SETTLE_SECONDS = 2
# Queues are filled with whole batches.
_BATCH = 1000
_settled = re.compile(r'restante_messages_settled_total\{action="delete"\} (\S+)').search


def measure(plan: Plan) -> Iterator[Figure]:
    """Measure deliveries per second, including their commits, with few endpoints and with many."""
    for endpoints, concurrency in SIZES.items():
        with servers.restante() as service, servers.responder() as sink:
            yield _deliveries(plan, service, sink, endpoints, concurrency)
    with servers.restante() as service, servers.receiver() as receiver:
        yield _beside_a_slow_one(plan, service, receiver)


def _deliveries(plan: Plan, service: Service, sink: Server, endpoints: int, concurrency: int) -> Figure:
    names = [f"pushed-{place}" for place in range(endpoints)]
    for name in names:
        service.ask("PUT", f"/v1/queues/{name}", {})
        service.fill(name, max(_BATCH, plan.pushed // endpoints))
    url = f"http://127.0.0.1:{sink.port}/hook"
    for name in names:
        service.ask("PUT", f"/v1/queues/{name}/webhooks/sink", {"url": url, "max_concurrency": concurrency})
    rates = [_rate(service, plan.seconds) for _ in range(plan.rounds + 1)][1:]
    return Figure(
        name=f"signed deliveries a second by one process, {endpoints} endpoints",
        formula="messages deleted by push a second, committed",
        value=median(rates),
        unit="/s",
        bound=at_least(2000),
        low=min(rates),
        high=max(rates),
    )


def _rate(service: Service, seconds: float) -> float:
    """Return how many messages per second are delivered and deleted."""
    began, before = time.monotonic(), _delivered(service)
    time.sleep(seconds)
    after, ended = _delivered(service), time.monotonic()
    return (after - before) / (ended - began)


def _delivered(service: Service) -> float:
    found = _settled(service.text("/metrics"))
    return float(found.group(1)) if found else 0


def _beside_a_slow_one(plan: Plan, service: Service, receiver: Server) -> Figure:
    quick = [f"quick-{place}" for place in range(_QUICK)]
    url = f"http://127.0.0.1:{receiver.port}"
    for name in quick:
        service.ask("PUT", f"/v1/queues/{name}", {})
        service.ask("PUT", f"/v1/queues/{name}/webhooks/quick", {"url": f"{url}/quick"})
    service.ask("PUT", "/v1/queues/slow", {})
    slow = {"url": f"{url}/slow", "timeout": 60, "max_concurrency": _SLOW_CONCURRENCY, "enabled": False}
    service.ask("PUT", "/v1/queues/slow/webhooks/slow", slow)
    service.fill("slow", plan.pushed)
    alone, beside = [], []
    for _ in range(plan.rounds):
        service.ask("PATCH", "/v1/queues/slow/webhooks/slow", {"enabled": False})
        alone.append(_p99(service, receiver, quick, plan.seconds))
        service.ask("PATCH", "/v1/queues/slow/webhooks/slow", {"enabled": True})
        time.sleep(_SETTLE_SECONDS)
        beside.append(_p99(service, receiver, quick, plan.seconds))
    return ratio(
        f"quick endpoints beside a slow one with {plan.pushed:,} waiting",
        ("p99 from send to receipt beside it, ms", beside),
        ("p99 without it, ms", alone),
        at_most(2),
    )


def _p99(service: Service, receiver: Server, queues: list[str], seconds: float) -> float:
    """Send at an even pace; return the 99th percentile of the times until messages arrived, in ms."""
    receiver.request("GET", "/")
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
    headers = dict(header.split(": ", 1) for header in service.headers)
    count, began, turns = int(seconds * _MESSAGES_PER_SECOND), time.monotonic(), cycle(queues)
    for place in range(count):
        time.sleep(max(0.0, began + place / _MESSAGES_PER_SECOND - time.monotonic()))
        connection.request("POST", f"/v1/queues/{next(turns)}/raw", str(time.monotonic_ns()), headers)
        connection.getresponse().read()
    connection.close()
    time.sleep(_SETTLE_SECONDS)
    _, took = receiver.request("GET", "/")
    if len(took) != count:
        message = f"{len(took)} of {count} messages came"
        raise RuntimeError(message)
    return quantiles(took, n=100)[98] * 1000
