"""The list of metrics: that it is the only one, complete, bounded and documented."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.app import create_app
from serving.projects import Projects
from serving.settings import Settings
from telemetry import document, metrics
from telemetry.meters import OTHER, SECONDS, Label, Meter, Program
from tests.unit.serving.test_app import Away
from tests.unit.telemetry.samples import value

REPO = Path(__file__).resolve().parents[3]
SOURCES = [
    path
    for folder in ("events", "stores", "transforms", "pipelines", "serving", "deploy")
    for path in (REPO / folder).rglob("*.py")
]
DECLARED = {name: meter for name, meter in vars(metrics).items() if isinstance(meter, Meter)}
USED = re.compile(r"\bmetrics\.([A-Z][A-Z_]+)\b")


def test_every_metric_is_declared_and_every_declared_one_is_used() -> None:
    used = {name for path in SOURCES for name in USED.findall(path.read_text())}
    assert used - {"PROGRAMS", "SERVICE_ROUTES"} == set(DECLARED)


def test_nobody_makes_metrics_elsewhere() -> None:
    assert [path for path in SOURCES if "prometheus_client" in path.read_text()] == []


def test_names_follow_the_rules_of_prometheus() -> None:
    meters = [meter for program in metrics.PROGRAMS for meter in program.meters]
    names = [meter.name for meter in meters]
    assert len(names) == len(set(names)) == len(DECLARED)
    for meter in meters:
        assert re.fullmatch(r"streamlens_(collector|service|job)_[a-z_]+", meter.name)
        assert meter.name.endswith("_total") == (meter.kind == "counter")
        assert meter.name.endswith("_seconds") == (
            meter.kind == "histogram" or "lag_s" in meter.name
        )
        assert meter.text.endswith(".")


def test_the_page_lists_them_all() -> None:
    written = (REPO / "docs" / "metrics.md").read_text()
    assert written == document.page(), "run python -m telemetry.document > docs/metrics.md"
    for meter in DECLARED.values():
        assert f"| `{meter.name}` | {meter.kind} |" in written


def test_routes_are_those_of_the_service() -> None:
    app = create_app(Settings(), Away(), Projects.load(None))
    assert {rule.rule for rule in app.url_map.iter_rules()} == set(metrics.SERVICE_ROUTES)


@given(st.text() | st.integers())
def test_a_value_that_is_not_listed_makes_no_new_series(said: str | int) -> None:
    program = Program("test")
    meter = program.count(
        "calls_total", "Calls.", Label("route", ("/a", "/b")), Label("n", range(3))
    )
    for n in range(200):
        meter.inc(f"{said}{n}", said)
    rows = [s for m in program.registry.collect() for s in m.samples if "test" in s.name]
    assert len(rows) == 1
    assert rows[0].labels["route"] == OTHER
    assert rows[0].value == 200


def test_a_closed_list_is_shown_from_the_start() -> None:
    program = Program("test")
    program.count("calls_total", "Calls.", Label("result", ("hit", "miss")))
    names = [s.labels for m in program.registry.collect() for s in m.samples if "test" in s.name]
    assert names == [{"result": "hit"}, {"result": "miss"}]


def test_the_wrong_number_of_labels_is_a_fault_of_ours() -> None:
    meter = Program("test").count("calls_total", "Calls.", Label("result", ("hit", "miss")))
    with pytest.raises(ValueError, match="zip"):
        meter.inc("hit", "twice")


def test_levels_and_times() -> None:
    program = Program("test")
    level = program.level("sockets", "Open ones.")
    level.move(3)
    level.move(-1)
    assert value(program, "sockets") == 2
    level.follow(lambda: 7)
    assert value(program, "sockets") == 7
    times = program.times("call_seconds", "Calls.")
    times.observe(0.004)
    assert value(program, "call_seconds_bucket", le="0.005") == 1
    assert value(program, "call_seconds_bucket", le="0.0025") == 0
    assert list(SECONDS) == sorted(SECONDS)
