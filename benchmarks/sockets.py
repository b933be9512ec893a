"""Ten thousand open dashboards: the service's push, alone with a Valkey and a writer of panes.

    python -m benchmarks.sockets --clients 10000 --workers 2 --subscriptions 20 --seconds 60

A pane of every subscription's minute is written every `--refresh` seconds, and each client notes
when it has it (`benchmarks.crowd`): of each pane the wait of the last client, and of all waits
p50, p99 and max. Three parts: all read (calm); 5 % read only now and then and 1 % never (rude),
which should not move the others; and all are cut and come back at once (reconnect). `exact`: every
client that reads was shown the last pane, none was lost, and nothing was said to any that should
not be. Panes do not come from a pipeline here; `benchmarks.end_to_end` has the whole way.
"""

import argparse
import json
import math
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks import dataset, report, unhindered
from benchmarks.crowd import Crowd
from deploy.children import PythonChild, answers_ready
from deploy.identity import resident
from deploy.ports import free_port
from deploy.services import ValkeyServer
from stores.hot import HotStore, open_redis
from stores.pane import FINAL, MEASURES, MINUTE, PARTIAL, Pane

KEY: Final = "demo-read-key"
PROJECT: Final = "demo"
DAY_MINUTES: Final = 1_440
SLOW, DEAD = 0.05, 0.01  # shares of the clients in the rude part
PATIENCE: Final = 60.0
_COLUMN: Final = {name: i for i, name in enumerate(MEASURES)}


def main(argv: Sequence[str] | None = None) -> int:
    """Run it; print and write the JSON. Exits with 1 when somebody was not shown everything."""
    options = parser().parse_args(argv)
    machine = report.machine()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # service and crowd inherit it
    with tempfile.TemporaryDirectory(prefix="sockets-") as folder, ExitStack() as stack:
        valkey = stack.enter_context(ValkeyServer(free_port(), Path(folder), persistence=False))
        writer = Writer(valkey.address, options.subscriptions, options.refresh)
        port = free_port()
        service = PythonChild(
            "service",
            [
                "serving.app",
                *(f"--port={port}", f"--redis_url={valkey.address}", "--metrics_port=0"),
                *(f"--workers={options.workers}", f"--refresh_seconds={options.refresh}"),
                *unhindered.SERVICE,
                *options.service.split(),
            ],
            answers_ready(port),
            log_path=Path(folder) / "service.log",
            environment={},
            ready_within=PATIENCE,
        )
        stack.enter_context(service)
        filters = [{"country": name} for name in writer.countries]
        quiet = round(options.clients * (SLOW + DEAD))
        crowd = stack.enter_context(Crowd(port, KEY, filters, quiet))
        result = measure(options, service, writer, crowd)
    result = {**result, "machine": machine, "versions": report.versions()}
    print(json.dumps(result, indent=1))
    report.write(options.json, result)
    return 0 if result["exact"] else 1


def parser() -> argparse.ArgumentParser:
    """Its options."""
    made = argparse.ArgumentParser(prog="benchmarks.sockets", description=__doc__)
    made.add_argument("--clients", type=int, default=10_000)
    made.add_argument("--workers", type=int, default=2)
    made.add_argument("--subscriptions", type=int, default=20, help="different ones, at most 60")
    made.add_argument("--refresh", type=float, default=2.0, help="seconds from pane to pane")
    made.add_argument("--seconds", type=float, default=60, help="of the calm and the rude part")
    made.add_argument("--soak", type=int, default=0, help="minutes more of the rude part")
    made.add_argument("--service", default="", help="more options of serving.app")
    made.add_argument("--json", type=Path)
    return made


