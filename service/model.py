"""The domain's types, and the rules that depend only on them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum
from fnmatch import fnmatchcase
from typing import Any
from uuid import UUID

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._~-]{0,127}$"
NAME_RULE = "Must be 1 to 128 characters of A-Z a-z 0-9 . _ ~ -, and begin with a letter or digit."
TIME_RULE = "Must be an RFC 3339 time with an offset, such as 2026-11-25T08:00:00Z."
_is_name = re.compile(NAME_PATTERN.removesuffix("$") + r"\Z").match

NOTHING = timedelta(0)
SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)
MAX_VISIBILITY_TIMEOUT = timedelta(days=7)
MAX_DELAY = timedelta(days=365)
MAX_RETENTION = timedelta(days=365)
MAX_WAIT = timedelta(seconds=60)
MAX_BATCH = 1000
MAX_RECEIVE = 100
MAX_RECEIVES = 1000
MAX_GROUP = 128
MAX_DEDUPLICATION_ID = 128
MAX_HEADERS = 64
# The header that counts how many times webhooks have forwarded a message to this service, and its maximum.
HOP = "restante-hop"
MAX_HOPS = 5
MAX_LABELS = 50
MAX_ERROR_BYTES = 4096
MAX_REQUEST_BYTES = 8 * 1024 * 1024
MAX_ANSWER_BYTES = 8 * 1024 * 1024
MAX_DEPTH = 900
NO_ID = UUID(int=0)
LEAST_URGENT = 9
# The group of messages without a group, in a fifo queue.
NO_GROUP = ""

_is_token = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}\Z").match


def is_name(text: str) -> bool:
    """Return whether the text is a valid name for a queue, topic, subscription, webhook or project."""
    return _is_name(text) is not None


def is_token(text: str) -> bool:
    """Return whether a text may be the name of a header (RFC 9110, section 5.6.2) of up to 128 characters."""
    return _is_token(text) is not None


class Scope(StrEnum):
    """A permission of a key. `admin` includes all other scopes."""

    SEND = "send"
    RECEIVE = "receive"
    BROWSE = "browse"
    MANAGE = "manage"
    # Create keys with at most the same scopes and queues, which expire within a day.
    GRANT = "grant"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class ProjectLimits:
    """The limits of a project, over all processes; None means unlimited."""

    queues: int | None = None
    messages: int | None = None
    bytes: int | None = None
    requests_per_second: int | None = None
    parked_receives: int | None = None


UNLIMITED = ProjectLimits()


@dataclass(frozen=True, slots=True)
class Project:
    """A tenant. Projects are isolated from each other."""

    id: int
    name: str
    limits: ProjectLimits
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Key:
    """A stored API key, without its secret."""

    id: UUID
    project_id: int
    name: str
    scopes: frozenset[Scope]
    queues: tuple[str, ...]
    expires_at: datetime | None
    created_at: datetime
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller: its project, and what its key permits. The operator has every scope and no `key`."""

    project_id: int
    project_name: str
    scopes: frozenset[Scope]
    queues: tuple[str, ...] = ("*",)
    expires_at: datetime | None = None
    key: UUID | None = None
    # None if the project has no limits, which is the usual case and quick to check for every request.
    limits: ProjectLimits | None = None

    @property
    def is_operator(self) -> bool:
        """Return whether the caller used the root key."""
        return self.key is None

    def has_scope(self, scope: Scope) -> bool:
        """Return whether the key has the scope, or `admin`."""
        return scope in self.scopes or Scope.ADMIN in self.scopes

    def covers(self, name: str) -> bool:
        """Return whether the key's patterns cover a queue or topic of this name."""
        return self.queues == ("*",) or any(fnmatchcase(name, pattern) for pattern in self.queues)

    def covers_all(self, patterns: Iterable[str]) -> bool:
        """Return whether the key's patterns cover every name that these patterns cover.

        It suffices to match each pattern as if it were a name, because only a `*` can match its `*`.
        """
        return all(self.covers(pattern) for pattern in patterns)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Where unprocessable messages of a queue are moved: `queue` is a queue of the same project and type."""

    queue: str
    max_receives: int
    expired: bool = False


@dataclass(frozen=True, slots=True)
class QueueConfig:
    """The configuration of a queue. The defaults are part of the API's contract."""

    type: str = "standard"
    visibility_timeout: timedelta = timedelta(seconds=30)
    delay: timedelta = NOTHING
    retention: timedelta | None = timedelta(days=4)
    max_message_bytes: int = 262_144
    max_length: int | None = None
    deduplication_window: timedelta = timedelta(seconds=300)
    deduplicate_by_content: bool = False
    dead_letter: DeadLetter | None = None
    paused: bool = False
    labels: dict[str, str] = field(default_factory=dict)
    # None: unused queues are kept.
    expires_after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Queue:
    """A version of a queue in the database.

    `id` never changes and is part of receipts. `number` identifies the queue's messages and changes when the queue is
    purged. `version` changes with everything that hot statements rely on.
    """

    id: int
    project_id: int
    name: str
    number: int
    version: int
    config: QueueConfig
    created_at: datetime
    updated_at: datetime
    # The urgencies (9 minus priority) of all messages that were ever sent to the queue, the most urgent first.
    urgencies: tuple[int, ...] = (LEAST_URGENT,)

    @property
    def is_fifo(self) -> bool:
        """Return whether the queue delivers the messages of a group in order."""
        return self.config.type == "fifo"


