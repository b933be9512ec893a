"""The list of metrics as a page: `python -m telemetry.document > docs/metrics.md`.

A test compares the two.
"""

import sys
from typing import Final

from telemetry.endpoint import COLLECTOR_PORT, JOB_PORT, SERVICE_PORT, SPAN
from telemetry.meters import Label, Meter, Program
from telemetry.metrics import COLLECTOR, JOB, SERVICE

_INTRO: Final = f"""\
# Metrics

Made from [`telemetry/metrics.py`](../telemetry/metrics.py) by `python -m telemetry.document`;
do not edit.

Each process of a program serves `GET /metrics` (Prometheus' text or OpenMetrics) on the first free
port of the {SPAN} from `--metrics_port` on (0: none) of `--metrics_host` (127.0.0.1). It is never
the public port. On another address it has no password: let only your Prometheus reach it. A process
that finds no free port says so in its log, and works on. Scrape the whole range, and add up with
`sum without (instance)`. All programs also show `process_*` (memory, CPU, files, start time).

Counters count what a process did: a bundle of the job that Flink does again after a failure counts
again; the numbers in the stores stay exact. Values of labels are closed lists, anything else is
`other`: no project, key, path or user is among them.
"""
_PORTS: Final = {"collector": COLLECTOR_PORT, "service": SERVICE_PORT, "job": JOB_PORT}
_TITLES: Final = {
    "collector": "The collector, `serving.collector`",
    "service": "The query and push service, `serving.app`",
    "job": "The job's Python workers, `pipelines.main`",
}


def page() -> str:
    """The page, as Markdown."""
    return "\n".join([_INTRO, *(_section(program) for program in (COLLECTOR, SERVICE, JOB))])


def _section(program: Program) -> str:
    first = _PORTS[program.name]
    lines = [
        f"## {_TITLES[program.name]}",
        "",
        f"Ports {first} to {first + SPAN - 1}.",
        "",
        "| name | type | labels | what it is |",
        "|---|---|---|---|",
        *(_row(meter) for meter in program.meters),
        "",
    ]
    return "\n".join(lines)


def _row(meter: Meter) -> str:  # type: ignore[type-arg]
    labels = "; ".join(_label(label) for label in meter.labels)
    return f"| `{meter.name}` | {meter.kind} | {labels} | {meter.text} |"


def _label(label: Label) -> str:
    said = label.said or ", ".join(f"`{value}`" for value in label.values)
    return f"`{label.name}`: {said}"


if __name__ == "__main__":
    sys.stdout.write(page())
