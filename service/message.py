"""A message as a sender gives it, as a consumer gets it, and as it lies in its queue."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from msgspec import Struct

from service.model import LEAST_URGENT, NO_ID


class Draft(Struct):
    """A message that is about to be sent.

    `id` is assigned when the message is stored. `delay` None means the queue's delay. `headers` is a JSON object of
    strings, or None. `content_type` None means application/json. `size` is the number of bytes of body and headers.
    `urgency` is 9 minus the priority. `duplicate` is set if the message was sent before; `id` is then that of the first
    message. `published` is JSON with the topic and the id of a published message.
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
        """Return whether the message has only a JSON body, and defaults otherwise."""
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


class Leased(Struct, gc=False):
    """A leased message: `lapsed`, then the columns `leased` of sql/columns.sql in their order.

    `lapsed`: the lease before this one ended without being settled. `headers`: one JSON object, or None.
    `content_type`: None stands for application/json. `urgency`: 9 minus the priority. `size`: bytes of body and
    headers. `dead_letter`, `published`: JSON. `attempts`: requests to webhooks.
    """

    lapsed: bool
    id: UUID
    lease_expires_at: datetime
    first_received_at: datetime
    receive_count: int
    size: int
    urgency: int
    is_json: bool
    content_type: str | None
    headers: bytes | None
    group: str | None
    last_error: str | None
    traceparent: str | None
    tracestate: str | None
    body: bytes
    dead_letter: str | None
    attempts: int
    published: str | None


class MessageState(StrEnum):
    """The state of a stored message."""

    READY = "ready"
    DELAYED = "delayed"
    LEASED = "leased"


class Via(StrEnum):
    """How a consumer receives messages."""

    RECEIVE = "receive"
    WEBSOCKET = "websocket"
    EVENTS = "events"
    SOCKET_IO = "socket_io"


@dataclass(frozen=True, slots=True)
class Holder:
    """The holder of a leased message: a webhook or a key. Deleted webhooks, deleted keys and the root key are None.

    `via` is `webhook` or how the key received the message; None if that was not recorded.
    """

    via: str | None
    since: datetime
    key_id: UUID | None = None
    key_name: str | None = None
    webhook: str | None = None


@dataclass(frozen=True, slots=True)
class WaitingFor:
    """Why a message is not delivered.

    `until` is the end of its lease or delay, `message_id` the message that blocks its group, `detail` what its queue's
    webhooks are waiting for, and `holder` the holder of its lease.
    """

    reason: str
    until: datetime | None = None
    message_id: UUID | None = None
    detail: str | None = None
    holder: Holder | None = None


@dataclass(frozen=True, slots=True)
class HeldGroup:
    """A fifo group, its number of messages, and what holds it: None if nothing does.

    `since`: None if that is not known; `until`: None if a webhook has blocked the message.
    """

    name: str
    depth: int
    message_id: UUID | None = None
    reason: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    holder: Holder | None = None


class SeenMessage(Struct):
    """A message as it lies in its queue, seen at `now` by the database's clock; its fields are those of `Leased`.

    `visible_at`: when it becomes ready, or its lease ends. `lease`: None if it is not leased. `seq`: its position in a
    fifo group. `pushed_by`: the webhook that holds it, or that it is blocked by. `body`: the whole body, or its first
    bytes in a page; `body_size` counts the whole. `holder` is set for a single leased message.
    """

    id: UUID
    visible_at: datetime
    first_received_at: datetime | None
    receive_count: int
    size: int
    urgency: int
    is_json: bool
    content_type: str | None
    headers: bytes | None
    group: str | None
    last_error: str | None
    traceparent: str | None
    tracestate: str | None
    dead_letter: dict[str, Any] | None
    attempts: int
    published: str | None
    lease: int | None
    seq: int | None
    pushed_by: int | None
    expires_at: datetime | None
    body_size: int
    now: datetime
    body: bytes
    holder: Holder | None = None

    @property
    def state(self) -> MessageState:
        """Return the message's state at `now`."""
        if self.visible_at <= self.now:
            return MessageState.READY
        return MessageState.DELAYED if self.lease is None else MessageState.LEASED
