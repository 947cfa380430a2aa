"""The examples for operators ask for what there is."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import yaml

from service.settings import Settings
from service.telemetry import QueueFigures
from tests.docs.test_metrics import named_metrics
from tests.serving import Serving

_EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


def _documents(name: str) -> list[Any]:
    return list(yaml.safe_load_all((_EXAMPLES / name).read_text("utf-8")))


def test_every_metric_that_an_alert_watches_exists() -> None:
    [rules] = _documents("alerts.yaml")
    watched = {
        name
        for group in rules["groups"]
        for rule in group["rules"]
        for name in re.findall(r"restante_\w+", rule["expr"])
    }
    assert len(watched) > 5
    assert watched <= named_metrics()


def test_the_labels_that_alerts_group_by_are_those_of_a_queue() -> None:
    figures = QueueFigures()
    assert figures.messages._labelnames == ("project", "queue", "state")
    assert figures.oldest_ready_age._labelnames == ("project", "queue")


def test_what_the_autoscaler_reads_is_in_the_answer(service: Serving) -> None:
    scaled = next(document for document in _documents("keda.yaml") if document["kind"] == "ScaledObject")
    [trigger] = scaled["spec"]["triggers"]
    path = urlsplit(trigger["metadata"]["url"]).path
    with httpx.Client(base_url=service.url, headers={"Authorization": f"Bearer {service.key}"}) as client:
        client.put(path)
        client.post(f"{path}/messages/batch", json={"messages": [{"body": 1}] * 7})
        made = client.post("/v1/keys", json={"name": "keda", "scopes": ["receive"], "queues": ["orders"]})
        answer = client.get(path, headers={"Authorization": f"Bearer {made.json()['secret']}"}).json()
    for name in trigger["metadata"]["valueLocation"].split("."):
        answer = answer[name]
    assert answer == 7


def test_the_unit_for_systemd_starts_the_service_with_settings_that_exist() -> None:
    text = (_EXAMPLES / "restante.service").read_text("utf-8")
    lines = [line.lstrip("#").partition("=") for line in text.splitlines()]
    given = {value.partition("=")[0] for name, _, value in lines if name == "Environment"}
    assert len(given) > 4
    assert given <= {f"RESTANTE_{name.upper()}" for name in Settings.model_fields}
    settings = {name: value for name, _, value in lines}
    assert settings["ExecStart"].endswith("/restante serve")
    # The drain, and PostgreSQL's end.
    assert int(settings["TimeoutStopSec"]) > 30
