"""A made-up shop behind the real service: `python -m scripts.shop` until Ctrl-C.

Valkey and, unless `--no_history`, ClickHouse hold two days that `scripts.day` made; minutes go on
being written. No Kafka and no pipeline: for looking at the dashboard, not for measuring anything.
"""

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from deploy.children import PythonChild, answers_ready
from deploy.clickhouse import ClickHouseServer
from deploy.history import ensure_schema
from deploy.ports import HOST, free_port
from deploy.services import ValkeyServer
from scripts.day import PROJECT, Day
from stores import recent
from stores.clickhouse import ClickHouseStore
from stores.clickhouse_events import ClickHouseEvents
from stores.clickhouse_tables import Options
from stores.contract import HOUR
from stores.hot import HotStore, open_redis
from stores.pane import GROUPING_SETS, MINUTE, SKETCHED

EVERY: Final = 1.0  # seconds from write to write
HOT_MINUTES: Final = 25 * 60
COLD_MINUTES: Final = 50 * 60
WHOLE_MINUTES: Final = 75  # with all grouping sets, and users
AT_ONCE: Final = 240  # panes


class Writer:
    """Writes the day, and then what goes on."""

    def __init__(self, redis_url: str) -> None:
        self._client = open_redis(redis_url)
        self._store = HotStore(self._client)
        self._day = Day()
        self._stopping = threading.Event()

    def fill(self, now: float) -> None:
        """The last 25 hours."""
        last = int(now) // MINUTE * MINUTE
        self._store.beat(now, since=last - HOT_MINUTES * MINUTE)
        panes = []
        for back in range(HOT_MINUTES, 0, -1):
            whole = back <= WHOLE_MINUTES or back > HOT_MINUTES - 2 * WHOLE_MINUTES
            groupings = GROUPING_SETS if whole else SKETCHED
            panes += self._day.panes(last - back * MINUTE, groupings, users=whole)
            if len(panes) >= AT_ONCE:
                self._store.write(panes)
                panes = []
        self._store.write(panes)
        self._news(now, 60)

    def fill_history(self, url: str, now: float) -> None:
        """Rollups of the day before, and raw events of the last hour."""
        last = int(now) // MINUTE * MINUTE
        with closing(ClickHouseStore.from_url(url)) as rollups:
            panes = []
            for back in range(COLD_MINUTES, HOT_MINUTES - 120, -1):
                panes += self._day.panes(last - back * MINUTE, SKETCHED)
            rollups.write(panes)
        with closing(ClickHouseEvents.from_url(url)) as events:
            sample = [self._day.raw(last - back * MINUTE, back) for back in range(59, 0, -1)]
            events.write_events(sample)

    def step(self, now: float) -> None:
        """What the pipeline would write now."""
        minute = int(now) // MINUTE * MINUTE
        self._store.beat(now)
        done = self._day.panes(minute - MINUTE, GROUPING_SETS, users=True)
        part = self._day.panes(minute, GROUPING_SETS, users=True, part=(now - minute) / MINUTE)
        self._store.write([*done, *part, *self._day.now(now)])
        self._news(now, 3)

    def run(self) -> None:
        """Until `stop`."""
        while not self._stopping.wait(EVERY):
            self.step(time.time())

    def stop(self) -> None:
        """At the end of the step under way."""
        self._stopping.set()

    def _news(self, now: float, count: int) -> None:
        pipe: Any = self._client.pipeline(transaction=False)
        recent.put(pipe, PROJECT, self._day.recent(now, count))
        pipe.execute()


@contextmanager
def running(folder: Path, *, history: bool = True, options: Sequence[str] = ()) -> Iterator[str]:
    """The service's address; `options` are more of its own."""
    with ExitStack() as stack:
        valkey = stack.enter_context(
            ValkeyServer(free_port(), folder / "valkey", persistence=False)
        )
        writer = Writer(valkey.address)
        now = time.time()
        writer.fill(now)
        port = free_port()
        arguments = ["serving.app", f"--port={port}", f"--redis_url={valkey.address}"]
        if history:
            server = ClickHouseServer(folder / "clickhouse", free_port(), free_port())
            stack.enter_context(server)
            ensure_schema(server.address, Options(refresh_seconds=int(HOUR)))
            writer.fill_history(server.address, now)
            arguments.append(f"--history_url={server.reader_address}")
        service = PythonChild(
            "service",
            [*arguments, "--metrics_port=0", *options],
            answers_ready(port),
            log_path=folder / "service.log",
            environment={},
            ready_within=60,
        )
        stack.enter_context(service)
        thread = threading.Thread(target=writer.run, name="writer")
        thread.start()
        stack.callback(thread.join)
        stack.callback(writer.stop)
        yield f"http://{HOST}:{port}/"


def main(argv: Sequence[str] | None = None) -> int:
    """Run until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="scripts.shop", description=__doc__)
    parser.add_argument("--no_history", action="store_true", help="no ClickHouse")
    options = parser.parse_args(argv)
    with (
        tempfile.TemporaryDirectory(prefix="shop-") as folder,
        running(Path(folder), history=not options.no_history) as address,
    ):
        print(address, flush=True)
        with suppress(KeyboardInterrupt):
            threading.Event().wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
