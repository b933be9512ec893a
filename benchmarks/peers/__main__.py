"""Our job and the same job by other engines, alternating, round by round: a table of ratios.

    python -m benchmarks.peers --rounds 2 --json FILE            (or `make bench-peers`)

The job: per minute of event time, events and revenue by type, country, device and category, and
distinct users. The data: `benchmarks.dataset`, some 480 bytes an event as JSON, lz4 in Kafka; event
times are as far apart as at `--rate`. That matters to ours, which writes far more per window than
peers do: the fewer events a minute has, the more of an event's cost is that of its windows.
Each engine reads, in the form that it reads best, topics that were filled before; slow ones get
fewer events of the same stream. In a round each reads two topics, a short and a long one. Time runs
from the first events that the broker serves to the last result (see `measure`); the figures are the
differences of the two runs, so start-up and warm-up are in none. Every result is compared with the
truth: counts and revenue exactly, users within 3 % (ours estimates them, the others count them). An
engine that is not exact shows so in the table, and the program exits with 1; so it does when one
did not run.

Ours does more meanwhile: validation, duplicates, every grouping set, sketches per dimension,
10-second and 5-minute windows, early results into Valkey, whose time counts as ours. Peers write
one file at the end. Kafka's time is no engine's.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from benchmarks import report
from benchmarks.dataset import Truth
from benchmarks.flow import Flow
from benchmarks.peers import run as runs
from benchmarks.peers.engines import ENGINES, OURS, Engine
from benchmarks.peers.table import Row, Run, between, markdown, peaks
from benchmarks.peers.topics import CHUNK, PARTITIONS, Stream, Topic, fill_all
from deploy.artifacts import ArtifactError
from deploy.process import StartError
from deploy.services import ensure_topics

_WRONG_SHOWN: Final = 5


def main(argv: Sequence[str] | None = None) -> int:
    """Fill, run the rounds, print the table. 1 when an engine failed or was not exact."""
    options = parser().parse_args(argv)
    wanted = options.only.split(",") if options.only else [engine.key for engine in ENGINES]
    unknown = set(wanted) - {engine.key for engine in ENGINES}
    if unknown:
        parser().error(f"--only: no engine is called {', '.join(sorted(unknown))}")
    engines = [engine for engine in ENGINES if engine.key in wanted]
    machine = report.machine()
    rows = measure(options, engines)
    ours = [engine.name for engine in OURS]
    print(markdown(rows, ours), flush=True)
    report.write(
        options.json, {**result(rows, ours), "machine": machine, "versions": report.versions()}
    )
    return 0 if all(row.exact and not row.failed for row in rows) else 1


def parser() -> argparse.ArgumentParser:
    """Its options."""
    made = argparse.ArgumentParser(
        prog="benchmarks.peers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--rounds", type=int, default=2)
    made.add_argument("--events", type=int, default=3_000_000, help="that Flink SQL reads")
    made.add_argument("--short", type=float, default=0.25, help="of these in the short run")
    made.add_argument(
        "--rate", type=int, default=1_000_000, help="events per second of event time in the topics"
    )
    made.add_argument("--only", default="", help=", ".join(engine.key for engine in ENGINES))
    made.add_argument("--seconds", type=float, default=300, help="an engine gets for one run")
    made.add_argument("--json", type=Path)
    return made


def topic_of(engine: Engine, events: float) -> Topic:
    """What an engine reads; two that read the same share a topic."""
    chunks = max(1, round(events * engine.share / CHUNK))
    return Topic(f"{engine.form}-{chunks}", engine.form, chunks)


def start_ms(topics: Sequence[Topic], per_minute: int, now: float) -> int:
    """When the stream begins: all of it is past, and even the shortest topic is in two windows."""
    longest = max(topic.events for topic in topics)
    shortest = min(topic.events for topic in topics)
    boundary = int(now) // 60 - longest // per_minute - 2
    return boundary * 60_000 - shortest * 30_000 // per_minute


def measure(options: argparse.Namespace, engines: Sequence[Engine]) -> list[Row]:
    """All rounds of all engines; one that fails is not tried again."""
    sizes = (options.events * options.short, options.events)
    topics = {engine.key: [topic_of(engine, size) for size in sizes] for engine in engines}
    different = list({topic for both in topics.values() for topic in both})
    per_minute = 60 * options.rate
    stream = Stream(start_ms(different, per_minute, time.time()), per_minute)
    done: list[Run] = []
    failed: dict[str, str] = {}
    with (
        tempfile.TemporaryDirectory(prefix="peers-") as folder,
        Flow(Path(folder), cluster=False, partitions=PARTITIONS) as flow,
    ):
        ensure_topics(flow.kafka.address, {topic.name: PARTITIONS for topic in different})
        print(f"filling {', '.join(sorted(t.name for t in different))}", file=sys.stderr)
        truths = fill_all(flow.kafka.address, stream, different)
        for number in range(options.rounds):
            for engine in engines:
                if engine.key in failed:
                    continue
                try:
                    both = [
                        _run(options, flow, engine, topic, truths[topic.name], number, folder)
                        for topic in topics[engine.key]
                    ]
                    one = between(*both)
                except (runs.PeerError, ArtifactError, StartError, ValueError) as error:
                    failed[engine.key] = str(error).replace(folder, "")
                    print(f"{engine.name}: {error}", file=sys.stderr, flush=True)
                    continue
                done.append(one)
                print(f"difference: {_line(one)}", file=sys.stderr, flush=True)
    return [
        Row(
            engine.name,
            engine.version(),
            engine.reads,
            tuple(run for run in done if run.engine == engine.name),
            failed.get(engine.key, ""),
        )
        for engine in engines
    ]


def _run(
    options: argparse.Namespace,
    flow: Flow,
    engine: Engine,
    topic: Topic,
    truth: Truth,
    number: int,
    folder: str,
) -> Run:
    measured, wrong = runs.run(flow, engine, topic.name, truth, Path(folder), options.seconds)
    one = Run(engine.name, number, truth.events, measured, tuple(wrong))
    print(_line(one), file=sys.stderr, flush=True)
    return one


def _line(run: Run) -> str:
    verdict = "exact" if not run.wrong else f"{len(run.wrong)} WRONG: {run.wrong[0]}"
    return (
        f"round {run.round + 1}, {run.engine}: {run.events:,} events in {run.measured.wall_s:.1f} s"
        f" = {run.per_second:,.0f}/s, {run.per_core_second:,.0f} per core-second, {verdict}"
    )


def result(rows: Sequence[Row], ours: Sequence[str]) -> dict[str, Any]:
    """The JSON, but for machine and versions. The first figures are our fastest engine's."""
    shown = [run for row in rows if row.engine in ours for run in row.runs]
    best = max(shown, key=lambda run: run.per_second, default=None)
    return {
        "events_per_second": None if best is None else round(best.per_second),
        "cpu_seconds_per_million": {} if best is None else per_million(best),
        "exact": all(row.exact for row in rows),
        "rows": [
            {
                "engine": row.engine,
                "version": row.version,
                "input": row.form,
                "failed": row.failed,
                "exact": row.exact,
                "runs": [
                    {
                        "round": run.round + 1,
                        "events": run.events,
                        "events_per_second": round(run.per_second),
                        "events_per_core_second": round(run.per_core_second),
                        "cpu_seconds_per_million": per_million(run),
                        "peak_mb": sum(peaks(run.measured.peak_mb)),
                        "measured": asdict(run.measured),
                        "wrong": run.wrong[:_WRONG_SHOWN],
                    }
                    for run in row.runs
                ],
            }
            for row in rows
        ],
    }


def per_million(run: Run) -> dict[str, float]:
    """CPU-seconds per million events, by part; Kafka's too."""
    return {part: round(s * 1e6 / run.events, 4) for part, s in run.measured.cpu_s.items()}


if __name__ == "__main__":
    sys.exit(main())
