"""Requests are JSON as RFC 8259 and JSON Schema have it, and queries hold values in one form."""

import json
import re
from typing import Any

import pytest

from tests.api.resources.test_queues import problem
from tests.api.test_openapi import DOCUMENT, operations
from tests.in_process import Service

pytestmark = pytest.mark.anyio

WEBHOOK = {"url": "http://127.0.0.1:9/"}
# Every whole number that a request may hold: method, path, the rest of the request, the way to the number, a value.
WHOLE = [
    ("POST", "/v1/queues/q/messages", {"body": 1.0}, "priority", 3),
    ("POST", "/v1/queues/q/messages/batch", {"messages": [{"body": {"n": 1.0}}]}, "messages.0.priority", 3),
    ("POST", "/v1/queues/q/messages/receive", {}, "max_messages", 2),
    ("POST", "/v1/transactions", {"send": [{"queue": "q", "body": 1.0}]}, "send.0.priority", 3),
    ("PUT", "/v1/queues/new", {}, "max_length", 10),
    ("PUT", "/v1/queues/new", {}, "max_message_bytes", 2048),
    ("PUT", "/v1/queues/new", {"dead_letter": {"queue": "q"}}, "dead_letter.max_receives", 3),
    ("PATCH", "/v1/queues/q", {}, "max_length", 10),
    ("PUT", "/v1/queues/q/webhooks/w", WEBHOOK, "max_concurrency", 5),
    ("POST", "/v1/queues/q/redrive", {}, "max_messages", 2),
    ("PUT", "/v1/projects/p", {"limits": {}}, "limits.queues", 5),
    ("PUT", "/v1/projects/p", {"limits": {}}, "limits.bytes", 5000),
]


def written(document: Any, way: str, number: str) -> bytes:
    """Return a document as JSON in which the member at `way` is a number that is written so."""
    document = json.loads(json.dumps(document))
    *steps, last = way.split(".")
    inner = document
    for step in steps:
        inner = inner[int(step) if step.isdigit() else step]
    inner[last] = "NUMBER"
    return json.dumps(document).replace('"NUMBER"', number).encode()


@pytest.mark.parametrize("asked", WHOLE)
async def test_a_whole_number_may_be_written_with_a_fraction_of_zero_or_an_exponent(
    service: Service, asked: tuple[str, str, Any, str, int]
) -> None:
    method, path, rest, way, value = asked
    await service.queue()
    plain = await service.root.request(method, path, content=written(rest, way, str(value)))
    assert plain.status_code < 300
    for number in (f"{value}.0", f"{value}.000", f"{value}e0", f"{value}0.0e-1", f"0.{value}E{len(str(value))}"):
        answer = await service.root.request(method, path, content=written(rest, way, number))
        assert answer.status_code in {200, 201, 202}, (number, answer.text)
    for number in (f"{value}.5", "1e400", "-1e400", "true", f'"{value}"', f"{value}.0000000001"):
        answer = await service.root.request(method, path, content=written(rest, way, number))
        assert problem(answer)[:2] == (422, "invalid_request"), number


async def test_a_body_beside_such_a_number_is_kept_byte_for_byte(service: Service) -> None:
    await service.queue()
    body = '{"n":1.0,"e":1e400,"s":"\\ud800", "a": [ 1.00 ]}'
    for content in (f'{{"priority":3.0,"body":{body}}}', f'{{"body":{body},"priority":3e0}}'):
        assert (await service.root.post("/v1/queues/q/messages", content=content)).status_code == 201
        received = await service.root.post("/v1/queues/q/messages/receive", content=b'{"max_messages":1.0}')
        assert f'"body":{body}' in received.text
        assert '"priority":3' in received.text


async def test_a_number_too_small_to_be_told_from_zero_is_no_zero(service: Service) -> None:
    await service.queue()
    await service.root.put("/v1/topics/t")
    for number in ("1e-400", "-1e-400", "0.0000001e-330"):
        content = f'{{"queue":"q","filter":{{"body":{{"/n":[{number}]}}}}}}'
        answer = await service.root.put("/v1/topics/t/subscriptions/s", content=content)
        assert problem(answer)[:2] == (422, "invalid_request")
    for number in ("0", "0.0", "-0.0", "0e5", "1e-300"):
        content = f'{{"queue":"q","filter":{{"body":{{"/n":[{number}]}}}}}}'
        assert (await service.root.put("/v1/topics/t/subscriptions/s", content=content)).status_code in {200, 201}


