"""The nouns as small frozen types, and the rules that need nothing but them."""

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum
from fnmatch import fnmatchcase
from typing import Any
from uuid import UUID

from msgspec import Struct

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._~-]{0,127}$"
NAME_RULE = "1 to 128 of A-Z a-z 0-9 . _ ~ -, the first a letter or digit."
TIME_RULE = "Must be an RFC 3339 time with offset, such as 2026-11-25T08:00:00Z."
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
# A message's header that counts how often webhooks have pushed it on to this service itself, and how often they may.
HOP = "restante-hop"
MAX_HOPS = 5
MAX_LABELS = 50
MAX_ERROR_BYTES = 4096
MAX_REQUEST_BYTES = 8 * 1024 * 1024
MAX_ANSWER_BYTES = 8 * 1024 * 1024
MAX_DEPTH = 900
NO_ID = UUID(int=0)
LEAST_URGENT = 9
# The group, in a fifo queue, of messages that name none.
NO_GROUP = ""


def is_name(text: str) -> bool:
    """Tell whether this may name a queue, topic, subscription, webhook or project."""
    return _is_name(text) is not None


class Scope(StrEnum):
    """What a key may do; `admin` includes all others."""

    SEND = "send"
    RECEIVE = "receive"
    BROWSE = "browse"
    MANAGE = "manage"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class ProjectLimits:
    """What a project may use at most, over all processes; None: as much as it likes."""

    queues: int | None = None
    messages: int | None = None
    bytes: int | None = None
    requests_per_second: int | None = None
    parked_receives: int | None = None


UNLIMITED = ProjectLimits()


@dataclass(frozen=True, slots=True)
class Project:
    """A tenant: nothing crosses from one to another."""

    id: int
    name: str
    limits: ProjectLimits
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Key:
    """An API key as it is kept: its secret is known only to its holder."""

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
    """Who asks: one project, what the key allows there. The operator (root key) has every scope and no key."""

    project_id: int
    project_name: str
    scopes: frozenset[Scope]
    queues: tuple[str, ...] = ("*",)
    expires_at: datetime | None = None
    key: UUID | None = None
    # None: the project has none. Most have none, and every request asks.
    limits: ProjectLimits | None = None

    @property
    def is_operator(self) -> bool:
        """Tell whether this is the root key."""
        return self.key is None

    def has_scope(self, scope: Scope) -> bool:
        """Tell whether the key carries the scope, itself or by `admin`."""
        return scope in self.scopes or Scope.ADMIN in self.scopes

    def covers(self, name: str) -> bool:
        """Tell whether the key's patterns cover a queue or topic of this name."""
        return self.queues == ("*",) or any(fnmatchcase(name, pattern) for pattern in self.queues)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Where a queue's messages go that cannot be delivered: `queue` names one of the same project and type."""

    queue: str
    max_receives: int
    expired: bool = False


@dataclass(frozen=True, slots=True)
class QueueConfig:
    """What a queue's owner sets. The defaults are the contract's."""

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


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue as one version of it stands in the database.

    `id` lives as long as the queue and is what receipts carry; `number` is what its messages are stored under, and
    changes when it is purged; `version` changes with everything that hot statements rely on.
    """

    id: int
    project_id: int
    name: str
    number: int
    version: int
    config: QueueConfig
    created_at: datetime
    updated_at: datetime
    # Of the messages that were ever sent to it: 9 minus the priority, the most urgent first.
    urgencies: tuple[int, ...] = (LEAST_URGENT,)

    @property
    def is_fifo(self) -> bool:
        """Tell whether it keeps order within groups."""
        return self.config.type == "fifo"


@dataclass(frozen=True, slots=True)
class QueueStats:
    """How many messages a queue holds, in which states; `oldest_ready_age` in seconds."""

    ready: int
    delayed: int
    leased: int
    oldest_ready_age: float | None
    approximate: bool = False

    @property
    def total(self) -> int:
        """Return all messages, whatever their state."""
        return self.ready + self.delayed + self.leased


class MessageState(StrEnum):
    """What a message is, as those see it who look at it."""

    READY = "ready"
    DELAYED = "delayed"
    LEASED = "leased"


@dataclass(frozen=True, slots=True)
class WaitingFor:
    """Why a message is not given out: its lease or delay `until` a time, its group by a message, a paused queue.

    Or what its queue's webhooks wait for, in words, as `detail`.
    """

    reason: str
    until: datetime | None = None
    message_id: UUID | None = None
    detail: str | None = None


class TaskState(StrEnum):
    """How far a task is."""

    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Task:
    """Work on a queue's messages that goes on after its request was answered. `error` says why it failed."""

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