@dataclass(frozen=True, slots=True)
class QueueStats:
    """The number of messages of a queue in each state; `oldest_ready_age` is in seconds."""

    ready: int
    delayed: int
    leased: int
    oldest_ready_age: float | None
    approximate: bool = False

    @property
    def total(self) -> int:
        """Return the number of messages in all states."""
        return self.ready + self.delayed + self.leased


class TaskState(StrEnum):
    """The state of a task."""

    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Task:
    """A background operation on a queue's messages. `error` says why it failed."""

    id: UUID
    kind: str
    state: TaskState
    queue: str
    moved: int
    skipped: int
    remaining: int
    error: str | None
    created_at: datetime
    updated_at: datetime


class Action(IntEnum):
    """The actions on a receipt. The numbers are stored in the table `settlement`."""

    DELETE = 1
    RELEASE = 2
    REJECT = 3
    EXTEND = 4


@dataclass(frozen=True, slots=True)
class Receipt:
    """The contents of a genuine receipt. Its lease need not be current any more."""

    project_id: int
    queue_id: int
    message_id: UUID
    lease: int
    fifo: bool = False


@dataclass(frozen=True, slots=True)
class TopicConfig:
    """The configuration of a topic."""

    type: str = "standard"
    deduplication_window: timedelta = timedelta(seconds=300)
    deduplicate_by_content: bool = False


@dataclass(frozen=True, slots=True)
class SubscriptionConfig:
    """The configuration of a subscription."""

    queue: str
    filter: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Subscription:
    """A queue that gets a copy of every message published to a topic that matches `filter`."""

    name: str
    queue_id: int
    queue: str
    filter: dict[str, Any]
    created_at: datetime
    updated_at: datetime

    @property
    def config(self) -> SubscriptionConfig:
        """Return the subscription's configuration."""
        return SubscriptionConfig(self.queue, self.filter)


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic in the database. `number` identifies its deduplication ids."""

    id: int
    project_id: int
    name: str
    number: int
    version: int
    config: TopicConfig
    created_at: datetime
    updated_at: datetime

    @property
    def ledger(self) -> Queue:
        """Return a queue without messages, under which the topic's publishes are deduplicated."""
        config = QueueConfig(
            type=self.config.type,
            deduplication_window=self.config.deduplication_window,
            deduplicate_by_content=self.config.deduplicate_by_content,
        )
        plain = self.id, self.project_id, self.name, self.number, self.version
        return Queue(*plain, config=config, created_at=self.created_at, updated_at=self.updated_at)


class WebhookMode(StrEnum):
    """The format of a webhook's requests."""

    RAW = "raw"
    ENVELOPE = "envelope"
    CLOUDEVENTS = "cloudevents"


class OnExhausted(StrEnum):
    """The action on a message after its last attempt. Without a dead-letter queue, DEAD_LETTER acts like BLOCK."""

    DEAD_LETTER = "dead_letter"
    BLOCK = "block"
    DROP = "drop"


@dataclass(frozen=True, slots=True)
class Retry:
    """The delays before further attempts, and the fraction by which each is randomly lengthened or shortened."""

    delays: tuple[timedelta, ...] = tuple(
        timedelta(seconds=seconds) for seconds in (5, 30, 120, 600, 1800, 3600, 7200, 14400, 28800)
    )
    jitter: float = 0.2


@dataclass(frozen=True, slots=True)
class WebhookConfig:
    """The configuration of a webhook. `rate_limit` is in requests per second."""

    url: str
    mode: WebhookMode = WebhookMode.RAW
    headers: tuple[tuple[str, str], ...] = ()
    timeout: timedelta = timedelta(seconds=15)
    max_concurrency: int = 10
    rate_limit: float | None = None
    retry: Retry = Retry()
    on_exhausted: OnExhausted = OnExhausted.DEAD_LETTER
    enabled: bool = True


# The maximum number of secrets that sign a request, because receivers refuse headers that are too long.
MAX_SECRETS = 10


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret that signs a webhook's requests: `whsec_` and base64. A replaced secret is valid `until` a time."""

    text: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Webhook:
    """A webhook of a queue, in the database.

    `paused_until` is the end of a pause that the receiver requested. While `circuit_open`, because attempts failed, the
    webhook gets no messages before `open_until`. Both times may be in the past. `gone`: the receiver answered 410.
    """

    id: int
    queue_id: int
    name: str
    config: WebhookConfig
    secrets: tuple[Secret, ...]
    created_at: datetime
    updated_at: datetime
    paused_until: datetime | None = None
    open_until: datetime | None = None
    circuit_open: bool = False
    last_error: str | None = None
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Attempt:
    """A completed request to a webhook. `number` counts the message's attempts from 1."""

    id: UUID
    message_id: UUID
    number: int
    started_at: datetime
    duration: timedelta
    status: int | None
    error: str | None
    succeeded: bool
    excerpt: bytes
