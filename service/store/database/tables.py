"""The tables in SQLAlchemy's terms, for configuration and listings. Hot statements are SQL in `sql/`.

The schema itself comes from the migrations; a test compares the two.
"""

from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Integer,
    Interval,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    Uuid,
)
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

metadata = MetaData()

_TIME = TIMESTAMP(timezone=True)

project = Table(
    "project",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("name", Text(collation="C"), nullable=False, unique=True),
    Column("created_at", _TIME, nullable=False),
    Column("updated_at", _TIME, nullable=False),
    Column("limits", JSONB, nullable=False),
)

api_key = Table(
    "api_key",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("project_id", BigInteger, ForeignKey("project.id", ondelete="CASCADE"), nullable=False),
    Column("name", Text, nullable=False),
    Column("secret_hash", LargeBinary, nullable=False, unique=True),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("queues", ARRAY(Text), nullable=False),
    Column("expires_at", _TIME),
    Column("created_at", _TIME, nullable=False),
    Column("last_used_at", _TIME),
)

secret_key = Table(
    "secret_key",
    metadata,
    Column("only_row", Boolean, primary_key=True),
    Column("fingerprint", LargeBinary, nullable=False),
)

queue = Table(
    "queue",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("project_id", BigInteger, ForeignKey("project.id"), nullable=False),
    Column("name", Text(collation="C"), nullable=False),
    Column("number", BigInteger, nullable=False, unique=True),
    Column("version", BigInteger, nullable=False),
    Column("type", Text, nullable=False),
    Column("visibility_timeout", Interval, nullable=False),
    Column("delay", Interval, nullable=False),
    Column("retention", Interval),
    Column("max_message_bytes", Integer, nullable=False),
    Column("max_length", BigInteger),
    Column("paused", Boolean, nullable=False),
    Column("labels", JSONB, nullable=False),
    Column("created_at", _TIME, nullable=False),
    Column("updated_at", _TIME, nullable=False),
    Column("deduplication_window", Interval, nullable=False),
    Column("deduplicate_by_content", Boolean, nullable=False),
    Column("dead_letter_queue", Text(collation="C")),
    Column("max_receives", Integer),
    Column("dead_letter_expired", Boolean, nullable=False),
    Column("unmarked_after", Uuid),
    Column("urgencies", ARRAY(SmallInteger), nullable=False),
    Column("expires_after", Interval),
    Column("used_at", _TIME, nullable=False),
    Column("use_due_at", _TIME),
    ForeignKeyConstraint(("project_id", "dead_letter_queue"), ("queue.project_id", "queue.name")),
)

topic = Table(
    "topic",
    metadata,
    Column("project_id", BigInteger, ForeignKey("project.id", ondelete="CASCADE"), primary_key=True),
    Column("name", Text(collation="C"), primary_key=True),
    Column("id", BigInteger, nullable=False, unique=True),
    Column("number", BigInteger, nullable=False, unique=True),
    Column("version", BigInteger, nullable=False),
    Column("type", Text, nullable=False),
    Column("deduplication_window", Interval, nullable=False),
    Column("deduplicate_by_content", Boolean, nullable=False),
    Column("created_at", _TIME, nullable=False),
    Column("updated_at", _TIME, nullable=False),
)

subscription = Table(
    "subscription",
    metadata,
    Column("topic_id", BigInteger, ForeignKey("topic.id", ondelete="CASCADE"), primary_key=True),
    Column("name", Text(collation="C"), primary_key=True),
    Column("queue_id", BigInteger, ForeignKey("queue.id", ondelete="CASCADE"), nullable=False),
    Column("filter", JSON, nullable=False),
    Column("created_at", _TIME, nullable=False),
    Column("updated_at", _TIME, nullable=False),
)

retired_queue = Table(
    "retired_queue",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("retired_at", _TIME, nullable=False),
)

