"""Pages of other origins may use the API from a browser where the operator allows it (the Fetch standard, CORS)."""

from collections.abc import AsyncIterator

import httpx
import pytest
import structlog

from service.api.http import origins
from service.log import Seldom
from tests.api.test_openapi import operations
from tests.in_process import Service, in_process

pytestmark = pytest.mark.anyio

PAGE = "https://app.example"


@pytest.fixture
async def service(database: str) -> AsyncIterator[Service]:
    async with in_process(database, allowed_origins=PAGE) as service:
        yield service


async def preflight(client: httpx.AsyncClient, path: str, method: str, origin: str = PAGE) -> httpx.Response:
    asked = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": "authorization,content-type"}
    return await client.options(path, headers={"Origin": origin, **asked})


async def test_a_browser_may_ask_every_operation_and_needs_no_key_to_find_that_out(service: Service) -> None:
    async with service.client(None) as client:
        for method, template, _ in operations():
            if template.startswith("/v1/"):
                answer = await preflight(client, template.replace("{", "").replace("}", ""), method)
                assert answer.status_code == 200, template
                assert answer.headers["access-control-allow-origin"] == PAGE
                assert method in answer.headers["access-control-allow-methods"].split(", ")
                assert answer.headers["access-control-allow-headers"] == "authorization,content-type"
                assert "request-id" in answer.headers


async def test_a_page_can_read_answers_and_problems_with_their_headers(service: Service) -> None:
    await service.queue()
    headers = {"Origin": PAGE}
    asked = [
        ("GET", "/v1/queues/q", None, 200),
        ("GET", "/v1/queues/none", None, 404),
        ("POST", "/v1/queues/q/messages", {"body": 1}, 201),
        ("POST", "/v1/queues/q/messages", {"body": 1, "delay": -1}, 422),
        ("POST", "/v1/queues/q/messages/receive", {}, 200),
        ("POST", "/v1/queues/q/messages/receive", {"wait": 0.1}, 200),
        ("DELETE", "/v1/receipts/x", None, 404),
    ]
    for method, path, document, status in asked:
        answer = await service.root.request(method, path, json=document, headers=headers)
        assert answer.status_code == status
        assert answer.headers["access-control-allow-origin"] == PAGE
        assert {"Request-Id", "ETag", "Link", "Retry-After"} <= set(
            answer.headers["access-control-expose-headers"].split(", ")
        )
    async with service.client("wrong") as stranger:
        answer = await stranger.get("/v1/queues/q", headers=headers)
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (401, PAGE)


async def test_a_page_can_read_server_sent_events(service: Service) -> None:
    await service.queue()
    await service.root.post("/v1/queues/q/messages", json={"body": 1})
    async with service.root.stream("GET", "/v1/queues/q/events?credit=1", headers={"Origin": PAGE}) as answer:
        assert answer.headers["access-control-allow-origin"] == PAGE
        async for line in answer.aiter_lines():
            assert line == "event: message"
            break


async def test_other_pages_are_refused_and_the_log_names_the_setting(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(origins, "_refused", Seldom("origins_refused"))
    with structlog.testing.capture_logs() as logged:
        for origin in ("https://evil.example", "null", f"{PAGE}.evil.example", "http://app.example"):
            answer = await preflight(service.root, "/v1/queues", "GET", origin)
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
            assert "RESTANTE_ALLOWED_ORIGINS" in answer.json()["detail"]
            answer = await service.root.get("/v1/queues", headers={"Origin": origin})
            for refused in (answer, await preflight(service.root, "/v1/queues", "GET", origin)):
                assert "access-control-allow-origin" not in refused.headers
    [event] = logged
    assert (event["event"], event["origin"], event["setting"]) == (
        "origins_refused",
        "https://evil.example",
        "RESTANTE_ALLOWED_ORIGINS",
    )


async def test_without_the_setting_no_page_is_told_anything(database: str) -> None:
    async with in_process(database) as service:
        answer = await service.root.get("/v1/queues", headers={"Origin": PAGE})
        assert not any(name.startswith("access-control") for name in answer.headers)
        assert (await preflight(service.root, "/v1/queues", "GET")).status_code == 405
