"""Ingestion alone: load generator → collector → Kafka, acknowledged, and nothing lost.

    python -m benchmarks.ingest --per_request 1,10,100,1000 --gzip off,on --seconds 20 --json FILE

For each combination the collector (`python -m serving.collector`, a real process with Valkey for
batch ids) and beside it, as the yardstick, a bare server (`benchmarks.bare`) are sent the same
requests for `--seconds` each, `--rounds` times in turns: `of_bare` is the share of the bare
server's events per second and core that the collector reaches. Requests have keep-alive and a batch
id each; the events are those of `benchmarks.dataset` (some 460 bytes of JSON). `--connections` have
one request under way each; more are needed where requests are small, since each waits for its
message to fill or the linger to end. Processor time is of all from the generator's start to its
end, connections and warming included, over all events acknowledged. Then the topic is read: as many
rows, as much revenue and as many batch ids as were acknowledged, or the run exits with 1.
"""

import argparse
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks import dataset, report, unhindered
from benchmarks.load import Generator, Load, Sent
from deploy.children import PythonChild, answers_ready
from deploy.ports import accepts, free_port
from deploy.services import KafkaServer, ValkeyServer, ensure_topics
from events import batch
from pipelines.log_reader import LogSettings, read_range, spans_of

KEY: Final = "demo-write-key"
BODIES: Final = 8  # different lists of events
CONNECTIONS: Final = {1: 1_024, 10: 1_024, 100: 256, 1_000: 48}  # by events of a request
WARM: Final = 1.5  # seconds
PATIENCE: Final = 60.0


@dataclass(frozen=True)
class Servers:
    """What runs all the time."""

    folder: Path
    kafka: KafkaServer
    valkey: ValkeyServer