class Writer:
    """Writes panes, each with a larger number of page views than the last: the news."""

    def __init__(self, url: str, subscriptions: int, every: float) -> None:
        self.countries = dataset.countries(dataset.SHAPES[5_000])[:subscriptions]
        self._store = HotStore(open_redis(url))
        self._every = every
        self.news = DAY_MINUTES
        self.written: dict[int, float] = {}
        now = int(time.time()) // MINUTE * MINUTE
        for back in range(DAY_MINUTES, 0, -1):  # a full day, so that snapshots have their size
            self._write(now - back * MINUTE, DAY_MINUTES - back, FINAL)

    def write_for(self, seconds: float) -> None:
        """A pane every so often."""
        for _ in self.panes(time.monotonic() + seconds):
            pass

    def panes(self, until: float) -> Iterator[int]:
        """Write a pane, and wait for the next one's time, until then."""
        while (began := time.monotonic()) < until:
            self.news += 1
            self._store.beat(time.time())
            self._write(int(time.time()) // MINUTE * MINUTE, self.news, PARTIAL)
            self.written[self.news] = time.time()
            yield self.news
            time.sleep(max(0.0, began + self._every - time.monotonic()))

    def _write(self, start: int, news: int, status: int) -> None:
        numbers = np.zeros((len(self.countries), len(MEASURES)), np.int64)
        for name in ("rows", "page_views"):
            numbers[:, _COLUMN[name]] = news
        numbers[:, _COLUMN["revenue_micros"]] = news * 1_990_000
        series: list[tuple[str, ...]] = [(name,) for name in self.countries]
        total = numbers.sum(axis=0, keepdims=True)
        self._store.write(
            [
                Pane(PROJECT, ("country",), start, MINUTE, status, series, numbers),
                Pane(PROJECT, (), start, MINUTE, status, [()], total),
            ]
        )


def measure(
    options: argparse.Namespace, service: PythonChild, writer: Writer, crowd: Crowd
) -> dict[str, Any]:
    """All three parts."""
    meter = report.Meter({"service": service.members, "clients": crowd.pids})
    before = resident(service.members())
    opened = crowd.ask("open", options.clients)
    writer.write_for(3 * options.refresh)
    crowd.ask("times")
    parts: dict[str, Any] = {}
    meter.start()
    for name in ("calm", "rude"):
        if name == "rude":
            crowd.ask("misbehave", round(options.clients * DEAD))
        writer.write_for(options.seconds)
        time.sleep(options.refresh)
        parts[name] = waits(writer.written, crowd.ask("times"))
        meter.look()
        if name == "calm":
            after = resident(service.members())
    meter.stop()
    looks = list(soak(options, service, writer, crowd))
    written, state = writer.news, crowd.ask("state")
    crowd.ask("cut")
    writer.write_for(options.refresh)
    back = reconnect(options, writer, crowd)
    last = crowd.ask("state")
    whole = options.clients
    clean = (
        state["least_news"] == written
        and state["lost"] == 0
        and opened["ready"] == back["ready"] == whole
        and parts["calm"]["everybody"]
        and parts["rude"]["everybody"]
        and all(look["everybody"] for look in looks)
    )
    seconds = 2 * (options.seconds + options.refresh)
    return {
        "clients": whole,
        "workers": options.workers,
        "subscriptions": options.subscriptions,
        "messages_per_second": round(sum(p["received"] for p in parts.values()) / seconds),
        "opened_s": round(opened["took"], 2),
        "snapshot_ms": report.percentiles([wait * 1_000 for wait in opened["waits"]], 1),
        **parts,
        "p99_moved_by": round(parts["rude"]["p99"] / parts["calm"]["p99"] - 1, 3),
        "soak": looks,
        "reconnect": back,
        "kb_per_client": round((after - before) / whole / 1_000, 1),
        "service_mb": {"before": before // 1_000_000, "with_all": after // 1_000_000},
        "peak_mb": meter.peak_mb,
        "cpu_share": {n: round(s / seconds, 3) for n, s in meter.seconds.items()},
        "quiet_lost": state["quiet_lost"],
        "said": last["said"],
        "exact": clean,
    }


def soak(
    options: argparse.Namespace, service: PythonChild, writer: Writer, crowd: Crowd
) -> Iterator[dict[str, Any]]:
    """Minute by minute, with those who read slowly or not at all: the memory, and the waits."""
    for minute in range(1, options.soak + 1):
        writer.write_for(60)
        time.sleep(options.refresh)
        found = waits(writer.written, crowd.ask("times"))
        memory = resident(service.members()) // 1_000_000
        kept = {name: found[name] for name in ("p50", "p99", "max", "everybody")}
        yield {"minute": minute, "service_mb": memory, **kept}
        print(f"minute {minute}: {memory} MB, p99 {found['p99']} ms", file=sys.stderr, flush=True)


def waits(written: dict[int, float], arrived: dict[int, list[float]]) -> dict[str, Any]:
    """Milliseconds from a pane's writing to its arrival, over all panes and clients."""
    panes = sorted(news for news in arrived if news in written)
    each = [np.array(arrived[news]) - written[news] for news in panes]
    joined = np.concatenate(each) * 1_000
    counts = {len(one) for one in each}
    return {
        **report.percentiles(joined.tolist(), 1),
        "last_client_ms": report.percentiles([float(one.max()) * 1_000 for one in each], 1),
        "panes": len(panes),
        "received": len(joined),
        "everybody": len(counts) == 1,
        "last": panes[-1],
    }


def reconnect(options: argparse.Namespace, writer: Writer, crowd: Crowd) -> dict[str, Any]:
    """All come back at once, while panes go on."""
    crowd.ask("times")
    crowd.tell("open", options.clients)
    for _ in writer.panes(math.inf):
        if crowd.answered():
            break
    back = crowd.answer()
    writer.write_for(2 * options.refresh)
    during = waits(writer.written, crowd.ask("times"))
    del during["everybody"]  # nobody is shown what came while they were away
    return {
        "took_s": round(back["took"], 2),
        "ready": back["ready"],
        "first_message_ms": report.percentiles([wait * 1_000 for wait in back["waits"]], 1),
        "panes": during,
    }


if __name__ == "__main__":
    sys.exit(main())
