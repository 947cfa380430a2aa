"""What the documents refer to is there."""

import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from service.settings import Settings
from service.store.database.statements import STATEMENTS
from tests.api.test_openapi import operations
from tests.docs.test_metrics import named_metrics

_ROOT = Path(__file__).parents[2]
PAGES = [*sorted(_ROOT.glob("*.md")), _ROOT / "dashboard/README.md", *sorted((_ROOT / "docs").rglob("*.md"))]
_FOLDERS = ("bench", "dashboard", "docs", "migrations", "openapi", "service", "tests")

each_page = pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(_ROOT)) for page in PAGES])

# Sources in which an identifier that a page names must occur.
_SOURCES = (
    "service",
    "migrations",
    "tests",
    "bench",
    "openapi",
    "dashboard",
    "docs/examples",
    "Makefile",
    "pyproject.toml",
)
# Names that belong to others.
_FOREIGN = re.compile(
    r"OTEL_\w+|parentbased_traceidratio|stop_grace_period|terminationGracePeriodSeconds|[\w-]+\.(md|sql|py|ts|tsx|css)"
)
_OF_OTHERS = {"docs/how-to/move-from-sqs.md"}


@cache
def _words() -> set[str]:
    """Return every word of the sources."""
    listed = subprocess.run(
        ["git", "ls-files", *_SOURCES], cwd=_ROOT, capture_output=True, text=True, check=True
    ).stdout
    files = [_ROOT / name for name in listed.splitlines() if not name.startswith("tests/docs/")]
    words: set[str] = set()
    for file in files:
        if file.suffix != ".md" and file.exists():
            words |= set(re.findall(r"[A-Za-z_]\w*", file.read_text("utf-8", errors="ignore")))
    return words | named_metrics() | {f"RESTANTE_{name.upper()}" for name in Settings.model_fields}


def _identifiers(page: Path) -> Iterator[str]:
    """Yield what a page sets as code and is an identifier: with an underscore, a dot or a capital within."""
    for code in _code(page):
        name = re.fullmatch(r"([A-Za-z_][\w.]*)(?:\(.*\))?", code)
        if name and re.search(r"_|[a-z][A-Z]|\.", name[1]) and not _FOREIGN.fullmatch(name[1]):
            yield name[1]


def _code(page: Path) -> set[str]:
    """Return what the page sets as code within its lines."""
    return set(re.findall(r"`([^`\n]+)`", page.read_text("utf-8")))


def _anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def _links(page: Path) -> Iterator[str]:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if "://" not in target:
            yield target


@each_page
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in _links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in _anchors(target), link


@each_page
def test_every_file_that_is_named_exists(page: Path) -> None:
    for path in _code(page):
        if re.fullmatch(rf"({'|'.join(_FOLDERS)})/[\w./-]*", path):
            assert (_ROOT / path).exists() or path == "bench/results/", path


def test_every_picture_is_shown_by_a_page() -> None:
    shown = {(page.parent / link).resolve() for page in PAGES for link in _links(page)}
    assert {*(_ROOT / "docs" / "images").iterdir()} - shown == set()


def test_every_operation_that_is_named_exists() -> None:
    known = [(method, re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path))) for method, path, _ in operations()]
    named = {name for page in PAGES for name in _code(page) if re.match(r"(GET|PUT|POST|PATCH|DELETE) /v1/", name)}
    assert len(named) > 20
    for name in named:
        method, _, path = name.partition(" ")
        assert any(method == m and re.fullmatch(p, path.partition("?")[0]) for m, p in known), name


def test_every_statement_that_is_named_exists() -> None:
    nouns = "|".join(sorted({name.partition(".")[0] for name in STATEMENTS}))
    named = {name for page in PAGES for name in _code(page) if re.fullmatch(rf"({nouns})\.\w+", name)}
    assert len(named) > 10
    assert named - STATEMENTS.keys() == set()


def test_every_test_that_is_named_exists() -> None:
    defined: set[str] = set()
    for file in (_ROOT / "tests").rglob("test_*.py"):
        defined |= set(re.findall(r"^(?:async )?def (test_\w+)", file.read_text("utf-8"), re.MULTILINE))
    named = {name for page in PAGES for name in _code(page) if re.fullmatch(r"test_\w+", name)}
    assert len(named) > 20
    assert named - defined == set()


@each_page
def test_every_identifier_that_is_named_occurs_in_the_sources(page: Path) -> None:
    if str(page.relative_to(_ROOT)) in _OF_OTHERS:
        return
    unknown = {name for name in _identifiers(page) if not set(filter(None, name.split("."))) <= _words()}
    assert unknown == set()


def test_every_promise_names_a_test() -> None:
    rows = [line for line in (_ROOT / "docs/concepts/guarantees.md").read_text("utf-8").splitlines() if "| **" in line]
    promised = set(re.findall(r"\b([SFQ]\d)\b", " ".join(rows)))
    assert promised >= {*(f"S{n}" for n in range(1, 10)), *(f"F{n}" for n in range(1, 5)), "Q1", "Q2"}
    for row in rows:
        promise, tests = row.strip("| ").rsplit(" | ", 1)
        assert re.search(r"`test_\w+`", tests), promise
