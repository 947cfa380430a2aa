"""The prose in the code is plain English: comments, docstrings and sentences avoid the words that are listed here."""

import ast
import re
import tokenize
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[1]
# Each pattern with what to write instead.
_AVOIDED = {
    r"\boctets?\b(?!-stream)": "bytes",
    r"\btells? (whether|apart|of)\b": "return whether; distinguish; report",
    r"\b(nobody|somebody|anybody|everybody|whoever|whomever)\b": "name the client, the process or the user",
    r"\banew\b": "again, or new",
    r"\b(lately|wholly|whence|thereof|nonetheless|none the less|hitherto)\b": "recently, completely, …",
    r"\bof (ours|its own accord)\b": "name the owner",
    r"(?<!there )\b(is|are) (?-i:none)\b": "is not one of, or has no",
    r"\b(we|us|our|ours|ourselves)\b": "the service, this process",
    r"\bfar end\b": "client, or server",
    r"\b(parked|patient|patience)\b": "waiting; time limit",
    r"\bso (many|much) (seconds|messages|requests|time|bytes)\b": "a number of",
    r"\b(let|lets) in\b": "authenticated, or permitted",
    r"\bleft alone\b": "paused",
    r"\bhalf a (surrogate )?pair\b": "unpaired surrogate",
    r"\bsees? to\b": "make sure, or check",
    r"\b(rubbish|blanks)\b": "invalid; spaces",
    r"\b(a|an|the|no|any) (look|wish|belt) (at|of|for|into)\b": "a verb: examine, request",
    r"\b(comes?|came) of (it|them|a|an|the|this|each)\b": "result, or outcome",
    r"\bwhat (has |is )?(becomes?|became)\b": "result, or what happens to",
}
# A docstring or comment that begins so has no subject that is a thing of the field.
_OPENINGS = re.compile(r"(What|Who|Whom|Those|That which|How much of) ")
# Where a word is not prose.
_ALLOWED = {
    ("bench/servers.py", "us"): "part of the name of a region",
    ("service/embedded/account.py", "nobody"): "the name of an account",
    ("service/upkeep/chores.py", "parked"): "the name of a chore, a label of the metrics",
}


def _files() -> list[str]:
    rooms = [_ROOT / room for room in ("service", "migrations", "bench")]
    files = (file for room in rooms for kind in ("*.py", "*.sql") for file in room.rglob(kind))
    return sorted(str(file.relative_to(_ROOT)) for file in files if ".build" not in file.parts)


def _comments(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the first line and the text of each block of comments."""
    with path.open("rb") as source:
        tokens = [token for token in tokenize.tokenize(source.readline) if token.type == tokenize.COMMENT]
    block: list[str] = []
    for token, following in zip_longest(tokens, tokens[1:]):
        block.append(token.string.lstrip("# "))
        if following is None or following.start != (token.start[0] + 1, token.start[1]):
            yield token.start[0] - len(block) + 1, " ".join(block)
            block = []


def _sql_comments(path: Path) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if (comment := re.search(r"(?:^|\s)--\s?(.*)", line)) is not None:
            yield number, comment[1]


def _strings(tree: ast.Module) -> Iterator[tuple[int, str, bool]]:
    """Yield line and text of each string literal, and whether it is a docstring."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, " ".join(node.value.split()), id(node) in docstrings


def _prose(path: str) -> Iterator[tuple[int, str, bool]]:
    """Yield line and text of each piece of prose, and whether its opening matters."""
    file = _ROOT / path
    if file.suffix == ".sql":
        for line, text in _sql_comments(file):
            yield line, text, False
        return
    for line, text in _comments(file):
        yield line, text, True
    yield from _strings(ast.parse(file.read_text("utf-8")))


def _faults(path: str) -> Iterator[str]:
    for line, text, opens in _prose(path):
        if opens and (opening := _OPENINGS.match(text)) is not None:
            yield f"{path}:{line}: begins with {opening[1]!r}, name the thing: {text[:80]}"
        for pattern, better in _AVOIDED.items():
            for found in re.finditer(pattern, text, re.IGNORECASE):
                if (path, found[0]) not in _ALLOWED:
                    yield f"{path}:{line}: {found[0]!r}, better: {better}"


@pytest.mark.parametrize("path", _files())
def test_prose_avoids_words_that_a_reader_stumbles_over(path: str) -> None:
    assert list(_faults(path)) == []


def test_every_exception_is_still_needed() -> None:
    for path, word in _ALLOWED:
        assert any(re.search(rf"\b{word}\b", text) for _, text, _ in _prose(path)), (path, word)
