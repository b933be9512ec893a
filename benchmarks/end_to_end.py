"""Event to screen: HTTP → collector → Kafka → pipelines.main → Valkey → service → WebSocket.

    python -m benchmarks.end_to_end --seconds 60 --collectors 2 --json FILE

All parts run as `make run` starts them, and the load generator and the screens beside them on the
same machine, each named in the processor time. First the capacity: requests as fast as the
collectors take them for `--seconds`. It is kept up with when the store has the last event within
`--grace` seconds after its acknowledgement; if not, lower rates are tried. Then an open loop at
each of `--shares` of that, and where the time goes, of every event:

    acked_s     from the moment its request was sent (or due) to the 202
    stored_s    from there until the hot store has it
    shown_s     from there until a WebSocket client has received a push that has it
    screen_s    from the moment it was sent to the push: event to screen
    probe_s     the same of single events, some a second, followed one by one on a filtered screen

Waits after the 202 are those between curves of counts (see `benchmarks.curves`), but for probes;
the store is looked at every 20 ms. `cores` are processors in use by each part. Event time is when
the request is sent. At the end all that was acknowledged must be in the store and on the screens,
in events and in revenue: else the run exits with 1.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks import report
from benchmarks.bodies import PROBE
from benchmarks.curves import curve
from benchmarks.dataset import PROJECT, SHAPES
from benchmarks.flow import Flow
from benchmarks.product import READ_KEY, WRITE_KEY, Product
from benchmarks.screen import Filter, Screens
from benchmarks.sender import Load, Sender, Target
from benchmarks.verdict import judge, stages
from stores.contract import HOUR
from stores.pane import MEASURES

LOOK: Final = 0.02  # seconds between two looks at the store
SETTLE: Final = 120.0  # seconds that the last event may take until it is lost
LOWER: Final = 0.85  # the next rate that is tried, of the one that was too much
TRIES: Final = 5
MICROS: Final = MEASURES.index("revenue_micros")


@dataclass
class Bench:
    """What runs, and what was acknowledged so far: the truth."""

    product: Product
    sender: Sender
    screens: Screens
    first: int  # the minute that nothing is before
    events: int = 0
    micros: int = 0
    probes: int = 0  # of the events
    pushes: int = 0  # to the screens

    def truth(self) -> list[int]:
        """Events that each screen should show in the end: the totals', and the probes'."""
        return [self.events] * (len(self.screens.filters) - 1) + [self.probes]

    def stored(self) -> tuple[int, int]:
        """Events and revenue that the hot store has."""
        store = self.product.flow.store
        rows = store.series(PROJECT, (), (), self.first, int(time.time()) + HOUR)
        return int(rows[:, 0].sum()), int(rows[:, MICROS].sum())

    def meter(self) -> report.Meter:
        """Of every process, ours too."""
        return report.Meter(
            {
                "generator": self.sender.pids,
                **self.product.parts(),
                "screens": self.screens.pids,
                "watcher": lambda: [os.getpid()],
            }
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Find the capacity, play the shares; a line for each. Exits with 1 when a count is wrong."""
    options = parser().parse_args(argv)
    machine = report.machine()
    with (
        tempfile.TemporaryDirectory(prefix="end-to-end-") as folder,
        ExitStack() as stack,
    ):
        bench = start(options, Path(folder), stack)
        play(bench, Load(options.warm, options.warm_rate), options.grace)
        steps = [_told(step) for step in _capacity(bench, options)]
        kept = [step["events_per_second"] for step in steps if step["kept_up"]]
        capacity = options.capacity or max(kept, default=0)
        loads = [_told(load) for load in _loads(bench, options, capacity)] if capacity else []
        wrong = differences(bench)
    result = {
        "events_per_second": capacity,
        "cpu_seconds_per_million": (steps or loads)[-1]["cpu_seconds_per_million"],
        "exact": not wrong,
        "wrong": wrong,
        "per_request": options.per_request,
        "collectors": options.collectors,
        "flink": "standalone" if options.cluster else "embedded",
        "screens": options.screens,
        "loads": loads,
        "capacity_steps": steps,
        "machine": machine,
        "versions": report.versions(),
    }
    report.write(options.json, result)
    print(f"capacity {capacity:,.0f} events/s; exact: {not wrong} {'; '.join(wrong)}")
    return 1 if wrong else 0


