"""What a request is told of a field that is wrong: where, a code from the page of errors, and a sentence for people."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from service.api.kit.fields import FORMS
from service.auth.keys import SECRET_PATTERN
from tests.api.resources.test_queues import problem
from tests.api.test_openapi import DOCUMENT, operations
from tests.in_process import Service

pytestmark = pytest.mark.anyio

SEND, ACTIONS, WEBHOOK = "/v1/queues/q/messages", "/v1/queues/q/messages/actions", "/v1/queues/q/webhooks/w"
# Words of the language and libraries that the service is made with.
_FOREIGN = re.compile(
    r"`(?:float|int|str|bool|datetime)\b|\| null|dictionary|[Ii]nput|after validation|\^\[|line 1 col"
)


@pytest.mark.parametrize(
    ("path", "content", "pointer", "code"),
    [
        (SEND, '{"body":1,"deliver_at":"2027-02-20T00:00:00"}', "/deliver_at", "wrong_form"),
        (SEND, '{"body":1,"deliver_at":"2027-02-30T00:00:00Z"}', "/deliver_at", "wrong_form"),
        (SEND, '{"body":1,"deliver_at":"soon"}', "/deliver_at", "wrong_form"),
        (SEND, '{"body":1,"deliver_at":5}', "/deliver_at", "wrong_type"),
        (SEND, '{"body":1,"delay":1e9999}', "/delay", "out_of_range"),
        (SEND, '{"body":1,"priority":-1e9999}', "/priority", "out_of_range"),
        (SEND, '{"body":1,"delay":true}', "/delay", "wrong_type"),
        (SEND, '{"body":1,"priority":1.5}', "/priority", "wrong_type"),
        (SEND, '{"body":1,"headers":[]}', "/headers", "wrong_type"),
        (SEND, "[]", "", "wrong_type"),
        (f"{SEND}/batch", '{"messages":[{"body":1,"deliver_at":"x"}]}', "/messages/0/deliver_at", "wrong_form"),
        ("/v1/receipts/batch", '{"items":[{"receipt":"x","action":"nope"}]}', "/items/0/action", "not_allowed"),
        ("/v1/receipts/batch", '{"items":[{"receipt":"x","action":3}]}', "/items/0/action", "wrong_type"),
        ("/v1/transactions", '{"settle":[{"receipt":"x","action":"nope"}]}', "/settle/0/action", "not_allowed"),
        ("/v1/keys", '{"name":"","scopes":["send"]}', "/name", "out_of_range"),
        ("/v1/keys", '{"name":"a","scopes":[]}', "/scopes", "out_of_range"),
        ("/v1/keys", '{"name":"a\\u0000","scopes":["send"]}', "/name", "wrong_form"),
        ("/v1/keys", '{"name":3,"scopes":["send"]}', "/name", "wrong_type"),
        ("/v1/keys", "[]", "", "wrong_type"),
        (ACTIONS, '{"action":"delete","filter":{"headers":"x"}}', "/filter/headers", "unknown_field"),
        (ACTIONS, '{"action":"delete","filter":{"headers":{}}}', "/filter/headers", "unknown_field"),
        (ACTIONS, '{"action":"delete","filter":{"limit":1}}', "/filter/limit", "unknown_field"),
        (ACTIONS, '{"action":"delete","filter":{"header.":"x"}}', "/filter/header.", "unknown_field"),
        (ACTIONS, '{"action":"delete","filter":[]}', "/filter", "wrong_type"),
    ],
)
async def test_a_field_is_refused_with_the_code_of_what_is_wrong_in_words_of_http_and_json(
    service: Service, path: str, content: str, pointer: str, code: str
) -> None:
    await service.queue()
    answer = await service.root.post(path, content=content)
    assert problem(answer) == (422, "invalid_request", [(pointer, code)])
    assert not _FOREIGN.search(answer.json()["detail"]), answer.json()["detail"]


@pytest.mark.parametrize("name", ["Host", "content-length", "webhook-id", "Restante-Queue"])
async def test_a_header_that_no_webhook_may_set_is_told_to_be_reserved(service: Service, name: str) -> None:
    await service.queue()
    answer = await service.root.put(WEBHOOK, json={"url": "http://127.0.0.1:9/", "headers": {name: "x"}})
    assert problem(answer) == (422, "invalid_request", [("/headers", "reserved_name")])


async def test_a_filter_of_headers_is_told_how_headers_are_named(service: Service) -> None:
    await service.queue()
    answer = await service.root.post(ACTIONS, json={"action": "delete", "filter": {"headers": {"a": "b"}}})
    assert "header.NAME" in answer.json()["detail"]


@pytest.mark.parametrize("query", ["label=x", "prefix=/", "search=%00", "limit=x", "dead_letters=maybe", "order=size"])
async def test_a_wrong_query_is_told_in_words_of_http(service: Service, query: str) -> None:
    answer = await service.root.get(f"/v1/queues?{query}")
    assert problem(answer)[:2] == (422, "invalid_request")
    assert not _FOREIGN.search(answer.json()["detail"]), answer.json()["detail"]


async def test_a_label_to_look_for_is_told_its_form(service: Service) -> None:
    answer = await service.root.get("/v1/queues?label=x")
    assert "`key:value`" in answer.json()["errors"][0]["detail"]


async def test_a_parameter_that_an_operation_does_not_have_never_passes_silently(service: Service) -> None:
    await service.queue("0")
    for method, path, operation in operations():
        if not path.startswith("/v1/"):
            continue
        needed = "credit=1&" if path.endswith("/events") else ""
        content = b"{}" if "requestBody" in operation else None
        for query, pointer in (("delay=5", "/query/delay"), ("a/b~=", "/query/a~1b~0"), ("%66orce1", "/query/force1")):
            url = httpx.URL(f"{service.url}{re.sub(r'{[a-z_]+}', '0', path)}?{needed}{query}")
            answer = await service.root.request(method, url, content=content)
            assert (path, answer.status_code) == (path, 422), answer.text
            assert {"pointer": pointer, "code": "unknown_field", "detail": "There is no such field."} in answer.json()[
                "errors"
            ]
    assert (await service.root.get("/v1/queues/0")).json()["stats"]["total"] == 0


async def test_a_query_is_looked_at_after_the_key(service: Service) -> None:
    async with service.client("wrong") as client:
        for method, path in (("GET", "/v1/whoami"), ("POST", SEND), ("DELETE", "/v1/projects/p")):
            assert problem(await client.request(method, f"{path}?x=1"))[0] == 401


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/docs", "/docs/problems", "/openapi.json"])
async def test_pages_and_probes_take_any_query(service: Service, path: str) -> None:
    assert (await service.root.get(f"{path}?x=1")).status_code == 200


@pytest.mark.parametrize("path", [SEND, "/v1/keys"])
async def test_a_byte_order_mark_is_called_by_its_name(service: Service, path: str) -> None:
    await service.queue()
    answer = await service.root.post(path, content=b"\xef\xbb\xbf{}")
    assert problem(answer)[:2] == (400, "malformed_request")
    assert "byte order mark" in answer.json()["detail"]


def _patterns(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        yield from (value for name, value in part.items() if name == "pattern" and isinstance(value, str))
    for value in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from _patterns(value)


def test_every_form_that_a_text_must_have_is_said_in_a_sentence() -> None:
    assert set(_patterns(DOCUMENT)) - {f"^{SECRET_PATTERN}$"} <= FORMS.keys()
