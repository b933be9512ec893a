"""One rule for all engines: from the first events that Kafka serves to the last result.

No two engines tell when they begin to read. The broker does: after the topics are filled, all it
writes is what it serves, so its own count of written bytes says when an engine has its first
events. From then on wall and processor time run, of the engine and all its children, until its last
result is there. What is left of start-up in that (a JVM that compiles for 10 s of processor time)
goes by the difference of two sizes, see `table.between`.
"""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from benchmarks.report import Meter, Pids

FIRST_BYTES: Final = 200_000  # more than any talk about metadata, less than one answer with events
_LOOK: Final = 0.02  # seconds between two looks at the broker
_MEMORY: Final = 0.5  # seconds between two looks at memory


@dataclass(frozen=True)
class Measured:
    """Wall and processor time between first input and last result; the largest memory seen."""

    start_s: float  # from the start of the program to the first input
    wall_s: float
    cpu_s: dict[str, float]  # by part
    peak_mb: dict[str, int]  # by part


class Watch:
    """Waits for the first input beside the caller, who says when the last result was seen."""

    def __init__(self, broker: int, parts: Mapping[str, Pids]) -> None:
        self._broker = broker
        self._meter = Meter(parts)
        self._done = threading.Event()
        self._began = 0.0
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._started = time.monotonic()
        self._before = written(self._broker)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def end(self) -> Measured:
        """Stop the clocks. Raises RuntimeError when no input was ever seen."""
        ended = time.monotonic()
        self._done.set()
        self._thread.join()
        if not self._began:
            raise RuntimeError("the broker served nothing")
        seconds = self._meter.stop()
        return Measured(
            self._began - self._started, ended - self._began, seconds, self._meter.peak_mb
        )

    def _watch(self) -> None:
        while written(self._broker) - self._before < FIRST_BYTES:
            if self._done.wait(_LOOK):
                return
        self._meter.start()
        self._began = time.monotonic()
        while not self._done.wait(_MEMORY):
            self._meter.look()


def written(pid: int) -> int:
    """Bytes that a process has written so far, to files and sockets, by sendfile too."""
    for line in Path(f"/proc/{pid}/io").read_text().splitlines():
        if line.startswith("wchar:"):
            return int(line.split()[1])
    raise RuntimeError(f"/proc/{pid}/io has no wchar")