message = Table(
    "message",
    metadata,
    Column("queue_number", BigInteger, primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("visible_at", _TIME, nullable=False),
    Column("first_visible_at", _TIME, nullable=False),
    Column("expires_at", _TIME),
    Column("first_received_at", _TIME),
    Column("lease", BigInteger),
    Column("receive_count", Integer, nullable=False),
    Column("size", Integer, nullable=False),
    Column("urgency", SmallInteger, nullable=False),
    Column("is_json", Boolean, nullable=False),
    Column("content_type", Text),
    Column("headers", LargeBinary),
    Column("message_group", Text),
    Column("last_error", Text),
    Column("traceparent", Text),
    Column("tracestate", Text),
    Column("body", LargeBinary, nullable=False),
    Column("seq", BigInteger),
    Column("exhausted_at", _TIME),
    Column("dead_letter", JSONB),
    Column("moved", Boolean, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("pushed_by", BigInteger),
    Column("published", Text),
    Column("taken_by", Uuid),
    Column("taken_via", SmallInteger),
    Column("taken_under", BigInteger),
)

fifo_group = Table(
    "fifo_group",
    metadata,
    Column("queue_number", BigInteger, primary_key=True),
    Column("name", Text(collation="C"), primary_key=True),
    Column("ready_at", _TIME, nullable=False),
    Column("last_seq", BigInteger, nullable=False),
    Column("depth", BigInteger, nullable=False),
)

task = Table(
    "task",
    metadata,
    Column("project_id", BigInteger, ForeignKey("project.id", ondelete="CASCADE"), primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("queue", Text(collation="C"), nullable=False),
    Column("queue_number", BigInteger, nullable=False),
    Column("wanted", JSONB, nullable=False),
    Column("total", BigInteger, nullable=False),
    Column("moved", BigInteger, nullable=False),
    Column("skipped", BigInteger, nullable=False),
    Column("after_id", Uuid, nullable=False),
    Column("after_group", Text(collation="C"), nullable=False),
    Column("after_seq", BigInteger, nullable=False),
    Column("error", Text),
    Column("due_at", _TIME, nullable=False),
    Column("created_at", _TIME, nullable=False),
    Column("updated_at", _TIME, nullable=False),
)

queue_room = Table(
    "queue_room",
    metadata,
    Column("queue_number", BigInteger, primary_key=True),
    Column("process", BigInteger, primary_key=True),
    Column("grant_id", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("permits", BigInteger, nullable=False),
    Column("used_at", _TIME, nullable=False),
)

deduplication = Table(
    "deduplication",
    metadata,
    Column("queue_number", BigInteger, primary_key=True),
    Column("hash", LargeBinary, primary_key=True),
    Column("message_id", Uuid, nullable=False),
    Column("visible_at", _TIME, nullable=False),
    Column("members", Integer, nullable=False),
    Column("expires_at", _TIME, nullable=False),
)

webhook = Table(
    "webhook",
    metadata,
    Column("queue_id", BigInteger, ForeignKey("queue.id", ondelete="CASCADE"), primary_key=True),
    Column("name", Text(collation="C"), primary_key=True),
    Column("id", BigInteger, nullable=False, unique=True),
    Column("url", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("timeout", Interval, nullable=False),
    Column("max_concurrency", Integer, nullable=False),
    Column("rate_limit", Double),
    Column("retry_delays", ARRAY(Interval), nullable=False),
    Column("retry_jitter", Double, nullable=False),
    Column("on_exhausted", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("openings", Integer, nullable=False),
    Column("last_success_at", _TIME),
    Column("paused_until", _TIME),
    Column("open_until", _TIME),
    Column("last_error", Text),
    Column("gone", Boolean, nullable=False),
    Column("allowance", Double, nullable=False),
    Column("allowed_at", _TIME, nullable=False),
    Column("served_at", _TIME, nullable=False),
    Column("created_at", _TIME, nullable=False),
    Column("updated_at", _TIME, nullable=False),
)

attempt = Table(
    "attempt",
    metadata,
    Column("queue_id", BigInteger, nullable=False),
    Column("webhook_id", BigInteger, nullable=False),
    Column("id", Uuid, nullable=False),
    Column("message_id", Uuid, nullable=False),
    Column("number", Integer, nullable=False),
    Column("started_at", _TIME, nullable=False),
    Column("duration", Interval, nullable=False),
    Column("status", Integer),
    Column("error", Text),
    Column("succeeded", Boolean, nullable=False),
    Column("excerpt", LargeBinary, nullable=False),
)


def _activity(of: str) -> Table:
    """Return the table of the activity of queues or projects."""
    counts = ("sent", "received", "deleted", "dead_lettered", "growth", "attempts", "succeeded")
    return Table(
        f"{of}_activity",
        metadata,
        Column(f"{of}_id", BigInteger, primary_key=True),
        Column("at", _TIME, primary_key=True),
        *(Column(name, BigInteger if name == "growth" else Integer, nullable=False) for name in counts),
    )


queue_activity = _activity("queue")
project_activity = _activity("project")
