"""What the process counts, in Prometheus' terms. Every label has few values: a queue's or project's name is never one.

With PROMETHEUS_MULTIPROC_DIR set before the start, the processes of a node count into files of that folder, and any of
them shows the sum.
"""

import os
from bisect import bisect_left
from collections import defaultdict

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)

MESSAGES_SENT = Counter("restante_messages_sent", "Messages stored by send, batch and raw.")
MESSAGES_RECEIVED = Counter("restante_messages_received", "Messages given to a consumer, first time or again.")
MESSAGES_REDELIVERED = Counter("restante_messages_redelivered", "Messages given to a consumer that was not the first.")
MESSAGES_SETTLED = Counter(
    "restante_messages_settled", "Receipts that were settled: delete, release, reject or extend.", ["action"]
)
MESSAGES_DEDUPLICATED = Counter(
    "restante_messages_deduplicated", "Messages that were sent again and not stored a second time."
)
MESSAGES_EXPIRED = Counter("restante_messages_expired", "Messages that left because their retention or ttl was over.")
MESSAGES_DEAD_LETTERED = Counter(
    "restante_messages_dead_lettered", "Messages moved to a dead-letter queue.", ["reason"]
)
MESSAGES_DROPPED = Counter(
    "restante_messages_dropped",
    "Messages that could not be delivered and whose queue has no dead-letter queue.",
    ["reason"],
)
LEASES_EXPIRED = Counter("restante_lease_expired", "Leases that ended without a delete, release or reject.")

PUSH_ATTEMPTS = Counter(
    "restante_push_attempts",
    "Requests to webhooks that have ended: class of status, or name of the error.",
    ["outcome"],
)
PUSH_SECONDS = Histogram(
    "restante_push_duration_seconds", "From the look-up of a webhook's host to the end of its answer.", buckets=_SECONDS
)

WEBHOOKS = Gauge(
    "restante_webhooks", "Webhooks by state, read at each scrape.", ["state"], multiprocess_mode="mostrecent"
)
PUSH_BACKLOG_AGE = Gauge(
    "restante_push_backlog_age_seconds",
    "For how long the message has been ready that waits longest for an enabled webhook, read at each scrape.",
    multiprocess_mode="mostrecent",
)

PARKED_RECEIVES = Gauge("restante_parked_receives", "Receives that wait for a message.", multiprocess_mode="livesum")
LISTENER_UP = Gauge(
    "restante_listener_up",
    "1 while the process hears other processes' wake-ups; the least of all processes.",
    multiprocess_mode="livemin",
)

LANE_BATCH = Histogram("restante_lane_batch_size", "Requests that shared one statement.", ["lane"], buckets=_SIZES)
DATABASE_ERRORS = Counter(
    "restante_database_errors",
    "Failed statements: lost (server or connection), repeated (deadlock and such).",
    ["kind"],
)
OLDEST_TRANSACTION_AGE = Gauge(
    "restante_oldest_transaction_age_seconds",
    "Age of the oldest open transaction in the database, read at each scrape. A high one keeps dead rows from going.",
    multiprocess_mode="mostrecent",
)

HTTP_REQUESTS = Counter(
    "restante_http_requests", "Answered requests by route template and class of status.", ["method", "route", "status"]
)
HTTP_SECONDS = Histogram(
    "restante_http_request_duration_seconds",
    "From the request's head to the end of its answer, long polls' waits included.",
    ["method", "route"],
    buckets=_SECONDS,
)

CHORE_ROUNDS = Counter("restante_chore_rounds", "Rounds of the background chores.", ["chore", "outcome"])
MESSAGES_REMOVED = Counter(
    "restante_messages_removed", "Messages of purged and deleted queues removed in the background."
)


class _Tally:
    """Requests of one kind since the last `flush`."""

    __slots__ = ("buckets", "seconds")

    def __init__(self) -> None:
        self.buckets = [0] * (len(_SECONDS) + 1)
        self.seconds = 0.0


_tallies: defaultdict[tuple[str, str, int], _Tally] = defaultdict(_Tally)


def count_request(method: str, route: str, status: int, seconds: float) -> None:
    """Count an answered request. `route` is a template such as /v1/queues/{queue}, never the path that was asked.

    The client's own counters lock at every step, which would be a tenth of the time of a send: they are brought up to
    date by `flush`, every second and before they are shown.
    """
    tally = _tallies[method, route, status // 100]
    tally.buckets[bisect_left(_SECONDS, seconds)] += 1
    tally.seconds += seconds


def flush() -> None:
    """Move what was counted since the last time into the metrics."""
    for (method, route, status_class), tally in _tallies.items():
        if requests := sum(tally.buckets):
            HTTP_REQUESTS.labels(method, route, f"{status_class}xx").inc(requests)
            durations = HTTP_SECONDS.labels(method, route)
            durations._sum.inc(tally.seconds)  # noqa: SLF001 - observe() takes one value at a time
            for bucket, count in zip(durations._buckets, tally.buckets, strict=True):  # noqa: SLF001
                bucket.inc(count)
    _tallies.clear()


def exposition() -> bytes:
    """Return all counts in Prometheus' text format: the sum of the processes, where they share a folder."""
    flush()
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)
