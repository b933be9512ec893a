"""Half of what it can do, for half an hour: does anything grow?

    python -m benchmarks.soak --seconds 1800 --json FILE

Kafka, Valkey, ClickHouse, a Flink cluster with a checkpoint every 5 s, the job with raw events, two
collectors, the service. First the capacity is found: rising rates of `--rates`, the last that is
kept up with (see `benchmarks.chain`). Then `--share` of it (or `--rate`) flows, `--settle` seconds
before the first look. What a window holds is kept until its lateness is over, an hour by default,
so here lateness is `--lateness` seconds.

Each completed checkpoint is a line: minutes, bytes, how many names the readers' self-checkpoints
have in it (apache/beam#27648: each had one of its own, for ever), and the resident memory of the
parts. At the end the growth per minute, between the means of the first and of the last third, of
the checkpoints, of each step's share in them, and of the memory; and whether all was counted.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import NamedTuple
from urllib.parse import urlsplit

from benchmarks import chain
from deploy.flink_rest import FlinkRest, self_checkpoint_names
from tests.chaos.stack import Stack

PROBE_SECONDS = 30  # of each rate, to find the capacity


class Look(NamedTuple):
    """One completed checkpoint, and the memory at that moment."""

    minutes: float  # since the load began
    size: int  # bytes
    names: int | None  # None: it was gone before it was read
    parts: dict[str, int]  # step of the job → bytes
    memory: dict[str, int]  # process → MB


def main(argv: Sequence[str] | None = None) -> int:
    """Start everything, find the capacity, load, look. Exits with 1 when a count is wrong."""
    parser = argparse.ArgumentParser(prog="benchmarks.soak", description=__doc__)
    parser.add_argument("--seconds", type=int, default=1_800, help="of looking")
    parser.add_argument("--settle", type=int, default=420)
    parser.add_argument("--rates", default="2000,4000,8000,12000,16000,24000,32000")
    parser.add_argument("--share", type=float, default=0.5, help="of the capacity")
    parser.add_argument("--rate", type=float, help="events per second, in place of the two")
    parser.add_argument("--lateness", type=int, default=60, help="seconds")
    parser.add_argument("--per_request", type=int, default=200)
    parser.add_argument("--grace", type=float, default=10.0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(argv)
    looks: list[Look] = []
    with (
        tempfile.TemporaryDirectory(prefix="soak-") as folder,
        Stack(Path(folder), lateness=options.lateness) as stack,
    ):
        probe = _target(options, stack, PROBE_SECONDS)
        steps, capacity = ([], 0) if options.rate else chain.climb(probe, options.rates)
        rate = options.rate or options.share * capacity
        print(f"capacity {capacity:,} events/s; now {rate:,.0f}", flush=True)
        load = _target(options, stack, options.settle + options.seconds)
        watch = partial(_watch, stack, options, looks)
        result = chain.play(load, rate, watch)
    print(json.dumps(result))
    growth = {"checkpoint": _growth(looks, [look.size / 1e6 for look in looks])}
    growth |= {f"checkpoint: {p}": _growth(looks, _sizes(looks, p)) for p in _parts(looks)}
    growth |= {f"memory: {p}": _growth(looks, _memory(looks, p)) for p in looks[0].memory}
    ends = {
        "checkpoint bytes": _ends([look.size for look in looks]),
        "names": _ends([look.names for look in looks if look.names is not None]),
        **{f"MB of {p}": _ends(_memory(looks, p)) for p in looks[0].memory},
    }
    for name, grown in growth.items():
        print(f"{grown:+9.4f} MB/min  {name}")
    for name, values in ends.items():
        print(f"{name}: {values}")
    if options.json:
        written = {
            "events_per_second": result["events_per_second"],
            "exact": result["exact"],
            "capacity": capacity,
            "load": result,
            "mb_per_minute": growth,
            "ends": ends,
            "steps": steps,
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "looks": [look._asdict() for look in looks],
        }
        options.json.write_text(json.dumps(written, indent=1))
    return 0 if result["exact"] else 1


def _target(options: argparse.Namespace, stack: Stack, seconds: int) -> argparse.Namespace:
    """What `chain.play` needs to know."""
    return argparse.Namespace(
        collector=f"http://127.0.0.1:{stack.ports[0]}",
        service=f"http://127.0.0.1:{stack.service_port}",
        seconds=seconds,
        per_request=options.per_request,
        grace=options.grace,
    )


def _watch(stack: Stack, options: argparse.Namespace, looks: list[Look]) -> None:
    began = time.time()
    time.sleep(options.settle)
    for look in _looks(stack, began, options.seconds):
        looks.append(look)
        memory = ", ".join(f"{name} {size}" for name, size in look.memory.items())
        print(f"{look.minutes:6.2f} min {look.size:11,} bytes {look.names} names; MB: {memory}")
        sys.stdout.flush()


def _looks(stack: Stack, began: float, seconds: float) -> Iterator[Look]:
    """Every completed checkpoint of so many seconds; `began` is when minutes are counted from."""
    rest: FlinkRest = stack.cluster.rest
    job = stack.running()
    names = {one["id"]: one["name"] for one in rest.ask(f"/jobs/{job}")["vertices"]}
    end, last = time.time() + seconds, -1
    while (now := time.time()) < end:
        time.sleep(0.5)
        done = rest.completed(job)
        if done is None or done["id"] == last:
            continue
        last = done["id"]
        tasks = rest.ask(f"/jobs/{job}/checkpoints/details/{last}")["tasks"]
        parts = {names[vertex][:120]: task["state_size"] for vertex, task in tasks.items()}
        count = _count(done["external_path"])
        yield Look((now - began) / 60, done["state_size"], count, parts, stack.memory())


def _count(url: str) -> int | None:
    try:
        return len(self_checkpoint_names(Path(urlsplit(url).path)))
    except FileNotFoundError:  # a newer one has replaced it
        return None


def _parts(looks: Sequence[Look]) -> list[str]:
    return sorted({part for look in looks for part in look.parts})


def _sizes(looks: Sequence[Look], part: str) -> list[float]:
    return [look.parts.get(part, 0) / 1e6 for look in looks]


def _memory(looks: Sequence[Look], part: str) -> list[int]:
    return [look.memory.get(part, 0) for look in looks]


def _growth(looks: Sequence[Look], values: Sequence[float]) -> float:
    """A minute, between the means of the first and of the last third."""
    third = len(looks) // 3
    if not third:
        return 0.0
    grown = fmean(values[-third:]) - fmean(values[:third])
    minutes = [look.minutes for look in looks]
    return round(grown / (fmean(minutes[-third:]) - fmean(minutes[:third])), 5)


def _ends(values: Sequence[int]) -> dict[str, int]:
    """Where it began and ended, and its largest."""
    if not values:
        return {}
    return {"first": values[0], "last": values[-1], "largest": max(values)}


if __name__ == "__main__":
    sys.exit(main())