class Draft(Struct):
    """A message that is about to be sent.

    `id` is given when it enters a queue. `delay` None is the queue's; `headers` is one JSON object of strings, None
    when there are none; `content_type` None is application/json; `size` counts the octets of body and headers;
    `urgency` is 9 minus the priority. `duplicate`: it was there already, and its id is the first one's. `published`: by
    which topic, under which id, as JSON.
    """

    body: bytes
    size: int
    is_json: bool = True
    content_type: str | None = None
    headers: bytes | None = None
    delay: timedelta | None = None
    deliver_at: datetime | None = None
    ttl: timedelta | None = None
    traceparent: str | None = None
    tracestate: str | None = None
    group: str | None = None
    urgency: int = LEAST_URGENT
    id: UUID = NO_ID
    deduplication_id: str | None = None
    duplicate: bool = False
    published: str | None = None

    @property
    def is_plain(self) -> bool:
        """Tell whether this is nothing but a JSON body."""
        return (
            self.is_json
            and self.headers is None
            and self.content_type is None
            and self.traceparent is None
            and self.delay is None
            and self.deliver_at is None
            and self.ttl is None
            and self.group is None
            and self.urgency == LEAST_URGENT
            and self.published is None
        )


class Action(IntEnum):
    """What can be done with a receipt. The numbers are stored in `settlement`."""

    DELETE = 1
    RELEASE = 2
    REJECT = 3
    EXTEND = 4


@dataclass(frozen=True, slots=True)
class Receipt:
    """The lease that a receipt names; genuine, which says nothing about whether the lease is still current."""

    project_id: int
    queue_id: int
    message_id: UUID
    lease: int
    fifo: bool = False


@dataclass(frozen=True, slots=True)
class TopicConfig:
    """What an owner sets of a topic."""

    type: str = "standard"
    deduplication_window: timedelta = timedelta(seconds=300)
    deduplicate_by_content: bool = False


@dataclass(frozen=True, slots=True)
class SubscriptionConfig:
    """What an owner sets of a subscription."""

    queue: str
    filter: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Subscription:
    """A queue that gets a copy of what is published to a topic and matches the filter, which is as it was given."""

    name: str
    queue_id: int
    queue: str
    filter: dict[str, Any]
    created_at: datetime
    updated_at: datetime

    @property
    def config(self) -> SubscriptionConfig:
        """Return what its owner has set."""
        return SubscriptionConfig(self.queue, self.filter)


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as it stands in the database. `number`: what its publishes are known under."""

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
        """Return what deduplicates its publishes: a queue that has no messages."""
        config = QueueConfig(
            type=self.config.type,
            deduplication_window=self.config.deduplication_window,
            deduplicate_by_content=self.config.deduplicate_by_content,
        )
        plain = self.id, self.project_id, self.name, self.number, self.version
        return Queue(*plain, config=config, created_at=self.created_at, updated_at=self.updated_at)


class WebhookMode(StrEnum):
    """In which form a webhook gets its messages."""

    RAW = "raw"
    ENVELOPE = "envelope"
    CLOUDEVENTS = "cloudevents"


class OnExhausted(StrEnum):
    """What becomes of a message whose last attempt has failed."""

    DEAD_LETTER = "dead_letter"
    BLOCK = "block"


@dataclass(frozen=True, slots=True)
class Retry:
    """How long to wait before each further attempt, and by which share of that it may be more or less."""

    delays: tuple[timedelta, ...] = tuple(
        timedelta(seconds=seconds) for seconds in (5, 30, 120, 600, 1800, 3600, 7200, 14400, 28800)
    )
    jitter: float = 0.2


@dataclass(frozen=True, slots=True)
class WebhookConfig:
    """What an owner sets of a webhook. `rate_limit`: requests a second."""

    url: str
    mode: WebhookMode = WebhookMode.RAW
    headers: tuple[tuple[str, str], ...] = ()
    timeout: timedelta = timedelta(seconds=15)
    max_concurrency: int = 10
    rate_limit: float | None = None
    retry: Retry = Retry()
    on_exhausted: OnExhausted = OnExhausted.DEAD_LETTER
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Secret:
    """What a webhook's requests are signed with, `whsec_` and base64; until a time, when another took its place."""

    text: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Webhook:
    """A webhook of a queue, as it stands in the database.

    `paused_until` may have passed; `circuit_open`: no success has closed its circuit yet, be it paused or not.
    """

    id: int
    queue_id: int
    name: str
    config: WebhookConfig
    secrets: tuple[Secret, ...]
    created_at: datetime
    updated_at: datetime
    paused_until: datetime | None = None
    pause_reason: str | None = None
    circuit_open: bool = False


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request to a webhook that has ended. `number` counts a message's attempts from 1."""

    id: UUID
    message_id: UUID
    number: int
    started_at: datetime
    duration: timedelta
    status: int | None
    error: str | None
    succeeded: bool
    excerpt: bytes
