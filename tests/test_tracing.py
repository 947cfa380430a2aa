"""Traces go to a collector by OpenTelemetry's protocol, if its standard variables ask for them."""

import contextlib
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from service import tracing
from tests.in_process import Service, in_process
from tests.push.sink import sink

pytestmark = pytest.mark.anyio

_PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@dataclass
class Collector:
    """What was exported to a port of ours."""

    spans: list[Any] = field(default_factory=list)
    resources: list[dict[str, str]] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        message = ExportTraceServiceRequest.FromString(await request.read())
        for of_resource in message.resource_spans:
            self.resources.append({one.key: one.value.string_value for one in of_resource.resource.attributes})
            for of_scope in of_resource.scope_spans:
                self.spans += of_scope.spans
        return web.Response()

    def named(self, name: str) -> Any:
        """Return the one span of this name."""
        [span] = [span for span in self.spans if span.name == name]
        return span


def _attributes(of: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in of.attributes}


@contextlib.asynccontextmanager
async def _collecting(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Collector]:
    collector, app = Collector(), web.Application()
    app.router.add_post("/v1/traces", collector.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0]
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://{host}:{port}")
    try:
        yield collector
    finally:
        await runner.cleanup()


async def _passed_on(service: Service, **headers: str) -> dict[str, Any]:
    """Send a message and receive it."""
    await service.queue()
    await service.root.post("/v1/queues/q/messages", json={"body": 1}, headers=headers)
    got = await service.root.post("/v1/queues/q/messages/receive", json={"wait": 5})
    [message] = got.json()["messages"]
    return dict(message)


async def test_a_receive_is_linked_to_the_send_of_its_message(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with _collecting(monkeypatch) as collector:
        async with in_process(database) as service:
            message = await _passed_on(service)
        send = collector.named("POST /v1/queues/{queue}/messages")
        receive = collector.named("POST /v1/queues/{queue}/messages/receive")
        assert [(link.trace_id, link.span_id) for link in receive.links] == [(send.trace_id, send.span_id)]
        assert message["traceparent"].split("-")[1:3] == [send.trace_id.hex(), send.span_id.hex()]
        assert (
            _attributes(send).items()
            >= {
                "http.request.method": "POST",
                "http.response.status_code": 201,
                "messaging.destination.name": "q",
            }.items()
        )
        for span, lane in ((send, "send"), (receive, "claim")):
            assert lane in [_attributes(event)["restante.lane"] for event in span.events]
        assert collector.resources[0]["service.name"] == "restante"


async def test_what_the_sender_says_of_its_trace_stays_and_is_the_parent(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with _collecting(monkeypatch) as collector:
        async with in_process(database) as service:
            message = await _passed_on(service, traceparent=_PARENT)
        assert message["traceparent"] == _PARENT
        send = collector.named("POST /v1/queues/{queue}/messages")
        assert (send.trace_id.hex(), send.parent_span_id.hex()) == tuple(_PARENT.split("-")[1:3])


@pytest.mark.parametrize("express", [True, False])
async def test_every_request_of_the_api_has_one_span_whichever_way_it_takes(
    database: str, monkeypatch: pytest.MonkeyPatch, *, express: bool
) -> None:
    async with _collecting(monkeypatch) as collector:
        async with in_process(database, express=express) as service:
            await _passed_on(service)
            await service.root.get("/v1/queues/none")
            await service.root.get("/healthz")
        assert sorted(span.name for span in collector.spans) == [
            "GET /v1/queues/{queue}",
            "POST /v1/queues/{queue}/messages",
            "POST /v1/queues/{queue}/messages/receive",
            "PUT /v1/queues/{queue}",
        ]
        assert _attributes(collector.named("GET /v1/queues/{queue}"))["http.response.status_code"] == 404


async def test_an_attempt_of_a_webhook_is_linked_to_the_send(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with _collecting(monkeypatch) as collector:
        async with sink() as target, in_process(database) as service:
            await service.queue()
            await service.root.put("/v1/queues/q/webhooks/hook", json={"url": target.url})
            await service.root.post("/v1/queues/q/messages", json={"body": 1})
            await target.wait_for(1)
        send, push = collector.named("POST /v1/queues/{queue}/messages"), collector.named("push q")
        assert [(link.trace_id, link.span_id) for link in push.links] == [(send.trace_id, send.span_id)]
        assert _attributes(push).items() >= {"restante.webhook": "hook", "http.response.status_code": 204}.items()


async def test_without_the_variables_nothing_is_traced(database: str) -> None:
    async with in_process(database) as service:
        assert "traceparent" not in await _passed_on(service)
        assert tracing.active is None


async def test_a_collector_that_is_away_holds_up_no_request_and_no_end(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    async with in_process(database) as service:
        assert (await _passed_on(service))["body"] == 1
        ending = time.monotonic()
    assert time.monotonic() - ending < 10
    assert tracing.active is None


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://collector:4318/v1/traces", True),
        ("OTEL_SERVICE_NAME", "restante", False),
    ],
)
def test_traces_are_on_where_an_endpoint_is_named(name: str, value: str, *, wanted: bool) -> None:
    assert tracing.is_wanted({name: value}) is wanted
    assert not tracing.is_wanted({name: value, "OTEL_SDK_DISABLED": "true"})
    assert not tracing.is_wanted({name: value, "OTEL_TRACES_EXPORTER": "none"})


def test_traces_that_cannot_be_made_are_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    with pytest.raises(tracing.CannotTrace, match="http/protobuf"):
        tracing.check()
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(tracing.CannotTrace, match=r"pip install 'restante\[otel\]'"):
        tracing.check()
