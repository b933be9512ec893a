"""The engines: what each reads, in which version, and how it is run."""

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

from benchmarks.peers.environments import ensure_flink_sql, ensure_venv, lock
from deploy.artifacts import ensure_jars

_EVENT_BATCHES: Final = "EventBatches of ~1,000"
_LINES: Final = "messages of ~1,000 JSON lines"
_EVENTS: Final = "a JSON event per message"
_SCRIPTS: Final = Path(__file__).resolve().parent / "scripts"
_POM: Final = Path(__file__).resolve().parent / "flink" / "pom.xml"
_OPENS: Final = ("java.lang", "java.util", "java.nio", "java.time")


@dataclass(frozen=True)
class Engine:
    """`share`: how much of `--events` its topic holds; slow engines get less of the stream."""

    key: str  # for --only
    name: str
    form: str  # of its messages
    share: float
    reads: str  # for people
    version: Callable[[], str]
    command: Callable[[str, str, Path], list[str]] | None = None  # (bootstrap, topic, result)


def ours_version() -> str:
    """Beam's, which is what we run on."""
    return f"Beam {metadata.version('apache-beam')}"


def flink_version() -> str:
    """Of the pom."""
    found = re.search(r"<flink.version>([^<]+)<", _POM.read_text())
    if found is None:
        raise ValueError(f"{_POM} names no version of Flink")
    return found[1]


def _locked(name: str) -> Callable[[], str]:
    def version() -> str:
        pinned = re.search(rf"^{name}==(\S+)", lock(name).read_text(), re.MULTILINE)
        if pinned is None:
            raise ValueError(f"{lock(name).name} pins no {name}")
        return pinned[1]

    return version


def _flink_sql(bootstrap: str, topic: str, out: Path) -> list[str]:
    opens = (f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in _OPENS)
    return [
        "java", "-Xmx2g", "-XX:+UseParallelGC", *opens,
        "-cp", f"{ensure_flink_sql()}/*", "streamlens.peers.FlinkSql",
        bootstrap, topic, str(out), "2",
    ]  # fmt: skip


def _beam(bootstrap: str, topic: str, out: Path) -> list[str]:
    jar = ensure_jars().flink_job_server
    script = "benchmarks.peers.scripts.beam_job"
    return [sys.executable, "-m", script, bootstrap, topic, str(out), str(jar)]


def _script(name: str) -> Callable[[str, str, Path], list[str]]:
    def command(bootstrap: str, topic: str, out: Path) -> list[str]:
        script = str(_SCRIPTS / f"{name}_job.py")
        return [str(ensure_venv(name)), script, bootstrap, topic, str(out)]

    return command


ENGINES: Final = (
    Engine("ours-arrow", "ours, Arrow", "arrow", 8, _EVENT_BATCHES, ours_version),
    Engine("ours-ndjson", "ours, NDJSON", "ndjson", 2.5, _LINES, ours_version),
    Engine("flink-sql", "Flink SQL", "json", 1, _EVENTS, flink_version, _flink_sql),
    Engine("pathway", "Pathway", "json", 1, _EVENTS, _locked("pathway"), _script("pathway")),
    Engine("bytewax", "Bytewax", "ndjson", 0.3, _LINES, _locked("bytewax"), _script("bytewax")),
    Engine("beam", "Beam, an element per event", "json", 0.3, _EVENTS, ours_version, _beam),
)
OURS: Final = tuple(engine for engine in ENGINES if engine.command is None)
