"""The pages are plain English: they avoid the words that are listed here."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.test_references import each_page

_AVOIDED = {
    r"octets?": "bytes",
    r"nobody|somebody|anybody|everybody|whoever|whomever": "name the client, the process or the user",
    r"anew": "again",
    r"wholly|nonetheless|none the less|hitherto|whence|nought|by and by": "completely, still, gradually, zero",
    r"of ours|of theirs": "name the owner",
    r"tells? (whether|apart|of)": "says whether; differ; reports",
    r"so (many|much) (seconds|messages|requests|bytes)": "a number of",
    r"mended|reckoned": "fixed; calculated",
    r"for ever": "without end, or for good",
}


def _prose(page: Path) -> str:
    """Return the page without code and without what it quotes."""
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    return re.sub(r'`[^`\n]*`|"[^"\n]{1,20}"', "", text)


def _faults(page: Path) -> Iterator[str]:
    for pattern, better in _AVOIDED.items():
        for found in re.finditer(rf"\b({pattern})\b", _prose(page), re.IGNORECASE):
            yield f"{found[0]!r}, better: {better}"


@each_page
def test_a_page_avoids_words_that_a_reader_stumbles_over(page: Path) -> None:
    assert list(_faults(page)) == []


@pytest.mark.parametrize("text", ["Nobody asks.", "It is made anew."])
def test_such_words_are_found(text: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    assert list(_faults(page)) != []
