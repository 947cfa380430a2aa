"""The page of metrics says what the code says."""

import re
from collections.abc import Iterator
from pathlib import Path

from prometheus_client.metrics import MetricWrapperBase

from service import telemetry

_PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "metrics.md").read_text("utf-8")
_ROW = re.compile(r"^\| `(restante_\w+)` \| (\w+) \| (.+?) \| (.+?) \|$", re.MULTILINE)


def _metrics() -> Iterator[MetricWrapperBase]:
    for value in vars(telemetry).values():
        if isinstance(value, MetricWrapperBase):
            yield value


def _row(metric: MetricWrapperBase) -> tuple[str, str, str, str]:
    name = f"{metric._name}_total" if metric._type == "counter" else metric._name
    labels = ", ".join(f"`{label}`" for label in metric._labelnames) or "none"
    return name, str(metric._type), labels, str(metric._documentation)


def test_every_metric_is_in_the_table_with_its_labels_and_meaning_and_nothing_else() -> None:
    assert _ROW.findall(_PAGE) == [_row(metric) for metric in _metrics()]


def test_every_label_is_explained() -> None:
    labels = _PAGE.split("## Labels")[1]
    assert all(f"`{label}`" in labels for metric in _metrics() for label in metric._labelnames)
