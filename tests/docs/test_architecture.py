"""The page that tells how it works draws the layers that are enforced."""

import re
import tomllib
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_PAGE = (_ROOT / "docs" / "concepts" / "how-it-works.md").read_text("utf-8")
_CONTRACTS = [
    contract
    for contract in tomllib.loads((_ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    if contract["type"] == "layers"
]


def _enforced(layers: list[str]) -> list[list[str]]:
    return [sorted(layer.split(" | ")) for layer in layers]


def _drawn() -> list[list[list[str]]]:
    """Return the modules in each row of each table of layers."""
    tables = re.findall(r"\| layer \| what is there \|\n.*\n((?:\|.*\n)+)", _PAGE)
    return [[_modules(row) for row in table.splitlines()] for table in tables]


def _modules(row: str) -> list[str]:
    cell = row.split("|")[1]
    return sorted(path.strip("/").removesuffix(".py").replace("/", ".") for path in re.findall(r"`(.+?)`", cell))


def test_the_layers_of_the_page_are_those_of_the_import_contracts() -> None:
    assert _drawn() == [_enforced(contract["layers"]) for contract in _CONTRACTS]


@pytest.mark.parametrize("folder", ["service", "service/api", "service/store"])
def test_every_module_has_a_layer(folder: str) -> None:
    paths = (_ROOT / folder).iterdir()
    found = {path for path in paths if path.suffix == ".py" or (path / "__init__.py").exists()}
    names = {str(path.relative_to(_ROOT)).removesuffix(".py").replace("/", ".") for path in found}
    drawn = {module for table in _drawn() for row in table for module in row}
    assert names - {f"{folder.replace('/', '.')}.__init__"} <= drawn
