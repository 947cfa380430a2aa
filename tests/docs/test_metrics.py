"""The page of metrics says what the code says."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics import MetricWrapperBase

from service import telemetry
from service.api.messaging.receives import DeadLettered
from service.message import MessageState
from service.model import Action
from tests.serving import Serving

_ROOT = Path(__file__).parents[2]
_PAGE = (_ROOT / "docs" / "reference" / "metrics.md").read_text("utf-8")
_ROW = re.compile(r"^\| `(restante_\w+)` \| (\w+) \| (.+?) \| (.+?) \|$", re.MULTILINE)


Described = MetricWrapperBase | GaugeMetricFamily


def _metrics() -> Iterator[Described]:
    for value in vars(telemetry).values():
        if isinstance(value, MetricWrapperBase):
            yield value
    yield from telemetry.QueueFigures().collect()  # type: ignore[misc]


def _name(metric: Described) -> str:
    if isinstance(metric, GaugeMetricFamily):
        return metric.name
    return f"{metric._name}_total" if metric._type == "counter" else metric._name


def named_metrics() -> set[str]:
    """Return the names of all metrics."""
    return set(map(_name, _metrics()))


def _row(metric: Described) -> tuple[str, str, str, str]:
    labels = ", ".join(f"`{label}`" for label in metric._labelnames) or "none"
    if isinstance(metric, GaugeMetricFamily):
        return _name(metric), metric.type, labels, metric.documentation
    return _name(metric), str(metric._type), labels, str(metric._documentation)


def test_every_metric_is_in_the_table_with_its_labels_and_meaning_and_nothing_else() -> None:
    assert _ROW.findall(_PAGE) == [_row(metric) for metric in _metrics()]


def test_every_label_is_explained() -> None:
    labels = _PAGE.split("## Labels")[1]
    assert all(f"`{label}`" in labels for metric in _metrics() for label in metric._labelnames)


def _first_column(heading: str) -> set[str]:
    """Return what is code in the first column of a table."""
    table = _PAGE.split(f"| {heading} |")[1].split("\n\n")[0]
    return {name for row in table.splitlines()[2:] for name in re.findall(r"`(.+?)`", row.split("|")[1])}


def _values(label: str) -> set[str]:
    """Return the values that the page lists for a label."""
    [values] = re.findall(rf"^\| {label} \| (.+?) \|", _PAGE, re.MULTILINE)
    return set(re.findall(r"`(.+?)`", values))


def _strings(file: str) -> set[str]:
    """Return every string of a file of the service."""
    tree = ast.parse((_ROOT / "service" / file).read_text("utf-8"))
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def _labelled(metric: str, place: int) -> set[str]:
    """Return the strings that the service gives a metric as one of its labels."""
    calls = "\n".join(file.read_text("utf-8") for file in (_ROOT / "service").rglob("*.py"))
    return {
        string
        for arguments in re.findall(rf"{metric}\.labels\((.+?)\)", calls)
        for string in re.findall(r'^"(\w+)"$', arguments.split(", ")[place])
    }


def test_every_value_of_a_label_is_on_the_page_and_nothing_else() -> None:
    assert _values("`action`") == {action.name.lower() for action in Action}
    assert _values("`reason` of dead letters and drops") == set(get_args(DeadLettered.__annotations__["reason"]))
    assert _values("`state` of messages") == set(MessageState)
    assert _values("`outcome` of chores") == _labelled("CHORE_ROUNDS", 1)
    assert _values("`kind` of database errors") == _labelled("DATABASE_ERRORS", 0)
    errors = {value for value in _values("`outcome` of push attempts") if not value.endswith("xx")}
    assert errors == {
        string for string in _strings("push/sender.py") if re.fullmatch(r"\w+_(error|refused)", string)
    } | {
        "timeout",
        "interrupted",
    }


def test_every_lane_and_chore_is_on_the_page_and_nothing_else(service: Serving) -> None:
    with service.client() as client:
        exposition = client.get("/metrics").text
    assert _first_column("lane") == set(re.findall(r'lane="([\w-]+)"', exposition))
    assert _first_column("chore") == _keys("upkeep/chores.py")


def _keys(file: str) -> set[str]:
    tree = ast.parse((_ROOT / "service" / file).read_text("utf-8"))
    [keys] = [node.keys for node in ast.walk(tree) if isinstance(node, ast.Dict)]
    return {ast.literal_eval(key) for key in keys if key is not None}