@dataclass(frozen=True)
class Events:
    """Some lists of events as JSON, with the truth about each."""

    bodies: list[bytes]
    counts: list[int]
    micros: list[int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run every combination; print a line for each. Exits with 1 when something was lost."""
    options = parser().parse_args(argv)
    runs = []
    machine = report.machine()
    with tempfile.TemporaryDirectory(prefix="ingest-") as folder, ExitStack() as stack:
        root = Path(folder)
        servers = Servers(
            root,
            stack.enter_context(KafkaServer(root / "kafka", free_port(), retain_bytes=-1)),
            stack.enter_context(ValkeyServer(free_port(), root / "valkey", persistence=False)),
        )
        sizes = map(int, options.per_request.split(","))
        for gzip, size in itertools.product(options.gzip.split(","), sizes):
            runs.append(run(servers, options, size, gzip == "on"))
            print(json.dumps(runs[-1]), flush=True)
    exact = all(one["exact"] for one in runs)
    report.write(options.json, report.of_runs(runs, machine))
    return 0 if exact else 1


def parser() -> argparse.ArgumentParser:
    """Its options."""
    made = argparse.ArgumentParser(prog="benchmarks.ingest", description=__doc__)
    made.add_argument("--seconds", type=float, default=20, help="of each round and server")
    made.add_argument("--rounds", type=int, default=2)
    made.add_argument("--per_request", default="1,10,100,1000", help="events of a request")
    made.add_argument("--gzip", default="off,on", help="of the bodies")
    made.add_argument("--connections", type=int, help="0 or none: by the size of requests")
    made.add_argument("--partitions", type=int, default=8)
    made.add_argument("--collector", default="", help="more options of serving.collector")
    made.add_argument("--json", type=Path)
    return made


def run(servers: Servers, options: argparse.Namespace, size: int, gzip: bool) -> dict[str, Any]:
    """One combination, on a topic and a collector of its own."""
    topic = f"events-{size}-{'gzip' if gzip else 'plain'}"
    ensure_topics(servers.kafka.address, {topic: options.partitions})
    events = render(size, int(time.time() * 1_000))
    rounds: dict[str, list[tuple[Sent, report.Meter]]] = {"collector": [], "bare": []}
    with (
        _collector(servers, topic, options.collector.split()) as collector,
        _bare(servers.folder) as bare,
    ):
        for _ in range(options.rounds):
            for server in (collector, bare):
                load = _load(server.port, events, options, size, gzip)
                rounds[server.name].append(_round(servers, server, load))
    sent = [one for one, _ in rounds["collector"]]
    found = stored(servers.kafka.address, topic)
    wanted = expected(events, sent)
    per_core = {name: _per_core(events, made) for name, made in rounds.items()}
    waits = [wait * 1_000 for one in sent for wait in one.waits]
    meters = [meter for _, meter in rounds["collector"]]
    acknowledged = max(wanted["rows"], 1)
    return {
        "per_request": size,
        "gzip": gzip,
        "events_per_second": round(sum(s.events for s in sent) / sum(s.took for s in sent)),
        "events_per_second_and_core": round(per_core["collector"]),
        "bare_per_second_and_core": round(per_core["bare"]),
        "of_bare": round(per_core["collector"] / per_core["bare"], 3),
        "answer_ms": report.percentiles(waits, 1),
        "statuses": dict(sum((one.statuses for one in sent), sent[0].statuses.__class__())),
        "cpu_seconds_per_million": {
            name: round(sum(m.seconds[name] for m in meters) * 1e6 / acknowledged, 4)
            for name in meters[0].seconds
        },
        "peak_mb": max(m.peak_mb["collector"] for m in meters),
        "acknowledged": wanted,
        "stored": found,
        "exact": found == wanted and wanted["rows"] > 0,
    }


def render(size: int, now_ms: int) -> Events:
    """Lists of `size` events that happen about now."""
    shape = dataset.SHAPES[5_000]
    chunks = [dataset.chunk(shape, i, size, now_ms - 2_000, 1_000) for i in range(BODIES)]
    return Events(
        [b",".join(dataset.json_lines(one)) for one in chunks],
        [size] * BODIES,
        [int(one.micros.sum()) for one in chunks],
    )


def expected(events: Events, sent: Sequence[Sent]) -> dict[str, int]:
    """What the topic must hold."""
    times = [(i, count) for one in sent for i, count in one.bodies.items()]
    return {
        "rows": sum(events.counts[i] * count for i, count in times),
        "revenue_micros": sum(events.micros[i] * count for i, count in times),
        "batches": sum(count for _, count in times),
    }


def stored(bootstrap: str, topic: str) -> dict[str, int]:
    """What the topic holds, with the messages that it came in left out."""
    rows = micros = 0
    keys = []
    log = LogSettings(bootstrap, topic)
    for partition, (_, end) in spans_of(log).items():
        for message in read_range(log, partition, since_ms=0, before=end):
            _, found = batch.decode(message.payload)
            rows += found.num_rows
            micros += int(found.column("revenue_micros").to_numpy().sum())
            keys.append(np.unique(found.column("dedup_key").to_numpy()))
    batches = len(np.unique(np.concatenate(keys))) if keys else 0
    return {"rows": rows, "revenue_micros": micros, "batches": batches}


class _Server(PythonChild):
    """A server under load, with the port it listens on."""

    def __init__(self, name: str, folder: Path, port: int, path: str, arguments: list[str]) -> None:
        super().__init__(
            name,
            arguments,
            answers_ready(port, path) if path else lambda _: accepts(port),
            log_path=folder / f"{name}.log",
            environment={},
            ready_within=PATIENCE,
        )
        self.name = name
        self.port = port


def _collector(servers: Servers, topic: str, more: list[str]) -> _Server:
    port = free_port()
    arguments = [
        "serving.collector",
        f"--port={port}",
        f"--kafka_bootstrap={servers.kafka.address}",
        f"--topic={topic}",
        f"--redis_url={servers.valkey.address}",
        f"--metrics_port={free_port()}",
        *unhindered.COLLECTOR,
        *more,
    ]
    return _Server("collector", servers.folder, port, "/readyz", arguments)


def _bare(folder: Path) -> _Server:
    port = free_port()
    return _Server("bare", folder, port, "", ["benchmarks.bare", f"--port={port}"])


def _load(port: int, events: Events, options: argparse.Namespace, size: int, gzip: bool) -> Load:
    connections = options.connections or CONNECTIONS.get(size, 256)
    return Load(port, KEY, events.bodies, events.counts, gzip, connections, WARM, options.seconds)


def _round(servers: Servers, server: _Server, load: Load) -> tuple[Sent, report.Meter]:
    generator = Generator(load)
    meter = report.Meter(
        {
            server.name: server.members,
            "kafka": servers.kafka.members,
            "valkey": servers.valkey.members,
        }
    )
    meter.start()
    time.sleep(WARM + load.seconds / 2)
    meter.look()
    sent = generator.result(load.seconds + 2 * PATIENCE)
    meter.stop()
    meter.seconds["generator"] = sent.cpu
    return sent, meter


def _per_core(events: Events, rounds: Sequence[tuple[Sent, report.Meter]]) -> float:
    """Events per second of a server's own processor time."""
    total = expected(events, [sent for sent, _ in rounds])["rows"]
    name = next(iter(rounds[0][1].seconds))
    return total / max(sum(meter.seconds[name] for _, meter in rounds), 1e-9)


if __name__ == "__main__":
    sys.exit(main())
