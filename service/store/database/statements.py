"""Hot statements, written by hand in `sql/`: a file for each noun, each statement under a line `-- name: verb`.

`sql/columns.sql` has the lists of columns that several statements share.
"""

import re
from collections.abc import Mapping
from importlib import resources

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
_COLUMNS = re.compile(r"^-- columns: (\w+)$", re.MULTILINE)
_COLUMN = re.compile(r"^(\w+) (\w+)$", re.MULTILINE)
_LIST = re.compile(r"\{\{(?:(\w+)\.)?(\w+)\}\}")

_SQL = resources.files("service.store").joinpath("sql")


def _load_columns() -> dict[str, dict[str, str]]:
    """Return the types of columns by their names, for each list."""
    _, *parts = _COLUMNS.split(_SQL.joinpath("columns.sql").read_text("utf-8"))
    return {name: dict(_COLUMN.findall(text)) for name, text in zip(parts[::2], parts[1::2], strict=True)}


COLUMNS: Mapping[str, Mapping[str, str]] = _load_columns()


def _listed(match: re.Match[str]) -> str:
    """Return the SQL that a reference to a list of columns stands for."""
    prefix, columns = match[1], COLUMNS[match[2]]
    if prefix is None:
        return ", ".join(columns)
    if prefix == "null":
        return ", ".join(f"null::{kind} as {name}" for name, kind in columns.items())
    if prefix.isdecimal():
        return ", ".join(f"${number}::{kind}[]" for number, kind in enumerate(columns.values(), int(prefix)))
    return ", ".join(f"{prefix}.{name}" for name in columns)


def _load() -> dict[str, str]:
    """Return every statement under its name, `noun.verb`."""
    statements: dict[str, str] = {}
    for file in _SQL.iterdir():
        if file.name.endswith(".sql"):
            _, *parts = _NAME.split(file.read_text("utf-8"))
            noun = file.name.removesuffix(".sql")
            statements |= {
                f"{noun}.{verb}": _LIST.sub(_listed, sql.strip())
                for verb, sql in zip(parts[::2], parts[1::2], strict=True)
            }
    return statements


STATEMENTS = _load()
