"""The page of errors has every code that the service answers, and no other."""

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

from service.api.kit import validation
from service.errors import Problem

_ROOT = Path(__file__).parents[2]
_PROBLEMS, _FIELDS = (_ROOT / "docs" / "reference" / "errors.md").read_text("utf-8").split("## Fields")
_CODE_ARGUMENT = {"FieldError": 1, "invalid": 1, "PydanticCustomError": 0}


def _kinds(kind: type[Problem] = Problem) -> Iterator[type[Problem]]:
    for child in kind.__subclasses__():
        yield child
        yield from _kinds(child)


def _calls() -> Iterator[tuple[str, ast.Call]]:
    """Yield every call of a plain name in the service."""
    for file in (_ROOT / "service").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                yield node.func.id, node


def _text(argument: ast.expr) -> set[str]:
    return {argument.value} if isinstance(argument, ast.Constant) and isinstance(argument.value, str) else set()


def test_every_code_is_on_the_page_with_its_status_and_nothing_else() -> None:
    importlib.import_module("service.main")
    # Without a code of its own: the base of what is not found, and what never reaches a caller.
    expected = {(kind.code, str(kind.status)) for kind in _kinds() if kind.code != Problem.code}
    nouns = {noun for name, call in _calls() if name == "NotFound" for noun in _text(call.args[0])}
    expected |= {(f"{noun}_not_found", "404") for noun in nouns}
    assert set(re.findall(r"^\| `(\w+)` \| (\d+) \|", _PROBLEMS, re.MULTILINE)) == expected


def test_every_code_of_a_field_is_on_the_page_and_nothing_else() -> None:
    expected = set(validation._CODES.values())
    for name, call in _calls():
        if name in _CODE_ARGUMENT:
            expected |= _text(call.args[_CODE_ARGUMENT[name]])
    assert set(re.findall(r"^\| `(\w+)` \|", _FIELDS, re.MULTILINE)) == expected


def test_the_code_that_a_field_is_refused_with_is_the_one_that_is_answered() -> None:
    given = {code for name, call in _calls() if name == "PydanticCustomError" for code in _text(call.args[0])}
    assert {code: validation._code(code) for code in given} == {code: code for code in given}
