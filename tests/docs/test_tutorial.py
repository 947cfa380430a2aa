"""The tutorial's lines work when pasted in their order, and answer what it says."""

import asyncio
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import asyncpg

from tests.clock import shiftable
from tests.serving import Serving, serving

_ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"^```(\w+)( second terminal)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_END = "\x1e"


class Terminal:
    """A bash in which lines are typed."""

    def __init__(self, folder: Path, service: Serving) -> None:
        self.pasted = ""
        self._bash = subprocess.Popen(
            ["bash"],
            cwd=folder,
            env={"PATH": os.environ["PATH"], "URL": service.url, "KEY": service.key},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._bash.communicate(timeout=10)

    def paste(self, lines: str) -> None:
        """Type the lines."""
        assert self._bash.stdin is not None
        self.pasted = lines
        self._bash.stdin.write(f"{lines}\nprintf '\\036'\n")
        self._bash.stdin.flush()

    def shown(self) -> str:
        """Wait until what was pasted is done, and return what it has printed."""
        assert self._bash.stdout is not None
        characters = []
        while (character := self._bash.stdout.read(1)) not in {_END, ""}:
            characters.append(character)
        self.pasted = ""
        return "".join(characters)


def blocks(page: str) -> Iterator[tuple[str, bool, str]]:
    """Yield kind, whether it is for the second terminal, and text of the blocks that are typed or compared."""
    for kind, second, text in _BLOCK.findall((_ROOT / page).read_text("utf-8")):
        if kind != "console":
            yield kind, bool(second), text


def _fits(expected: str, shown: str) -> bool:
    """Tell whether what is expected was shown, `…` being anything."""
    pattern = ".*?".join(re.escape(part) for part in expected.strip().split("…"))
    return re.fullmatch(pattern, shown.strip(), re.DOTALL) is not None


def _follow(first: Terminal, other: Terminal, between: Callable[[], None]) -> None:
    """Paste the tutorial's lines and compare what they answer; `between` is called before each block of lines."""
    compared = 0
    for kind, second, text in blocks("docs/tutorial.md"):
        terminal = other if second else first
        if kind == "sh":
            between()
            if terminal.pasted:
                assert not terminal.shown(), f"nothing says what this answers: {terminal.pasted}"
            terminal.paste(text)
        else:
            pasted, shown = terminal.pasted, terminal.shown()
            assert _fits(text, shown), f"{pasted}\nexpected: {text}\nshown: {shown}"
            compared += 1
    assert compared > 20


def test_every_line_works_when_pasted_and_answers_as_shown(service: Serving, tmp_path: Path) -> None:
    with Terminal(tmp_path, service) as first, Terminal(tmp_path, service) as other:
        _follow(first, other, lambda: None)


def test_it_answers_the_same_to_a_slow_reader_who_has_pasted_the_lines_of_the_readme_before(
    data_folder: Path, database: str, tmp_path: Path
) -> None:
    [(_, _, readme)] = blocks("README.md")
    _, create, send, receive, _ = readme.splitlines()
    with asyncio.Runner() as runner:
        runner.run(shiftable(database))
        sql = runner.run(asyncpg.connect(database))

        def read_for_a_minute() -> None:
            runner.run(sql.execute("update shifted.clock set ahead = ahead + interval '1 minute'"))

        with (
            serving(data_folder, database_url=database, secret_key="s" * 32) as service,
            Terminal(tmp_path, service) as first,
            Terminal(tmp_path, service) as other,
        ):
            first.paste(f"{create}\n{send}\n{receive}")
            first.shown()
            _follow(first, other, read_for_a_minute)
        runner.run(sql.close())


def test_the_lines_of_the_readme_work_when_pasted(service: Serving, tmp_path: Path) -> None:
    [(_, _, text)] = blocks("README.md")
    _, create, send, receive, delete = text.splitlines()
    with Terminal(tmp_path, service) as terminal:
        terminal.paste(f"{create}\n{send}\n{receive}")
        shown = terminal.shown()
        assert '"body":"Hello"' in shown
        receipt = shown.split('"receipt":"')[1].split('"')[0]
        terminal.paste(delete.replace("RECEIPT", receipt) + " -w '%{http_code}'")
        assert terminal.shown() == "204"
