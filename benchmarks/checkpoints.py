"""Whether checkpoints stay as large as they are: the whole product on standalone Flink.

    python -m benchmarks.checkpoints --seconds 1800 --json FILE

Kafka, Valkey, ClickHouse, a Flink cluster and the job with raw events, a checkpoint every 5 s, and
demo traffic at `--rate`. What a window holds is kept until its lateness is over, an hour by
default, so here lateness is `--lateness` seconds and `--settle` seconds pass before the first look.
Then each checkpoint is a line: minutes, bytes, and how many names the readers' self-checkpoints
have in it (apache/beam#27648: each had one of its own, for ever). At the end the growth per minute,
from the first third to the last, and that of each part of the job.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple
from urllib.parse import urlsplit

from deploy.children import PythonChild
from deploy.flink_rest import FlinkRest, self_checkpoint_names
from tests.chaos.stack import Stack


class Look(NamedTuple):
    """One completed checkpoint."""

    minutes: float  # since the first look
    size: int  # bytes
    names: int | None  # None: it was gone before it was read
    parts: dict[str, int]  # step of the job → bytes


def main(argv: Sequence[str] | None = None) -> int:
    """Start everything, look at each checkpoint, print them and the growth."""
    parser = argparse.ArgumentParser(prog="benchmarks.checkpoints", description=__doc__)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--settle", type=int, default=420)
    parser.add_argument("--rate", type=float, default=50, help="events per second; 0: none")
    parser.add_argument("--lateness", type=int, default=60, help="seconds")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(argv)
    looks: list[Look] = []
    with (
        tempfile.TemporaryDirectory(prefix="checkpoints-") as folder,
        Stack(Path(folder), lateness=options.lateness) as stack,
    ):
        demo = _demo(stack, options.rate)
        if options.rate:
            demo.start()
        try:
            time.sleep(options.settle)
            for look in _looks(stack.cluster.rest, stack.running(), options.seconds):
                looks.append(look)
                print(f"{look.minutes:6.2f} min {look.size:11,} bytes {look.names} names")
                sys.stdout.flush()
        finally:
            demo.stop()
    grown = _growth(looks, [look.size for look in looks])
    names = _ends([look.names for look in looks if look.names is not None])
    parts = {
        part: _growth(looks, [look.parts.get(part, 0) for look in looks])
        for part in sorted({part for look in looks for part in look.parts})
    }
    for part, growth in parts.items():
        print(f"{growth:+9.4f} MB/min  {part}")
    print(f"{grown:+9.4f} MB/min in all; names {names}")
    if options.json:
        result = {
            "mb_per_minute": grown,
            "names": names,
            "bytes": _ends([look.size for look in looks]),
            "parts_mb_per_minute": parts,
            "options": {name: value for name, value in vars(options).items() if name != "json"},
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "checkpoints": [look._asdict() for look in looks],
        }
        options.json.write_text(json.dumps(result, indent=1))
    return 0


def _demo(stack: Stack, rate: float) -> PythonChild:
    """Simulated visitors, of whom there is nothing to wait for."""
    return PythonChild(
        "demo",
        ["deploy.demo", f"--url=http://127.0.0.1:{stack.ports[0]}", f"--rate={rate or 1}"],
        lambda _: True,
        log_path=stack.folder / "demo.log",
        environment={},
        ready_within=30,
    )


def _looks(rest: FlinkRest, job: str, seconds: float) -> Iterator[Look]:
    """Every completed checkpoint of that time."""
    names = {one["id"]: one["name"] for one in rest.ask(f"/jobs/{job}")["vertices"]}
    began, last = time.time(), -1
    while (now := time.time()) < began + seconds:
        time.sleep(0.5)
        done = rest.completed(job)
        if done is None or done["id"] == last:
            continue
        last = done["id"]
        tasks = rest.ask(f"/jobs/{job}/checkpoints/details/{last}")["tasks"]
        parts = {names[vertex][:120]: task["state_size"] for vertex, task in tasks.items()}
        yield Look((now - began) / 60, done["state_size"], _count(done["external_path"]), parts)


def _count(url: str) -> int | None:
    try:
        return len(self_checkpoint_names(Path(urlsplit(url).path)))
    except FileNotFoundError:  # a newer one has replaced it
        return None


def _growth(looks: Sequence[Look], sizes: Sequence[int]) -> float:
    """MB a minute between the means of the first and of the last third."""
    third = len(looks) // 3
    if not third:
        return 0.0
    grown = fmean(sizes[-third:]) - fmean(sizes[:third])
    minutes = [look.minutes for look in looks]
    return round(grown / (fmean(minutes[-third:]) - fmean(minutes[:third])) / 1e6, 5)


def _ends(values: Sequence[int]) -> dict[str, int]:
    """Where it began and ended, and its largest."""
    if not values:
        return {}
    return {"first": values[0], "last": values[-1], "largest": max(values)}


if __name__ == "__main__":
    sys.exit(main())
