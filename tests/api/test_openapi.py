"""The OpenAPI document says what the service does."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import validate

from service.main import create_app, openapi_document
from tests.in_process import Service, deployment

pytestmark = pytest.mark.anyio

CHECKED_IN = Path(__file__).parents[2] / "openapi" / "openapi.json"
DOCUMENT: dict[str, Any] = json.loads(openapi_document())


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield method, path and entry of every operation."""
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def test_the_file_that_is_checked_in_is_this_versions() -> None:
    assert CHECKED_IN.read_bytes() == openapi_document(), "run `make openapi`"


def test_it_is_the_same_whatever_the_settings() -> None:
    app = create_app(deployment("postgresql://elsewhere/x", express=False, port=1, max_message_bytes=2048))
    assert app.openapi().encode() == openapi_document()


def test_it_is_valid() -> None:
    validate(DOCUMENT)


def test_every_operation_has_an_id_of_its_own_a_summary_and_a_tag() -> None:
    described = [operation for _, _, operation in operations()]
    ids = [operation["operationId"] for operation in described]
    assert len(set(ids)) == len(ids)
    assert all(operation_id.isidentifier() and operation_id.islower() for operation_id in ids)
    tags = {tag["name"] for tag in DOCUMENT["tags"]}
    assert all(
        operation["summary"] and operation["description"] and set(operation["tags"]) < tags for operation in described
    )


def test_every_operation_with_a_key_says_which_problems_it_has() -> None:
    for _, path, operation in operations():
        if path.startswith("/v1/"):
            assert operation["security"] == [{"key": []}]
            assert {"400", "401", "403", "422", "503"} <= operation["responses"].keys()
            assert ("413" in operation["responses"]) == ("requestBody" in operation)
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                assert list(response["content"]) == ["application/problem+json"]
            assert "Request-Id" in response["headers"]
            assert ("content" in response) == (status not in {"204", "304"})


async def test_every_operation_inside_a_project_says_that_there_may_be_none(service: Service) -> None:
    for method, path, operation in operations():
        if not path.startswith("/v1/"):
            continue
        content = b"{}" if "requestBody" in operation else None
        url = re.sub(r"{\w+}", "0" * 32, path)
        answer = await service.root.request(method, url, content=content, headers={"Restante-Project": "none"})
        if not path.startswith("/v1/projects"):
            assert (path, answer.status_code, answer.json()["code"]) == (path, 404, "project_not_found")
        if answer.status_code >= 400:
            assert answer.json()["code"] in operation["responses"][str(answer.status_code)]["description"]


async def test_the_deletion_of_a_dead_letter_queue_says_that_it_may_be_refused(service: Service) -> None:
    await service.queue("dead")
    await service.queue(dead_letter={"queue": "dead", "max_receives": 1})
    answer = await service.root.delete("/v1/queues/dead")
    described = DOCUMENT["paths"]["/v1/queues/{queue}"]["delete"]["responses"][str(answer.status_code)]
    assert answer.json()["code"] in described["description"]


def test_every_body_has_a_type_that_can_be_sent() -> None:
    for _, path, operation in operations():
        types = operation.get("requestBody", {}).get("content", {"none/needed": {}})
        assert any("*" not in name for name in types), path


def test_a_missing_schema_is_not_referred_to() -> None:
    text = json.dumps(DOCUMENT)
    for part in text.split('"#/components/')[1:]:
        section, _, name = part.partition('"')[0].partition("/")
        assert name in DOCUMENT["components"][section]


async def test_it_and_the_pages_are_served_without_a_key_and_without_the_network(service: Service) -> None:
    async with service.client(None) as client:
        assert (await client.get("/openapi.json")).json() == DOCUMENT
        page = await client.get("/docs")
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        for _, _, operation in operations():
            assert f'id="{operation["operationId"]}"' in page.text
        for text in (page.text, (await client.get("/docs/problems")).text):
            assert "<script" not in text
            assert "http:" not in text
            assert "https:" not in text


async def test_the_type_of_a_problem_leads_to_its_description(service: Service) -> None:
    page = (await service.root.get("/docs/problems")).text
    await service.queue()
    for path in (
        *("/v1/queues/none", "/v1/topics/none", "/v1/topics/none/subscriptions/s", "/v1/queues/q/webhooks/none"),
        *(f"/v1/tasks/{'0' * 32}", "/v1/queues/q/messages/none", "/v1/projects/none"),
        *("/nothing", "/v1/queues/-x", "/v1/queues?limit=0"),
    ):
        problem = (await service.root.get(path)).json()
        assert f'id="{problem["code"]}"' in page
        assert problem["type"] == f"/docs/problems#{problem['code']}"


async def test_every_code_on_the_page_of_errors_has_a_description(service: Service) -> None:
    page = (await service.root.get("/docs/problems")).text
    problems, _, _ = (CHECKED_IN.parents[1] / "docs" / "reference" / "errors.md").read_text("utf-8").partition("## F")
    codes = set(re.findall(r"^\| `(\w+)` \| \d+ \|", problems, re.MULTILINE))
    assert set(re.findall(r'<tr id="(\w+)">', page)) == codes
