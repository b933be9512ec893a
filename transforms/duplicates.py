"""Duplicates, as a pure function of the log.

A row is a duplicate when its key stands earlier in the same partition, in the same or the previous
generation. A generation is a fixed stretch of broker time, so a key is remembered for one to two
horizons, and a reader that starts anywhere needs only the log from `history_start` to know what
any other reader would. Keys are those of `events.batch.SCHEMA`: 0 never repeats; an odd key names
a request, whose rows of one partition always share one message; an even key names one event.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

HORIZON_MS: Final = 120_000
MAX_KEYS: Final = 2_000_000  # per generation; a key beyond it is not remembered


class Duplicates:
    """What one partition has seen. Feed it every message in the order of the log."""

    def __init__(self, horizon_ms: int = HORIZON_MS, max_keys: int = MAX_KEYS) -> None:
        self._horizon_ms = horizon_ms
        self._max_keys = max_keys
        self._generation = -1
        self._current: set[int] = set()
        self._previous: set[int] = set()

    def history_start(self, broker_ms: int) -> int:
        """The broker time from which the log decides about a message at `broker_ms`."""
        return max(0, (broker_ms // self._horizon_ms - 1) * self._horizon_ms)

    def fresh(self, keys: NDArray[np.uint64], broker_ms: int) -> NDArray[np.bool_] | None:
        """Which rows of one message are no duplicates; None when all are. Remembers the keys."""
        self._turn(broker_ms // self._horizon_ms)
        if not len(keys):
            return None
        first = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1])))
        lengths = np.diff(np.append(first, len(keys)))
        old = []  # runs that repeat an earlier message, or an event id of this one
        inside: set[int] = set()
        for run, key in enumerate(keys[first].tolist()):
            if key == 0:
                continue
            earlier = key in self._current or key in self._previous
            if earlier or (not key & 1 and key in inside):
                old.append(run)
            inside.add(key)
        repeats = self._repeats(keys, first, lengths)
        if len(self._current) < self._max_keys:
            self._current |= inside
        if not old and repeats is None:
            return None
        fresh = np.ones(len(keys), np.bool_)
        for run in old:
            fresh[first[run] : first[run] + lengths[run]] = False
        if repeats is not None:
            fresh[repeats] = False
        return fresh

    @staticmethod
    def _repeats(
        keys: NDArray[np.uint64], first: NDArray[np.intp], lengths: NDArray[np.intp]
    ) -> NDArray[np.intp] | None:
        """Rows after the first of a run of one event id: the same event, twice in a row."""
        event_runs = (lengths > 1) & (keys[first] & np.uint64(1) == 0) & (keys[first] != 0)
        if not event_runs.any():
            return None
        starts = np.zeros(len(keys), np.bool_)
        starts[first] = True
        return np.flatnonzero(np.repeat(event_runs, lengths) & ~starts)

    def _turn(self, generation: int) -> None:
        if generation <= self._generation:
            return
        self._previous = self._current if generation == self._generation + 1 else set()
        self._current = set()
        self._generation = generation
