"""The table of limits in docs/operations.md is the settings'."""

from dataclasses import fields
from pathlib import Path
from types import ModuleType

import pytest

from events.reasons import REQUEST_ERRORS
from serving import settings as service
from serving.ingest import settings as collector
from telemetry.metrics import COLLECTOR_LIMITED, SERVICE_LIMITED

DOCS = Path(__file__).resolve().parents[3] / "docs" / "operations.md"


def rows(program: str, module: ModuleType) -> list[str]:
    """A program's lines of the table, as they must be."""
    defaults = {item.name: item.default for item in fields(module.Settings)}
    return [
        f"| {program} | `--{name}` | {defaults[name]:,} | {module.HELP[name]} | `{code}` |"
        for name, code in module.LIMITS.items()
    ]


def test_the_table_has_every_limit_as_it_is():
    wanted = rows("service", service) + rows("collector", collector)
    lines = DOCS.read_text().splitlines()
    shown = [line for line in lines if line.startswith(("| service | `--", "| collector | `--"))]
    assert shown == wanted


@pytest.mark.parametrize("module", [service, collector])
def test_limits_are_settings_and_their_codes_are_declared(module: ModuleType):
    assert set(module.LIMITS) <= {item.name for item in fields(module.Settings)}
    assert {REQUEST_ERRORS[code].status for code in module.LIMITS.values()} == {429}
    limited = {item.name for item in fields(module.Settings) if item.name.endswith(("_ip", "_key"))}
    assert limited == set(module.LIMITS)


def test_refusals_are_counted_by_every_limit():
    for meter, module in ((SERVICE_LIMITED, service), (COLLECTOR_LIMITED, collector)):
        (label,) = meter.labels
        assert list(label.values) == [n for n in module.LIMITS if not n.startswith("burst")]
