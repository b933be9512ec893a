"""The pipeline alone: a filled Kafka topic → pipelines.main on Flink → Valkey, exact.

    python -m benchmarks.hot_path --form arrow --cluster --workers 2 --seconds 60 --json FILE

The topic is filled before the job starts (see `benchmarks.dataset`: 60 countries, 4 devices, 20
categories, 5 types, a million users, Zipf), with `--seconds` times `--fill_rate` events whose times
are as far apart as they would be at `--fill_rate`. Then the job reads it all. The rate is that from
the first count in the store to the last; processor time, memory and checkpoints are of that span.
After it, `--live` seconds of traffic at `--live_share` of that rate: how long after its
acknowledgement by Kafka an event is in the store (the curve of what is stored against the curve of
what was acknowledged). A run whose counts are not the truth exits with 1.

`--form`, `--series`, `--partitions` and `--workers` take several values, comma-separated, and each
combination is run.
"""

import argparse
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks import dataset, fill, report
from benchmarks.dataset import PROJECT, SHAPES, USERS_WITHIN, Truth
from benchmarks.fill import FORMS, Plan
from benchmarks.flow import Flow
from stores.contract import HOUR

LOOK: Final = 0.1  # seconds between two looks at the store
TICK: Final = 0.05  # seconds of traffic in a message, when it is live
SETTLE: Final = 20.0  # seconds
STALLED: Final = 120.0  # seconds without a new count


def main(argv: Sequence[str] | None = None) -> int:
    """Run every combination; print a line for each. Exits with 1 when a count is wrong."""
    options = parser().parse_args(argv)
    runs = []
    machine = report.machine()
    combinations = itertools.product(
        options.form.split(","),
        map(int, options.series.split(",")),
        map(int, options.partitions.split(",")),
        map(int, options.workers.split(",")),
    )
    for form, series, partitions, workers in combinations:
        runs.append(run(options, form, series, partitions, workers))
        shown = {name: value for name, value in runs[-1].items() if name != "curve"}
        print(json.dumps(shown), flush=True)
    exact = all(one["exact"] for one in runs)
    report.write(options.json, report.of_runs(runs, machine))
    return 0 if exact else 1


def parser() -> argparse.ArgumentParser:
    """Its options."""
    made = argparse.ArgumentParser(prog="benchmarks.hot_path", description=__doc__)
    made.add_argument("--seconds", type=float, default=60, help="of traffic at --fill_rate")
    made.add_argument("--fill_rate", type=int, default=1_000_000, help="events per second")
    made.add_argument("--form", default="arrow", help=f"of {', '.join(FORMS)}")
    made.add_argument("--series", default="5000", help=f"of {', '.join(map(str, SHAPES))}")
    made.add_argument("--partitions", default="8")
    made.add_argument("--workers", default="1", help="Python workers; 2 need --cluster")
    made.add_argument("--cluster", action="store_true", help="standalone Flink, with checkpoints")
    made.add_argument("--checkpoint_ms", type=int, default=10_000)
    made.add_argument("--spares", type=int, default=0, help="workers that the cluster keeps ready")
    made.add_argument("--message_events", type=int, default=1_000)
    made.add_argument("--live", type=float, default=20, help="seconds of live traffic; 0: none")
    made.add_argument("--live_share", type=float, default=0.5, help="of the rate before")
    made.add_argument("--job", default="", help="more options of pipelines.main")
    made.add_argument("--json", type=Path)
    return made


def run(
    options: argparse.Namespace, form: str, series: int, partitions: int, workers: int
) -> dict[str, Any]:
    """One combination, on servers of its own."""
    with (
        tempfile.TemporaryDirectory(prefix="hot-path-") as folder,
        Flow(
            Path(folder),
            cluster=options.cluster,
            workers=workers,
            partitions=partitions,
            checkpoint_ms=options.checkpoint_ms,
            spares=options.spares,
        ) as flow,
    ):
        plan = _plan(options, form, series, partitions)
        filled = time.monotonic()
        truth = fill.fill(flow.kafka.address, plan)
        filled = time.monotonic() - filled
        began = time.monotonic()
        flow.start_job(*options.job.split())
        found = _drain(flow, truth, began)
        rate = found["events_per_second"]
        wrong = _settled(flow, truth)
        live = {}
        if options.live and not wrong:
            live = _live(flow, plan, rate * options.live_share, options.live)
        return {
            "form": form,
            "series": series,
            "partitions": partitions,
            "workers": workers,
            "flink": "standalone" if options.cluster else "embedded",
            "filled_s": round(filled, 1),
            **found,
            "exact": not wrong and live.get("exact", True),
            "wrong": wrong[:5],
            "live": live,
        }


def _plan(options: argparse.Namespace, form: str, series: int, partitions: int) -> Plan:
    span = int(options.seconds * 1000)
    start = int(time.time() * 1000) // 60_000 * 60_000 - span // 60_000 * 60_000 - 60_000
    return Plan(
        SHAPES[series],
        int(options.seconds * options.fill_rate),
        start,
        span,
        form,
        options.message_events,
        partitions,
    )


