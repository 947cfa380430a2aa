"""The pages of the API and its limits say what the service says."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.test_access import ALLOWED, ANY
from tests.api.test_openapi import operations
from tests.in_process import in_process

_REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


def _rows(page: str, columns: int) -> list[tuple[str, ...]]:
    """Return the rows of the page's table whose first cell is code."""
    text = (_REFERENCE / page).read_text("utf-8")
    return re.findall(r"^\| `(.+?)` " + r"\| (.*?) ?" * columns + r"\|", text, re.MULTILINE)


def _key(operation_id: str) -> str:
    """Return the page's word for who may call an operation."""
    if operation_id not in ALLOWED:
        return "no key"
    if operation_id == "commit_transaction":
        return "`send` and `receive`"
    allowed = ALLOWED[operation_id]
    if allowed in ({*()}, ANY):
        return "any" if allowed else "root key"
    return f"`{min(allowed - {'admin'}, default='admin')}`"


def _operations() -> Iterator[tuple[str, ...]]:
    for method, path, operation in operations():
        success = ", ".join(status for status in operation["responses"] if status < "400")
        yield f"{method} {path}", operation["summary"], _key(operation["operationId"]), success


def test_every_operation_is_in_the_table_with_the_key_it_takes_and_nothing_else() -> None:
    assert _rows("api.md", 3) == list(_operations())


@pytest.mark.anyio
async def test_every_limit_is_in_the_table_with_its_default_and_nothing_else(database: str) -> None:
    async with in_process(database) as service:
        limits = (await service.root.get("/v1/limits")).json()
    project = limits.pop("project")
    expected = [(name, str(value)) for name, value in limits.items()]
    assert _rows("limits.md", 1)[: -len(project)] == [*expected, *((f"project.{name}", "null") for name in project)]