def _optional() -> list[tuple[str, str]]:
    return [
        (method, path)
        for method, path, operation in operations()
        if "requestBody" in operation and not operation["requestBody"].get("required") and not path.endswith("/raw")
    ]


def test_there_are_bodies_that_may_be_left_out() -> None:
    assert {operation for _, operation in _optional()} >= {
        "/v1/queues/{queue}",
        "/v1/queues/{queue}/messages/receive",
        "/v1/queues/{queue}/redrive",
        "/v1/queues/{queue}/webhooks/{webhook}/rotate-secret",
        "/v1/receipts/{receipt}/release",
        "/v1/receipts/{receipt}/reject",
        "/v1/topics/{topic}",
        "/v1/projects/{project}",
    }


@pytest.mark.parametrize(("method", "path"), _optional())
async def test_a_body_that_may_be_left_out_may_be_null(service: Service, method: str, path: str) -> None:
    await service.queue()
    await service.root.put("/v1/queues/q/webhooks/w", json=WEBHOOK)
    path = re.sub("{(.).*?}", r"\1", path)
    await service.root.request(method, path)
    empty = await service.root.request(method, path)
    for nothing in (b"null", b" null\r\n"):
        answer = await service.root.request(method, path, content=nothing)
        assert (answer.status_code, answer.json().get("code")) == (empty.status_code, empty.json().get("code"))
    assert (await service.root.request(method, path, content=b"nul")).status_code == 400


async def test_a_body_that_has_to_be_there_may_not_be_null(service: Service) -> None:
    await service.queue()
    for path in ("/v1/queues/q/messages", "/v1/queues/q/messages/batch", "/v1/receipts/batch", "/v1/keys"):
        answer = await service.root.post(path, content=b"null")
        assert problem(answer)[:2] == (422, "invalid_request")


def _parameters(kind: str) -> list[tuple[str, str, str]]:
    return [
        (method, path, parameter["name"])
        for method, path, operation in operations()
        for parameter in operation.get("parameters", [])
        if parameter["in"] == "query" and parameter["schema"].get("type") == kind
    ]


async def _refuses(service: Service, method: str, path: str, name: str, values: list[str]) -> None:
    for value in values:
        answer = await service.root.request(method, re.sub("{(.).*?}", r"\1", path), params={name: value})
        status, code, errors = problem(answer)
        assert (status, code) == (422, "invalid_request")
        assert (f"/query/{name}", "wrong_type") in errors, (path, value)


@pytest.mark.parametrize(("method", "path", "name"), _parameters("integer"))
async def test_a_whole_number_in_a_query_is_digits(service: Service, method: str, path: str, name: str) -> None:
    await service.queue()
    await service.root.put("/v1/queues/q/webhooks/w", json=WEBHOOK)
    await service.root.put("/v1/topics/t")
    await _refuses(service, method, path, name, ["1_0", " 5", "5 ", "+5", "5.0", "0x5", "५", "5e0", "", "true"])


@pytest.mark.parametrize(("method", "path", "name"), _parameters("boolean"))
async def test_a_flag_in_a_query_is_true_or_false(service: Service, method: str, path: str, name: str) -> None:
    await service.queue(type="fifo")
    await _refuses(service, method, path, name, ["1", "yes", "on", "True", "TRUE", "t", ""])


def test_the_parameters_that_are_looked_at_are_there() -> None:
    assert len(_parameters("integer")) > 10
    assert len(_parameters("boolean")) >= 3
    assert DOCUMENT["paths"]


@pytest.mark.parametrize("rate", ['"5"', "true", "[5]", "1e-400", "0", "-1"])
async def test_a_rate_is_a_number(service: Service, rate: str) -> None:
    await service.queue()
    answer = await service.root.post("/v1/queues/q/redrive", content=f'{{"rate":{rate}}}')
    assert problem(answer)[:2] == (422, "invalid_request")