def _drain(flow: Flow, truth: Truth, began: float) -> dict[str, Any]:
    """Wait until all is counted; what that took from the first count on."""
    meter = report.Meter(flow.parts())
    first, end = min(truth.measures), max(truth.measures) + 60
    curve: list[tuple[float, int]] = []
    checkpoints: dict[int, dict[str, Any]] = {}
    last_look = 0.0
    while (counted := flow.counted(first, end)) < truth.events:
        now = time.monotonic()
        if counted and not curve:
            meter.start()
        if counted and (not curve or counted > curve[-1][1]):
            curve.append((now, counted))
        if now - (curve[-1][0] if curve else began) > STALLED:
            break
        if curve and now - last_look > 1.0:
            last_look = now
            meter.look()
            done = flow.checkpoint()
            if done is not None:
                checkpoints[done["id"]] = done
        time.sleep(LOOK)
    if not curve:
        raise RuntimeError(f"{counted:,} events by the first look: nothing to measure; --seconds")
    meter.stop()
    curve.append((time.monotonic(), counted))
    (since, before), (until, after) = curve[0], curve[-1]
    events = after - before
    return {
        "events": truth.events,
        "first_pane_s": round(since - began, 1),
        "measured_s": round(until - since, 1),
        "events_per_second": round(events / max(until - since, 1e-9)),
        "cpu_seconds_per_million": meter.per_million(events),
        "peak_mb": meter.peak_mb,
        "checkpoint_bytes": [c["state_size"] for _, c in sorted(checkpoints.items())],
        "checkpoint_ms": [c["end_to_end_duration"] for _, c in sorted(checkpoints.items())],
        "curve": [(round(at - since, 2), count) for at, count in curve],
    }


def _settled(flow: Flow, truth: Truth) -> list[str]:
    """The differences that stay: other grouping sets may be a refresh behind the total."""
    deadline = time.monotonic() + SETTLE
    while (wrong := differences(flow, truth)) and time.monotonic() < deadline:
        time.sleep(0.5)
    return wrong


def differences(flow: Flow, truth: Truth) -> list[str]:
    """Where the store and the truth differ: total and single dimensions exactly, users about."""
    shape = truth.shape
    first, end = min(truth.measures), max(truth.measures) + 60
    named: list[tuple[tuple[str, ...], list[tuple[str, ...]]]] = [
        ((), [()]),
        (("country",), [(name,) for name in dataset.countries(shape)]),
        (("device",), [(name,) for name in dataset.DEVICES[: shape.devices]]),
        (("category",), [(name,) for name in dataset.categories(shape)]),
    ]
    wrong = []
    for grouping, series in named:
        stored = flow.store.many(PROJECT, grouping, series, first, end)
        for place, (values, minutes) in enumerate(zip(series, stored, strict=True)):
            for minute in truth.measures:
                wanted = truth.of(minute, grouping[0] if grouping else None, place)
                held = minutes[(minute - first) // 60].tolist()
                if held != wanted:
                    wrong.append(f"{values} at {minute}: {held}, not {wanted}")
    for minute, users in truth.users_by_minute().items():
        counted = flow.users(minute)
        if abs(counted - users) > USERS_WITHIN * users:
            wrong.append(f"users at {minute}: {counted}, not {users}")
    return wrong


def _live(flow: Flow, plan: Plan, rate: float, seconds: float) -> dict[str, Any]:
    """Traffic as it comes: how long an event takes from Kafka's word to the store."""
    start = int(time.time()) // 60 * 60
    before = flow.counted(start, start + HOUR)
    context = get_context("spawn")
    queue: Any = context.Queue()
    sender = context.Process(
        target=_send, args=(flow.kafka.address, plan, rate, seconds, queue), daemon=True
    )
    sender.start()
    seen: list[tuple[float, int]] = []
    sent: list[tuple[float, int]] | None = None
    total, deadline = None, time.monotonic() + seconds + 120
    meter = report.Meter(flow.parts())
    meter.start()
    while time.monotonic() < deadline:
        counted = flow.counted(start, start + HOUR) - before
        if not seen or counted > seen[-1][1]:
            seen.append((time.time(), counted))
        if sent is None and not queue.empty():
            sent = queue.get()
            total = sent[-1][1]
        if total is not None and counted >= total:
            break
        time.sleep(0.02)
    meter.stop()
    if sent is None or total is None:
        raise RuntimeError("the sender did not end")
    sender.join()
    took = sent[-1][0] - sent[0][0]
    waits = list(_waits(sent, seen))
    return {
        "wanted": round(rate),
        "events_per_second": round(total / max(took, 1e-9)),
        "event_to_store_s": report.percentiles(waits),
        "cpu_seconds_per_million": meter.per_million(total),
        "exact": seen[-1][1] == total,
    }


def _waits(sent: list[tuple[float, int]], seen: list[tuple[float, int]]) -> Iterator[float]:
    """For each acknowledgement, when as much was in the store."""
    counts = np.array([count for _, count in seen])
    for at, count in sent:
        place = int(np.searchsorted(counts, count))
        if place < len(seen):
            yield max(0.0, seen[place][0] - at)


def _send(bootstrap: str, plan: Plan, rate: float, seconds: float, queue: Any) -> None:
    """A message for each partition every TICK; when each was acknowledged, counts added up."""
    into = fill.producer(bootstrap, plan.form)
    acknowledged: list[tuple[float, int]] = []
    size = max(plan.partitions, int(rate * TICK))
    # What is made once is made before the start.
    list(fill.messages(dataset.chunk(plan.shape, 0, 1, 0, 1), plan.form))
    total = 0
    began = time.time()
    for index in itertools.count():
        due = began + index * TICK
        if due > began + seconds:
            break
        time.sleep(max(0.0, due - time.time()))
        now = int(time.time() * 1000)
        events = dataset.chunk(plan.shape, 1_000_000 + index, size, now - 50, 50)
        for partition, part in events.parts(plan.partitions):
            for payload, count in fill.messages(part, plan.form):

                def told(error: Any, _: Any, count: int = count) -> None:
                    nonlocal total
                    if error is None:
                        total += count
                        acknowledged.append((time.time(), total))

                head = fill.headers(plan.form, count)
                fill.produce(into, plan.topic, partition, payload, head, told)
        into.poll(0)
    into.flush(30)
    queue.put(acknowledged)


if __name__ == "__main__":
    sys.exit(main())
