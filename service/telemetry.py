"""What the service counts."""

from prometheus_client import Gauge, Histogram

LANE_BATCH = Histogram(
    "restante_lane_batch",
    "Callers that shared one statement.",
    ["lane"],
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000),
)
LISTENER_UP = Gauge("restante_listener_up", "1 while this process hears the wake-ups of the others.")
