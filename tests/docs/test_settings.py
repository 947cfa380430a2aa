"""The table of settings says what the code says."""

import re
from pathlib import Path

from service.settings import Settings

_PAGE = Path(__file__).parents[2] / "docs" / "reference" / "settings.md"
_ROW = re.compile(r"^\| `(RESTANTE_\w+)` \| (.+?) \| (.+?) \|$", re.MULTILINE)


def _documented() -> dict[str, tuple[str, str]]:
    table = _PAGE.read_text("utf-8").split("## The command line")[0]
    return {name: (default, meaning) for name, default, meaning in _ROW.findall(table)}


def _shown(default: object) -> str:
    """Return a default the way the table writes it."""
    if default is None:
        return "none"
    if isinstance(default, bool):
        return f"`{int(default)}`"
    if isinstance(default, tuple):
        return f"`{','.join(default)}`" if default else "none"
    return f"`{default}`"


def test_every_setting_is_in_the_table_with_its_default_and_meaning_and_nothing_else() -> None:
    expected = {
        f"RESTANTE_{name.upper()}": (_shown(field.default), field.description)
        for name, field in Settings.model_fields.items()
    }
    assert _documented() == expected
