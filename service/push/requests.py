"""What a webhook is sent: the same bytes are signed and posted."""

import base64
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from service import __version__
from service.model import HOP, Webhook, WebhookMode
from service.push.signatures import signature
from service.store.clock import EPOCH
from service.store.identifiers import sent_at

_JSON = "application/json"
_OCTETS = "application/octet-stream"
_is_count = re.compile(r"\d{1,3}\Z", re.ASCII).match
USER_AGENT = f"Restante/{__version__}"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One attempt at one message. `number` counts from 1, over all webhooks of the queue."""

    webhook: Webhook
    project_id: int
    queue: str
    message_id: UUID
    number: int
    is_json: bool
    body: bytes
    content_type: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    group: str | None = None
    priority: int = 0
    traceparent: str | None = None
    tracestate: str | None = None


def request_of(delivery: Delivery, at: datetime) -> tuple[list[tuple[str, str]], bytes]:
    """Return headers and body of a delivery's request at this time."""
    content_type, body = _MAKE[delivery.webhook.config.mode](delivery)
    headers = [
        ("content-type", content_type),
        ("user-agent", USER_AGENT),
        ("webhook-id", str(delivery.message_id)),
        ("webhook-timestamp", str(int(at.timestamp()))),
        ("webhook-signature", signature(delivery.webhook.secrets, str(delivery.message_id), at, body)),
        ("restante-queue", delivery.queue),
        ("restante-attempt", str(delivery.number)),
        (HOP, str(_hops(delivery) + 1)),
        *delivery.webhook.config.headers,
    ]
    if delivery.webhook.config.mode is WebhookMode.RAW:
        headers += [(f"restante-header-{name}", value) for name, value in delivery.headers if name != HOP]
    if delivery.traceparent is not None:
        headers.append(("traceparent", delivery.traceparent))
        if delivery.tracestate is not None:
            headers.append(("tracestate", delivery.tracestate))
    return headers, body


def _hops(delivery: Delivery) -> int:
    """Return how often webhooks have pushed this message on to a queue here. A sender may write what it wants."""
    given = dict(delivery.headers).get(HOP, "")
    return int(given) if _is_count(given) else 0


def _content_type(delivery: Delivery) -> str:
    return delivery.content_type or (_JSON if delivery.is_json else _OCTETS)


def _time(delivery: Delivery) -> str:
    sent = EPOCH + timedelta(microseconds=sent_at(delivery.message_id))
    return sent.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _raw(delivery: Delivery) -> tuple[str, bytes]:
    return _content_type(delivery), delivery.body


def _envelope(delivery: Delivery) -> tuple[str, bytes]:
    fields = {
        "id": str(delivery.message_id),
        "queue": delivery.queue,
        "attempt": delivery.number,
        "sent_at": _time(delivery),
        "group": delivery.group,
        "priority": delivery.priority,
        "headers": dict(delivery.headers),
        "content_type": _content_type(delivery),
    }
    return _JSON, _with_body(fields, delivery, "body", "body_base64")


def _cloud_event(delivery: Delivery) -> tuple[str, bytes]:
    """Return an event in structured mode (CloudEvents 1.0, JSON format)."""
    headers = dict(delivery.headers)
    fields = {
        "specversion": "1.0",
        "id": str(delivery.message_id),
        "source": f"/queues/{delivery.queue}",
        "type": headers.get("ce-type", "restante.message"),
        "time": _time(delivery),
        "datacontenttype": _content_type(delivery),
    }
    return "application/cloudevents+json", _with_body(fields, delivery, "data", "data_base64")


def _with_body(fields: dict[str, Any], delivery: Delivery, plain: str, encoded: str) -> bytes:
    """Return fields and body as one JSON object; a JSON body stands in it byte for byte."""
    head = json.dumps(fields, separators=(",", ":")).encode()[:-1]
    if delivery.is_json:
        return b'%s,"%s":%s}' % (head, plain.encode(), delivery.body)
    return b'%s,"%s":"%s"}' % (head, encoded.encode(), base64.b64encode(delivery.body))


_MAKE = {WebhookMode.RAW: _raw, WebhookMode.ENVELOPE: _envelope, WebhookMode.CLOUDEVENTS: _cloud_event}
