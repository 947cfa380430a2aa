"""What is used of libraries beyond their documented interfaces stands in one list, which is compared with the code."""

import ast
import re
import tomllib
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest

from service import borrowed

_ROOT = Path(__file__).parents[1]
_PACKAGES = ("uvicorn", "aiohttp", "asyncpg", "msgspec")
# Documented: https://docs.aiohttp.org/en/stable/abc.html
_DOCUMENTED = {"aiohttp.abc"}


def _modules() -> list[ast.Module]:
    return [ast.parse(file.read_text("utf-8")) for file in sorted((_ROOT / "service").rglob("*.py"))]


def _imported(module: ast.Module) -> set[tuple[str, str]]:
    """Return what a module imports from the inside of a library, but for types that are not there when it runs."""
    only_types = {
        id(inner)
        for node in module.body
        if isinstance(node, ast.If)
        for inner in ast.walk(node)
        if isinstance(inner, ast.ImportFrom)
    }
    return {
        (node.module, alias.name)
        for node in ast.walk(module)
        if isinstance(node, ast.ImportFrom) and node.module and id(node) not in only_types
        for alias in node.names
        if node.module.partition(".")[0] in _PACKAGES and "." in node.module and node.module not in _DOCUMENTED
    }


def test_what_is_imported_from_the_inside_of_a_library_is_in_the_list() -> None:
    used = {found for module in _modules() for found in _imported(module)}
    assert used - {(module, name) for module, objects in borrowed.NAMES.items() for name in objects} == set()


def test_each_method_of_a_library_that_is_overridden_is_in_the_list() -> None:
    listed = {name: set(members) for objects in borrowed.NAMES.values() for name, members in objects.items()}
    classes = {
        getattr(import_module(module), name): name
        for module, objects in borrowed.NAMES.items()
        for name in objects
        if isinstance(getattr(import_module(module), name), type)
    }
    missing = set()
    for ours in _subclasses_of(set(classes)):
        for base, name in classes.items():
            if ours is not base and issubclass(ours, base):
                overridden = {member for member in vars(ours) if member in vars(base) and not member.startswith("__")}
                missing |= {(ours.__name__, member) for member in overridden - listed[name]}
    assert missing == set()


def _subclasses_of(bases: set[type]) -> set[type]:
    """Return the service's classes that derive from one of these."""
    for module in ("service.server", "service.starting", "service.main", "service.egress.connector"):
        import_module(module)
    found: set[type] = set()
    left = list(bases)
    while left:
        derived: list[type] = type.__subclasses__(left.pop())
        left += derived
        found |= {kind for kind in derived if kind.__module__.startswith("service.")}
    return found


@pytest.mark.parametrize("package", _PACKAGES)
def test_a_library_whose_inside_is_used_has_a_ceiling_at_the_next_minor_version(package: str) -> None:
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    [bounds] = [found for found in project["dependencies"] if re.match(rf"{package}\b", found)]
    major, minor, *_ = version(package).split(".")
    assert f"<{major}.{int(minor) + 1}" in bounds


def test_a_library_that_lacks_something_is_found_before_the_first_request(monkeypatch: pytest.MonkeyPatch) -> None:
    borrowed.check()
    more = {"uvicorn.server": {"Server": ("no_such_method",), "NoSuchClass": ()}}
    monkeypatch.setattr(borrowed, "NAMES", more)
    monkeypatch.setattr(borrowed, "SENTENCES", {"That is no number": (int, b'"1"'), "Not refused": (int, b"1")})
    with pytest.raises(RuntimeError, match=r"Install the versions of requirements\.lock") as told:
        borrowed.check()
    for lacking in ("Server.no_such_method", "NoSuchClass", "That is no number", "Not refused"):
        assert lacking in str(told.value)