def parser() -> argparse.ArgumentParser:
    """Its options."""
    made = argparse.ArgumentParser(
        prog="benchmarks.end_to_end",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--seconds", type=float, default=60, help="of each load")
    made.add_argument("--shares", default="0.1,0.5,0.9", help="of the capacity")
    made.add_argument("--capacity", type=float, default=0, help="events/s; do not look for it")
    made.add_argument("--grace", type=float, default=5.0, help="seconds behind that are kept up")
    made.add_argument("--warm", type=float, default=15, help="seconds before all that")
    made.add_argument("--warm_rate", type=float, default=20_000, help="events per second")
    made.add_argument("--per_request", type=int, default=1_000, help="events")
    made.add_argument("--connections", type=int, default=32, help="requests under way at most")
    made.add_argument("--collectors", type=int, default=1)
    made.add_argument("--screens", type=int, default=1, help="WebSocket clients, of the total")
    made.add_argument("--series", type=int, default=5_000, help=f"of {sorted(SHAPES)}")
    made.add_argument("--cluster", action="store_true", help="standalone Flink, with checkpoints")
    made.add_argument("--workers", type=int, default=1, help="Python workers; 2 need --cluster")
    made.add_argument("--checkpoint_ms", type=int, default=10_000)
    made.add_argument("--job", default="", help="more options of pipelines.main")
    made.add_argument("--collector", default="", help="of serving.collector")
    made.add_argument("--service", default="", help="of serving.app")
    made.add_argument("--json", type=Path)
    return made


def start(options: argparse.Namespace, folder: Path, stack: ExitStack) -> Bench:
    """Everything, up and idle; `stack` ends it."""
    flow = Flow(
        folder,
        cluster=options.cluster,
        workers=options.workers,
        checkpoint_ms=options.checkpoint_ms,
    )
    product = Product(
        folder,
        flow,
        collectors=options.collectors,
        job=tuple(options.job.split()),
        collector=tuple(options.collector.split()),
        service=tuple(options.service.split()),
    )
    stack.enter_context(flow)
    stack.enter_context(product)
    target = Target(
        product.ports, WRITE_KEY, SHAPES[options.series], options.per_request, options.connections
    )
    sender = stack.enter_context(Sender(target))
    filters: list[Filter] = [*({} for _ in range(options.screens)), {"category": PROBE}]
    screens = stack.enter_context(Screens(product.service_port, READ_KEY, filters))
    return Bench(product, sender, screens, int(time.time()) // 60 * 60 - 60)


def _capacity(bench: Bench, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """As fast as it is taken, then lower rates, to the first that is kept up with."""
    rate = None
    for _ in range(0 if options.capacity else TRIES):
        step = play(bench, Load(options.seconds, rate), options.grace)
        yield step
        if step["kept_up"] or not step["exact"]:
            return
        rate = LOWER * min(step["events_per_second"], step["stored_per_second"])


def _loads(bench: Bench, options: argparse.Namespace, capacity: float) -> Iterator[dict[str, Any]]:
    """An open loop at each share, to the first after which something is missing."""
    for share in map(float, options.shares.split(",")):
        load = play(bench, Load(options.seconds, share * capacity), options.grace)
        yield {"share": share, **load}
        if not load["exact"]:
            return


def _told(result: dict[str, Any]) -> dict[str, Any]:
    print(json.dumps(result), flush=True)
    return result


def play(bench: Bench, load: Load, grace: float) -> dict[str, Any]:
    """One load, sent, stored and shown, and how long that took.

    `exact` when the store and the screens got to show as much as was acknowledged. Raises
    RuntimeError when nothing of it arrived.
    """
    before = bench.truth()
    looks: list[tuple[float, int]] = []
    meter = bench.meter()
    meter.start()
    began = time.monotonic()
    bench.sender.begin(load)
    while not bench.sender.poll(LOOK):
        _look(bench, looks)
    sent = bench.sender.take()
    bench.events += int(sent.all.events.sum())
    bench.micros += int(sent.all.micros.sum())
    bench.probes += len(sent.probes.at)
    deadline = time.monotonic() + SETTLE
    exact = False
    while not exact and time.monotonic() < deadline:
        exact = _look(bench, looks) == bench.events and bench.screens.counts() == bench.truth()
        time.sleep(LOOK)
    meter.stop()
    took = time.monotonic() - began
    stored = curve(looks).less(before[0])
    if not stored.total:
        raise RuntimeError("nothing of what was acknowledged is in the store")
    screens = bench.screens.shown()
    shown = [one.curve.less(count) for one, count in zip(screens, before, strict=True)]
    events = int(sent.all.events.sum())
    pushes, bench.pushes = bench.pushes, sum(one.pushes for one in screens)
    return {
        "wanted": None if load.rate is None else round(load.rate),
        "exact": exact,
        **judge(sent.all, stored, grace, load.rate),
        **stages(sent, stored, shown[:-1], shown[-1]),
        "refused": sent.refused,
        "broken": sent.broken,
        "sent_late_s": round(sent.late, 3),
        "pushes": bench.pushes - pushes,
        "cpu_seconds_per_million": meter.per_million(events),
        "cores": {name: round(used / took, 3) for name, used in meter.seconds.items()},
        "peak_mb": meter.peak_mb,
    }


def _look(bench: Bench, stored: list[tuple[float, int]]) -> int:
    counted = bench.stored()[0]
    if not stored or counted > stored[-1][1]:
        stored.append((time.time(), counted))
    return counted


def differences(bench: Bench) -> list[str]:
    """Where the store or a screen does not show what was acknowledged."""
    found = [("the store", bench.stored(), bench.events, bench.micros)]
    shown = zip(bench.screens.filters, bench.screens.shown(), bench.truth(), strict=True)
    for chosen, one, events in shown:
        micros = 0 if chosen else bench.micros  # probes buy nothing
        found.append((f"a screen of {chosen}", (one.curve.total, one.micros), events, micros))
    return [
        f"{place} has {has[0]:,} events and {has[1]:,} micros, not {events:,} and {micros:,}"
        for place, has, events, micros in found
        if has != (events, micros)
    ]


if __name__ == "__main__":
    sys.exit(main())
