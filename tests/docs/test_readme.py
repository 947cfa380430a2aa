"""What the README says of itself and of others holds together."""

import re
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_README = (_ROOT / "README.md").read_text("utf-8")
_OTHERS = ("SQS", "RabbitMQ", "a table of your own")


def _table() -> dict[str, list[str]]:
    """Return the cells of the comparison by what is compared: ours, then the others'."""
    rows = [line.strip("|").split(" | ") for line in _README.splitlines() if line.startswith("| ")]
    return {cells[0].strip(): [cell.strip("* ") for cell in cells[1:]] for cells in rows[2:]}


def test_another_queue_is_recommended_only_where_the_table_says_that_it_has_what_this_one_lacks() -> None:
    table = _table()
    advice = re.findall(r"^- \*(.+?)\*: take (.+?) if ", _README, re.MULTILINE)
    assert len(advice) > 2
    for row, chosen in advice:
        ours, *theirs = table[row]
        assert ours == "no", row
        for name in chosen.split(" or "):
            assert theirs[_OTHERS.index(name)] != "no", (row, name)


def test_everything_that_this_queue_lacks_is_a_reason_to_take_another() -> None:
    lacks = {row for row, (ours, *_) in _table().items() if ours == "no"}
    assert lacks == set(re.findall(r"^- \*(.+?)\*: ", _README, re.MULTILINE))


def test_the_figures_are_those_of_the_results_that_are_named() -> None:
    [name] = re.findall(r"`(bench/results/[\w-]+\.md)`", _README)
    results = (_ROOT / name).read_text("utf-8")
    figures = re.findall(r"\d+,\d{3}", _README.split("The [tutorial]")[0])
    assert len(figures) == 2
    assert all(figure in results for figure in figures)


def test_what_a_reader_sees_first_is_short() -> None:
    first = re.sub(r"```.*?```", "", _README.split("![")[0], flags=re.DOTALL)
    assert len(first.split()) <= 320
