"""Every decision record has the same form, and the index lists it."""

import datetime as dt
import re
from pathlib import Path

import pytest

_FOLDER = Path(__file__).parents[2] / "docs" / "decisions"
_RECORDS = sorted(_FOLDER.glob("0*.md"))
_HEAD = re.compile(r"# (\d+)\. (.+)\n\n- Date: (\d{4}-\d\d-\d\d)\n- Status: (.+)\n\n## What was decided\n")
_LATER = r"\[\d+\]\([\w-]+\.md\)"
_STATUS = re.compile(rf"accepted(, amended by {_LATER}( and {_LATER})*)?|superseded by {_LATER}")


def _head(record: Path) -> tuple[str, ...]:
    head = _HEAD.match(record.read_text("utf-8"))
    assert head, record.name
    return head.groups()


@pytest.mark.parametrize("record", _RECORDS, ids=[record.stem for record in _RECORDS])
def test_a_record_has_a_number_a_date_a_status_and_what_it_costs(record: Path) -> None:
    number, _, date, status = _head(record)
    assert record.name.startswith(f"{int(number):04}-")
    dt.date.fromisoformat(date)
    assert _STATUS.fullmatch(status), status
    assert "\n## What it costs\n" in record.read_text("utf-8")


def test_numbers_have_no_gaps_and_records_are_in_the_order_of_their_dates() -> None:
    heads = [_head(record) for record in _RECORDS]
    assert [int(number) for number, *_ in heads] == list(range(1, len(heads) + 1))
    assert [date for _, _, date, _ in heads] == sorted(date for _, _, date, _ in heads)


def test_a_record_is_amended_or_superseded_by_later_ones_alone() -> None:
    for record in _RECORDS:
        number, _, _, status = _head(record)
        assert all(int(later) > int(number) for later in re.findall(r"\[(\d+)\]", status))


def test_the_index_lists_every_record_as_it_is_and_nothing_else() -> None:
    index = (_FOLDER / "README.md").read_text("utf-8")
    rows = re.findall(r"^\| \[(\d+)\]\((.+?)\) \| (.+) \| (.+) \| (.+) \|$", index, re.MULTILINE)
    expected = []
    for record in _RECORDS:
        number, title, date, status = _head(record)
        expected.append((number, record.name, title, date, status))
    assert rows == expected
