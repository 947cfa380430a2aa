"""How much slower are sends with a deduplication id?"""

from collections.abc import Iterator

from bench import database, scripts, servers
from bench.figures import Figure, at_least, ratio
from bench.plan import Plan


def measure(plan: Plan) -> Iterator[Figure]:
    """Send with a deduplication id and without, in turns; every id is new."""
    rates: dict[str, list[float]] = {scripts.SEND_ONCE: [], scripts.SEND: []}
    troubles: list[str] = []
    with servers.restante() as service:
        for _ in range(plan.rounds):
            for script, seen_rates in rates.items():
                database.quiet(service.database_url)
                with service.queue("bench") as queue:
                    seen = service.load(script, connections=plan.busiest, seconds=plan.seconds, values={"queue": queue})
                seen_rates.append(seen.rate)
                troubles += seen.troubles("sends")
    yield ratio(
        "sends with a deduplication id",
        ("sends/s with", rates[scripts.SEND_ONCE]),
        ("sends/s without", rates[scripts.SEND]),
        at_least(0.4),
        troubles,
    )
