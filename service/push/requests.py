"""The requests that webhooks get. The body is built once, so that the signed bytes are those that are posted."""

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
from service.store.database.clock import EPOCH
from service.store.database.identifiers import sent_at

_JSON = "application/json"
_OCTETS = "application/octet-stream"
_is_count = re.compile(r"\d{1,3}\Z", re.ASCII).match
USER_AGENT = f"Restante/{__version__}"


@dataclass(frozen=True, slots=True)
class Delivery:
    """An attempt to deliver a message. `number` counts from 1, over all webhooks of the queue."""

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
    """Return the headers and the body of a delivery's request; `at` is the time in its signature."""
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
    """Return how many times webhooks have forwarded this message to a queue of this service.

    The sender may have set the header itself, so its value need not be a number.
    """
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
    """Return a CloudEvents 1.0 event in structured mode, in JSON format."""
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
    """Return the fields and the body as a JSON object that contains a JSON body byte for byte."""
    head = json.dumps(fields, separators=(",", ":")).encode()[:-1]
    if delivery.is_json:
        return b'%s,"%s":%s}' % (head, plain.encode(), delivery.body)
    return b'%s,"%s":"%s"}' % (head, encoded.encode(), base64.b64encode(delivery.body))


_MAKE = {WebhookMode.RAW: _raw, WebhookMode.ENVELOPE: _envelope, WebhookMode.CLOUDEVENTS: _cloud_event}