@pytest.mark.parametrize(
    "time",
    [
        "2027-02-20T00:00:00+0100",
        "2027-02-20T00:00:00+01",
        "2027-02-20 00:00:00Z",
        "2027-02-20T00:00Z",
        "20270220T000000Z",
        "2027-02-20T00:00:00,5Z",
        "2027-02-20T24:00:00Z",
        "2027-02-20T00:00:00z ",
        "2027-2-20T00:00:00Z",
        "2027-02-20T00:00:00+25:00",
        "२०२७-02-20T00:00:00Z",
    ],
)
async def test_a_time_has_the_form_of_rfc_3339_wherever_it_is_given(service: Service, time: str) -> None:
    await service.queue()
    at = {"body": 1, "deliver_at": time}
    for path, document, pointer in (
        ("/v1/queues/q/messages", at, "/deliver_at"),
        ("/v1/queues/q/messages/batch", {"messages": [at]}, "/messages/0/deliver_at"),
        ("/v1/transactions", {"send": [{"queue": "q", **at}]}, "/send/0/deliver_at"),
        ("/v1/keys", {"name": "k", "scopes": ["send"], "expires_at": time}, "/expires_at"),
        ("/v1/queues/q/messages/actions", {"action": "delete", "filter": {"sent_after": time}}, "/filter/sent_after"),
    ):
        answer = await service.root.post(path, json=document)
        assert problem(answer) == (422, "invalid_request", [(pointer, "wrong_form")])
    answer = await service.root.get("/v1/queues/q/messages", params={"sent_after": time})
    assert problem(answer) == (422, "invalid_request", [("/query/sent_after", "wrong_form")])


async def test_empty_elements_of_a_list_of_tags_say_nothing(service: Service) -> None:
    await service.queue()
    tag = (await service.root.get("/v1/queues/q")).headers["etag"]
    for tags, status in (
        (f'"x",,{tag}', 200),
        (f",{tag}", 200),
        (f"{tag} , ,", 200),
        ('"x",,"y"', 412),
        (",,", 400),
        (f"{tag} {tag}", 400),
        ("x", 400),
    ):
        answer = await service.root.patch("/v1/queues/q", json={}, headers={"If-Match": tags})
        assert answer.status_code == status, tags


@pytest.mark.parametrize("headers", [{"A": "1", "a": "2"}, {"x-Y": "1", "X-y": "1"}])
async def test_a_header_given_twice_in_another_case_is_refused(service: Service, headers: dict[str, str]) -> None:
    await service.queue()
    await service.root.put("/v1/topics/t")
    [(pointer, code)] = problem(await service.root.post("/v1/queues/q/messages", json={"body": 1, "headers": headers}))[
        2
    ]
    assert (pointer, code) == (f"/headers/{list(headers)[1]}", "conflict")
    answer = await service.root.put("/v1/queues/q/webhooks/w", json=WEBHOOK | {"headers": headers})
    assert problem(answer)[:2] == (422, "invalid_request")
    twice = {"queue": "q", "filter": {"headers": {name: ["1"] for name in headers}}}
    assert (await service.root.put("/v1/topics/t/subscriptions/s", json=twice)).status_code == 422


@pytest.mark.parametrize("kind", ["*/*", "text/*", "*", "*/*;q=0.8"])
async def test_a_range_of_types_is_no_type(service: Service, kind: str) -> None:
    await service.queue()
    raw = await service.root.post("/v1/queues/q/raw", content=b'{"a":1}', headers={"Content-Type": kind})
    assert raw.status_code == 201
    [message] = (await service.root.post("/v1/queues/q/messages/receive")).json()["messages"]
    assert (message["content_type"], message["body_base64"]) == ("application/octet-stream", "eyJhIjoxfQ==")
    answer = await service.root.post("/v1/queues/q/messages", json={"body_base64": "", "content_type": kind})
    assert problem(answer) == (422, "invalid_request", [("/content_type", "invalid_media_type")])
