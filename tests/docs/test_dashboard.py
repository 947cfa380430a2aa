"""The page about the dashboard has its screens and its keys."""

import re
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_PAGE = (_ROOT / "docs" / "how-to" / "use-the-dashboard.md").read_text("utf-8")
_SHELL = _ROOT / "dashboard" / "src" / "shell"


def test_the_page_has_every_screen_of_the_navigation() -> None:
    names = re.findall(r'path: "[^"]+",\s+name: "([^"]+)"', (_SHELL / "destinations.ts").read_text("utf-8"))
    assert len(names) == 9
    assert [name for name in names if f"**{name}**" not in _PAGE] == []


def test_the_page_has_every_key_of_the_help() -> None:
    keys = re.findall(r'^  \["([^"]+)", "', (_SHELL / "help.tsx").read_text("utf-8"), re.MULTILINE)
    assert keys == ["Ctrl K", "/", "?", "Esc", "Tab, Enter, Space"]
    assert [key for key in ("Ctrl-K", "`/`", "`?`", "Esc", "Tab, Enter and Space") if key not in _PAGE] == []
