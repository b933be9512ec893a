"""What the readers do and where they stand, for Beam's counters and this process's metrics."""

import time
from collections.abc import Iterable
from functools import partial
from typing import Final

import numpy as np
from apache_beam.metrics import Metrics

from pipelines.log_reader import LogReader
from stores.ledger import OUTCOMES
from telemetry import metrics
from transforms.outcomes import DUPLICATE, TOO_LATE, Counts

_marks: Final[dict[int, int]] = {}  # partition → watermark in ms, of the path of numbers


class Tally:
    """What became of messages and rows on one path. Counted per poll.

    `namespace` is that of Beam's counters, `path` the label of the metrics.
    """

    def __init__(self, namespace: str = "events", path: str = "numbers") -> None:
        self._path = path
        self._messages = Metrics.counter(namespace, "messages")
        self._decoded = Metrics.counter(namespace, "decoded")
        self._duplicate = Metrics.counter(namespace, "duplicate")
        self._too_late = Metrics.counter(namespace, "too_late")
        self._dead = Metrics.counter(namespace, "dead_lettered")

    def messages(self, number: int) -> None:
        """Read from the log."""
        self._messages.inc(number)
        metrics.JOB_MESSAGES.add(number, self._path)

    def decoded(self, rows: int) -> None:
        """Understood."""
        self._decoded.inc(rows)
        metrics.JOB_ROWS.add(rows, self._path)

    def rows(self, became: Iterable[Counts]) -> None:
        """Understood, and what became of them (see `transforms.outcomes.tally`)."""
        total = sum(became, np.zeros(len(OUTCOMES), np.int64))
        self.decoded(int(total.sum()))
        self.duplicate(int(total[DUPLICATE]))
        if total[TOO_LATE]:
            self._too_late.inc(int(total[TOO_LATE]))
            metrics.JOB_TOO_LATE.add(int(total[TOO_LATE]))

    def duplicate(self, rows: int) -> None:
        """Left out."""
        if rows:
            self._duplicate.inc(rows)
            metrics.JOB_DUPLICATES.add(rows, self._path)

    def dead(self, reason: str) -> None:
        """One dead letter."""
        self._dead.inc()
        metrics.JOB_DEAD.inc(reason)


def note(reader: LogReader, path: str) -> None:
    """After a poll: how far the reader is behind the end, and its watermarks behind the clock.

    The end is the one of the last fetch, so nothing is asked of the broker. The lag of a watermark
    is worked out whenever somebody looks: it grows when no poll comes any more.
    """
    for partition, behind in reader.behind().items():
        metrics.JOB_LAG.set(behind, path, partition)
    if path != "numbers":  # raw events have no watermark
        return
    for partition in reader.partitions:
        mark = reader.watermark_of(partition)
        if mark is None:
            continue
        if partition not in _marks:
            metrics.JOB_WATERMARK_LAG.follow(partial(_lag, partition), partition)
        _marks[partition] = mark


def _lag(partition: int) -> float:
    return max(0.0, time.time() - _marks.get(partition, 0) / 1000)
