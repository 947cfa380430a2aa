"""Hot statements, by hand, in `sql/`: one file a noun, each statement under a line `-- name: verb`."""

import re
from importlib import resources

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


def _load() -> dict[str, str]:
    """Return every statement under its name, `noun.verb`."""
    statements: dict[str, str] = {}
    for file in resources.files("service.store").joinpath("sql").iterdir():
        if file.name.endswith(".sql"):
            _, *parts = _NAME.split(file.read_text("utf-8"))
            noun = file.name.removesuffix(".sql")
            statements |= {f"{noun}.{verb}": sql.strip() for verb, sql in zip(parts[::2], parts[1::2], strict=True)}
    return statements


STATEMENTS = _load()
