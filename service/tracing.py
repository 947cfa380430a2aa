"""OpenTelemetry traces, enabled by its standard environment variables. They require the package extra `otel`.

The service creates its spans itself instead of using instrumentation, because hot operations do not pass through
FastAPI, and because messages link the span of their send to those of their deliveries. `active` is None while tracing
is off, and is all that the hot path checks.
"""

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.trace import Link, Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from service import __version__

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

_PROPAGATOR = TraceContextTextMapPropagator()

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_CLOSE_SECONDS = 2.0
_SERVER_ERROR = 500


class CannotTrace(Exception):  # noqa: N818 - named after what happened
    """Tracing is enabled but not possible. The text tells the operator what to do."""


def is_wanted(environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether the standard variables enable tracing."""
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true" or environment.get("OTEL_TRACES_EXPORTER") == "none":
        return False
    return any(environment.get(name) for name in _ENDPOINTS)


def check() -> None:
    """Raise CannotTrace if tracing is enabled but not possible."""
    if not is_wanted():
        return
    try:
        import opentelemetry.exporter.otlp.proto.http.trace_exporter
        import opentelemetry.sdk.trace  # noqa: F401
    except ImportError as error:
        message = (
            "OTEL_EXPORTER_OTLP_ENDPOINT is set, but OpenTelemetry is not installed: run `pip install "
            "'restante[otel]'`, or unset the variable."
        )
        raise CannotTrace(message) from error
    protocol = next((os.environ[name] for name in _PROTOCOLS if os.environ.get(name)), "http/protobuf")
    if protocol != "http/protobuf":
        message = f"OTEL_EXPORTER_OTLP_PROTOCOL is {protocol!r}: Restante supports only `http/protobuf` (port 4318)."
        raise CannotTrace(message)


class Tracing:
    """Creates the spans of a process and exports them."""

    def __init__(self, provider: "TracerProvider") -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("restante", __version__)

    @contextmanager
    def span(
        self, name: str, kind: SpanKind, *, parent: Mapping[str, str], links: Sequence[Link] = ()
    ) -> Iterator[Span]:
        """Create a span around the block. `parent`: the headers that may name its parent span."""
        context = _PROPAGATOR.extract(parent)
        with self._tracer.start_as_current_span(name, context=context, kind=kind, links=links) as span:
            yield span

    def request(self, name: str, headers: Iterable[tuple[bytes, bytes]]) -> AbstractContextManager[Span]:
        """Create a span around the handling of a request."""
        parent = {
            key.decode("latin-1"): value.decode("latin-1")
            for key, value in headers
            if key in {b"traceparent", b"tracestate"}
        }
        return self.span(name, SpanKind.SERVER, parent=parent)

    def statement(self, lane: str) -> Callable[[asyncio.Future[Any]], None]:
        """Return a callback that adds an event to the current span when the lane's statement ends."""
        span, began = trace.get_current_span(), time.perf_counter()

        def ended(future: asyncio.Future[Any]) -> None:
            outcome = "done" if not future.cancelled() and future.exception() is None else "not done"
            attributes: dict[str, AttributeValue] = {
                "restante.lane": lane,
                "restante.seconds": time.perf_counter() - began,
                "restante.outcome": outcome,
            }
            span.add_event("restante.statement", attributes)

        return ended

    def delivered(self, traceparents: Iterator[str | None]) -> None:
        """Link the current span to the sends of the messages that it delivers."""
        span = trace.get_current_span()
        for link in filter(None, map(link_to, traceparents)):
            span.add_link(link.context)

    def close(self) -> None:
        """Export the remaining spans, for two seconds at most, even if the collector does not answer."""
        closing = threading.Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        closing.join(_CLOSE_SECONDS)


active: Tracing | None = None


def start() -> Tracing | None:
    """Start tracing in this process if the standard variables enable it. Raises CannotTrace."""
    global active  # noqa: PLW0603 - one per process, like the metrics
    check()
    if not is_wanted():
        return None
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create(_attributes()))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    active = Tracing(provider)
    return active


def _attributes() -> dict[str, AttributeValue]:
    """Return the resource attributes of this process that the standard variables do not set."""
    attributes: dict[str, AttributeValue] = {"service.version": __version__, "process.pid": os.getpid()}
    if "OTEL_SERVICE_NAME" not in os.environ and "service.name=" not in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", ""):
        attributes["service.name"] = "restante"
    return attributes


def stop() -> None:
    """Stop tracing in this process."""
    global active  # noqa: PLW0603
    if active is not None:
        active.close()
    active = None


def link_to(traceparent: str | None) -> Link | None:
    """Return a link to the span that a traceparent header names, None if there is none."""
    if traceparent is None:
        return None
    named = trace.get_current_span(_PROPAGATOR.extract({"traceparent": traceparent}))
    return Link(named.get_span_context()) if named.get_span_context().is_valid else None


def traceparent_of(span: Span) -> str:
    """Return the traceparent header for a span."""
    context = span.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"


def answered(span: Span, status: int) -> None:
    """Record the status of a response in a span; a 5xx status marks the span as failed."""
    span.set_attribute("http.response.status_code", status)
    if status >= _SERVER_ERROR:
        span.set_status(StatusCode.ERROR)
