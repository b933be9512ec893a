"""docs/alerts.yml speaks of metrics, labels and values that exist. No Prometheus runs here."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from telemetry.metrics import PROGRAMS

RULES = Path(__file__).parents[3] / "docs" / "alerts.yml"
METERS = {meter.name: meter for program in PROGRAMS for meter in program.meters}
_SERIES = re.compile(r"(streamlens_\w+)(?:\{([^}]*)\})?")


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_a_rule_is_whole_and_its_metrics_are_declared(rule: dict[str, Any]) -> None:
    assert set(rule) - {"for"} == {"alert", "expr", "labels", "annotations"}
    assert set(rule["annotations"]) == {"summary", "action"}
    assert rule["labels"]["severity"] in ("page", "ticket")
    found = _SERIES.findall(rule["expr"])
    assert found
    for name, selector in found:
        labels = {label.name: label for label in METERS[name].labels}
        for label, value in re.findall(r'(\w+)="([^"]*)"', selector):
            assert value in map(str, labels[label].values)
    grouped = re.findall(r"by \((\w+)\)", rule["expr"])
    told = re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values()))
    known = {label.name for name, _ in found for label in METERS[name].labels}
    assert set(grouped) <= known
    assert set(told) <= set(grouped)  # sum and max keep no other label
    mentioned = _SERIES.findall(" ".join(rule["annotations"].values()))
    assert {name for name, _ in mentioned} <= set(METERS)


def test_alerts_that_a_metric_asks_for_exist() -> None:
    expressions = " ".join(rule["expr"] for rule in rules())
    asked = [meter for meter in METERS.values() if "Alert " in meter.text]
    assert asked
    for meter in asked:
        assert meter.name in expressions
