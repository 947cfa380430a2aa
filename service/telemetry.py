"""The metrics for Prometheus. All labels except those of single queues have few values.

If PROMETHEUS_MULTIPROC_DIR is set before the start, the processes of a node write their metrics to files in that
folder, and each of them reports the sum.
"""

import os
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, Metric, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)

MESSAGES_SENT = Counter("restante_messages_sent", "Messages stored by send, batch and raw.")
MESSAGES_RECEIVED = Counter("restante_messages_received", "Messages delivered to consumers, including redeliveries.")
MESSAGES_REDELIVERED = Counter("restante_messages_redelivered", "Messages delivered to a consumer again.")
MESSAGES_SETTLED = Counter(
    "restante_messages_settled", "Settled receipts: delete, release, reject or extend.", ["action"]
)
MESSAGES_DEDUPLICATED = Counter("restante_messages_deduplicated", "Duplicates that were sent and not stored.")
MESSAGES_EXPIRED = Counter("restante_messages_expired", "Messages removed because their retention or ttl had ended.")
MESSAGES_DEAD_LETTERED = Counter(
    "restante_messages_dead_lettered", "Messages moved to a dead-letter queue.", ["reason"]
)
MESSAGES_DROPPED = Counter(
    "restante_messages_dropped",
    "Messages that could not be processed and were dropped, because the reject or the webhook requested it.",
    ["reason"],
)
LEASES_EXPIRED = Counter("restante_lease_expired", "Leases that ended without a delete, release or reject.")

PUSH_ATTEMPTS = Counter(
    "restante_push_attempts",
    "Completed requests to webhooks, by class of status or name of the error.",
    ["outcome"],
)
PUSH_UNRECORDED = Counter(
    "restante_push_attempts_unrecorded", "Requests to webhooks that could not be recorded in the list of attempts."
)
PUSH_SECONDS = Histogram(
    "restante_push_duration_seconds",
    "Duration of requests to webhooks, from DNS lookup to the end of the response.",
    buckets=_SECONDS,
)

WEBHOOKS = Gauge(
    "restante_webhooks", "Webhooks by state, read at each scrape.", ["state"], multiprocess_mode="mostrecent"
)
PUSH_BACKLOG_AGE = Gauge(
    "restante_push_backlog_age_seconds",
    "Age of the longest-waiting ready message that has an enabled webhook, read at each scrape.",
    multiprocess_mode="mostrecent",
)

PARKED_RECEIVES = Gauge("restante_parked_receives", "Receives waiting for a message.", multiprocess_mode="livesum")
LISTENER_UP = Gauge(
    "restante_listener_up",
    "1 while the process receives notifications of other processes; the minimum of all processes.",
    multiprocess_mode="livemin",
)

NOTIFICATION_QUEUE = Gauge(
    "restante_notification_queue_usage",
    "Fraction of PostgreSQL's notification queue in use, read at each scrape. At 1 it accepts no more notifications.",
    multiprocess_mode="mostrecent",
)

STORAGE_FULL = Gauge(
    "restante_storage_full",
    "1 while sends are refused because the embedded database's disk is down to its reserve.",
    multiprocess_mode="livemax",
)

LANE_BATCH = Histogram("restante_lane_batch_size", "Requests that shared one statement.", ["lane"], buckets=_SIZES)
DATABASE_ERRORS = Counter(
    "restante_database_errors",
    "Failed statements: lost (server or connection), repeated (deadlock and such).",
    ["kind"],
)
OLDEST_TRANSACTION_AGE = Gauge(
    "restante_oldest_transaction_age_seconds",
    "Age of the oldest open transaction in the database, read at each scrape. Old ones keep vacuum from removing rows.",
    multiprocess_mode="mostrecent",
)

HTTP_REQUESTS = Counter(
    "restante_http_requests", "Requests answered, by route template and class of status.", ["method", "route", "status"]
)
HTTP_SECONDS = Histogram(
    "restante_http_request_duration_seconds",
    "Duration of requests, from their headers to the end of the response, including the time a receive waits.",
    ["method", "route"],
    buckets=_SECONDS,
)

REFUSED_REQUESTS = Counter(
    "restante_refused_requests",
    "Connections closed before a request could be read, by error code.",
    ["code"],
)

CHORE_ROUNDS = Counter("restante_chore_rounds", "Rounds of the background chores.", ["chore", "outcome"])
MESSAGES_REMOVED = Counter(
    "restante_messages_removed", "Messages of purged and deleted queues removed in the background."
)


class _RequestCounts:
    """The counts of one kind of requests since the last `flush`."""

    __slots__ = ("buckets", "seconds")

    def __init__(self) -> None:
        self.buckets = [0] * (len(_SECONDS) + 1)
        self.seconds = 0.0


_tallies: defaultdict[tuple[str, str, int], _RequestCounts] = defaultdict(_RequestCounts)


def count_request(method: str, route: str, status: int, seconds: float) -> None:
    """Count an answered request. `route` is a template such as /v1/queues/{queue}, never the requested path.

    Updating the Prometheus client's counters takes locks, which would cost a tenth of the time of a send. Therefore
    `flush` updates them, every second and before they are read.
    """
    tally = _tallies[method, route, status // 100]
    tally.buckets[bisect_left(_SECONDS, seconds)] += 1
    tally.seconds += seconds


def flush() -> None:
    """Add the counts since the last call to the metrics."""
    for (method, route, status_class), tally in _tallies.items():
        if requests := sum(tally.buckets):
            HTTP_REQUESTS.labels(method, route, f"{status_class}xx").inc(requests)
            durations = HTTP_SECONDS.labels(method, route)
            durations._sum.inc(tally.seconds)  # noqa: SLF001 - observe() takes one value at a time
            for bucket, count in zip(durations._buckets, tally.buckets, strict=True):  # noqa: SLF001
                bucket.inc(count)
    _tallies.clear()


class QueueFigures(Collector):
    """The gauges of single queues. They are created for each scrape, so that deleted queues leave no series behind."""

    def __init__(self) -> None:
        self.messages = GaugeMetricFamily(
            "restante_queue_messages",
            "Messages in a queue by state, counted at most every 10 seconds.",
            labels=["project", "queue", "state"],
        )
        self.oldest_ready_age = GaugeMetricFamily(
            "restante_queue_oldest_ready_age_seconds",
            "Seconds that the queue's oldest ready message has been ready; 0 if there is none.",
            labels=["project", "queue"],
        )
        self.omitted = GaugeMetricFamily(
            "restante_queues_without_metrics",
            "Queues that request metrics with a label but have none, because there are too many such queues.",
            labels=[],
        )

    def collect(self) -> Iterable[Metric]:
        """Return the metrics."""
        return self.messages, self.oldest_ready_age, self.omitted


def exposition(figures: QueueFigures) -> bytes:
    """Return all metrics in the Prometheus text format, as the sum of the processes that share a folder."""
    flush()
    of_queues = CollectorRegistry()
    of_queues.register(figures)
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(REGISTRY) + generate_latest(of_queues)
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry) + generate_latest(of_queues)
