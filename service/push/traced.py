"""Trace spans for attempts to deliver to webhooks, linked to the send of the message. Used only if tracing is on."""

from datetime import datetime

from opentelemetry.trace import SpanKind, StatusCode

from service import tracing
from service.egress.resolver import Resolver
from service.push.outcomes import Outcome
from service.push.requests import Delivery
from service.push.sender import Sender


class TracedSender(Sender):
    """A sender with a span for each attempt."""

    def __init__(self, resolver: Resolver, traces: tracing.Tracing) -> None:
        super().__init__(resolver)
        self._traces = traces

    async def attempt(self, delivery: Delivery, at: datetime, until: float) -> Outcome:
        """Post once, in a span."""
        link = tracing.link_to(delivery.traceparent)
        links = [] if link is None else [link]
        with self._traces.span(f"push {delivery.queue}", SpanKind.CLIENT, parent={}, links=links) as span:
            span.set_attribute("messaging.system", "restante")
            span.set_attribute("messaging.destination.name", delivery.queue)
            span.set_attribute("messaging.message.id", str(delivery.message_id))
            span.set_attribute("restante.webhook", delivery.webhook.name)
            span.set_attribute("restante.attempt", delivery.number)
            outcome = await super().attempt(delivery, at, until)
            if outcome.status is not None:
                span.set_attribute("http.response.status_code", outcome.status)
            if outcome.error is not None:
                span.set_attribute("error.type", outcome.error)
            if not outcome.succeeded:
                span.set_status(StatusCode.ERROR, outcome.sentence)
            return outcome
