"""Trace spans for requests. These classes are used only if tracing is enabled."""

from opentelemetry import trace
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service import tracing
from service.api.http.exchange import Answer, Request
from service.api.messaging.operations import Operation
from service.api.messaging.performer import Performer
from service.auth.keyring import Keyring
from service.model import Scope as KeyScope
from service.store.store import Store


class TracedPerformer(Performer):
    """Answers hot operations, each in a span."""

    def __init__(self, store: Store, keyring: Keyring, traces: tracing.Tracing) -> None:
        super().__init__(store, keyring)
        self._traces = traces

    async def respond(self, operation: Operation, name: str, request: Request) -> Answer:
        """Answer a request in a span. Those that came through FastAPI have one already."""
        if request.receive is not None:
            return await super().respond(operation, name, request)
        with self._traces.request(f"{operation.method} {operation.path}", request.headers.items()) as span:
            span.set_attribute("http.request.method", operation.method)
            span.set_attribute("http.route", operation.path)
            span.set_attribute("messaging.system", "restante")
            if operation.is_named:
                span.set_attribute("messaging.destination.name", name)
            if operation.scope is KeyScope.SEND and b"traceparent" not in request.headers:
                # Link the message to this span.
                request.headers[b"traceparent"] = tracing.traceparent_of(span).encode()
            return await super().respond(operation, name, request)

    def count(self, operation: Operation, status: int, seconds: float) -> None:
        """Count a request in the metrics, and record its status in the span."""
        super().count(operation, status, seconds)
        tracing.answered(trace.get_current_span(), status)


class Traced:
    """ASGI middleware that gives all other API requests a span."""

    def __init__(self, app: ASGIApp, traces: tracing.Tracing) -> None:
        self._app = app
        self._traces = traces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request in a span."""
        if scope["type"] != "http" or not scope["path"].startswith("/v1/"):
            await self._app(scope, receive, send)
            return
        method = scope["method"]
        with self._traces.request(method, scope["headers"]) as span:

            async def noted(message: Message) -> None:
                if message["type"] == "http.response.start":
                    tracing.answered(span, message["status"])
                await send(message)

            await self._app(scope, receive, noted)
            span.set_attribute("http.request.method", method)
            if (route := scope.get("route")) is not None:
                span.set_attribute("http.route", route.path)
                span.update_name(f"{method} {route.path}")
