"""The lines of the how-tos work when pasted."""

from pathlib import Path

import pytest

from tests.docs.test_tutorial import Terminal, blocks
from tests.serving import Serving


@pytest.mark.parametrize("page", ["handle-dead-letters", "publish-to-topics"])
def test_every_line_is_answered_without_a_problem(page: str, service: Serving, tmp_path: Path) -> None:
    lines = [text for kind, _, text in blocks(f"docs/how-to/{page}.md") if kind == "sh"]
    assert lines
    with Terminal(tmp_path, service) as terminal:
        for text in lines:
            terminal.paste(text)
            shown = terminal.shown()
            assert shown.startswith("{")
            assert '"code":' not in shown, shown
