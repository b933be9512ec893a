"""The job in Bytewax: a Kafka topic of messages of JSON lines, to its end, into a file of TSV.

    python bytewax_job.py BOOTSTRAP TOPIC FILE

Bytewax's own Kafka source and event-time windows, and orjson. A key for each cell would cost
Bytewax a clock and a window of Python objects each (24,000 keys), so events are keyed by a share of
the users, and a window's state is a dictionary of cells beside a set of users (exact, and no user
is in two shares). One worker: a second thread would share its interpreter, and a second process
doubles the processor time, since events are pickled to change over.
"""

import signal
import sys
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import bytewax.operators as op
import bytewax.operators.windowing as windows
import orjson
from bytewax.connectors.kafka import KafkaSource, KafkaSourceMessage
from bytewax.dataflow import Dataflow
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.testing import run_main

SHARES = [str(i) for i in range(16)]  # of users
EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
Cell = tuple[str, str, str, str]
Event = tuple[int, Cell, str, float]  # ms, cell, user, amount
Counts = dict[Cell, list[float]]  # events, revenue


class State:
    """What one share of the users did in one minute."""

    def __init__(self) -> None:
        self.cells: Counts = {}
        self.users: set[str] = set()

    def add(self, event: Event) -> "State":
        """Count one event."""
        _, cell, user, amount = event
        held = self.cells.get(cell)
        if held is None:
            self.cells[cell] = [1, amount]
        else:
            held[0] += 1
            held[1] += amount
        self.users.add(user)
        return self


Result = tuple[Counts, int]  # of a minute: cells, distinct users


def parse(message: KafkaSourceMessage) -> list[tuple[str, Event]]:
    """(share, event) of each line."""
    made = []
    for line in message.value.split(b"\n"):
        e = orjson.loads(line)
        user = e["user_id"]
        cell = (e["type"], e["country"], e["device"], e["category"])
        share = SHARES[zlib.crc32(user.encode()) % len(SHARES)]
        made.append((share, (e["ts"], cell, user, e.get("amount", 0.0))))
    return made


def merged(one: Result, other: Result) -> Result:
    """The results of two shares in one."""
    cells = one[0]
    for cell, (count, revenue) in other[0].items():
        held = cells.setdefault(cell, [0, 0.0])
        held[0] += count
        held[1] += revenue
    return cells, one[1] + other[1]


class Lines(StatelessSinkPartition[tuple[str, Result]]):
    """Writes a minute's result to the file."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w")

    def write_batch(self, items: list[tuple[str, Result]]) -> None:
        """All cells, then the users."""
        for minute, (cells, users) in items:
            for cell, (count, revenue) in cells.items():
                print(minute, *cell, count, revenue, sep="\t", file=self._file)
            print(minute, "", "", "", "", users, "", sep="\t", file=self._file)

    def close(self) -> None:
        """At the end."""
        self._file.close()


class LinesSink(DynamicSink[tuple[str, Result]]):
    """One file: there is one worker."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def build(self, step_id: str, worker_index: int, worker_count: int) -> Lines:
        """The part of one worker."""
        return Lines(self._path)


def flow(bootstrap: str, topic: str, part: Path) -> Dataflow:
    """The dataflow."""
    clock = windows.EventClock(
        lambda event: datetime.fromtimestamp(event[0] / 1000, UTC), wait_for_system_duration=MINUTE
    )
    minutes = windows.TumblingWindower(length=MINUTE, align_to=EPOCH)
    made = Dataflow("peer")
    source = KafkaSource([bootstrap], [topic], tail=False, batch_size=8)
    messages = op.input("read", made, source)
    events = op.flat_map("parse", messages, parse)  # (share, Event)
    shares = windows.fold_window(
        "count", events, clock, minutes, State, State.add, lambda one, _: one, ordered=False
    ).down  # (share, (window, State))
    by_minute = op.map("by_minute", shares, keyed)  # (minute, Result)
    results = op.reduce_final("merge", by_minute, merged)
    op.output("write", results, LinesSink(part))
    return made


def keyed(item: tuple[str, tuple[int, State]]) -> tuple[str, Result]:
    """By minute, in epoch seconds."""
    window, state = item[1]
    return str(int(EPOCH.timestamp()) + 60 * window), (state.cells, len(state.users))


def main(bootstrap: str, topic: str, out: str) -> None:
    """Run to the end, then wait to be ended."""
    part = Path(f"{out}.part")
    run_main(flow(bootstrap, topic, part))
    part.rename(out)
    signal.pause()


if __name__ == "__main__":
    main(*sys.argv[1:])
