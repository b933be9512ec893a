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

from events.dedup import NEVER
from transforms.keys import KeySet

HORIZON_MS: Final = 120_000
MAX_KEYS: Final = 2_000_000  # per generation; a key beyond it is not remembered


class Duplicates:
    """What one partition has seen. Feed it every message in the order of the log."""

    def __init__(self, horizon_ms: int = HORIZON_MS, max_keys: int = MAX_KEYS) -> None:
        self._horizon_ms = horizon_ms
        self._max_keys = max_keys
        self._generation = -1
        self._current = KeySet()
        self._previous = KeySet()

    def history_start(self, broker_ms: int) -> int:
        """The broker time from which the log decides about a message at `broker_ms`."""
        return max(0, (broker_ms // self._horizon_ms - 1) * self._horizon_ms)

    def fresh(
        self, keys: NDArray[np.uint64], broker_ms: int, counts: NDArray[np.int64] | None = None
    ) -> NDArray[np.bool_] | None:
        """Which rows are no duplicates; None when all are. Remembers the keys.

        Of one message; or of several of one generation in their order, `counts` rows of each.
        """
        self._turn(broker_ms // self._horizon_ms)
        if not len(keys):
            return None
        begins = np.zeros(len(keys), np.bool_)  # a run of one key in one message
        begins[0] = True
        np.not_equal(keys[1:], keys[:-1], out=begins[1:])
        ends = np.array([len(keys)]) if counts is None else np.cumsum(counts)
        begins[ends[:-1][ends[:-1] < len(keys)]] = True
        runs = np.flatnonzero(begins)
        heads = keys[runs]
        if not heads.any():
            return None
        distinct, first, place = np.unique(heads, return_index=True, return_inverse=True)
        known = self._current.holds(distinct)
        old = known | self._previous.holds(distinct)
        new = np.sort(first[~known & (distinct != NEVER)])  # in the order of the log
        self._current.add(heads[new[: self._max_keys - len(self._current)]])
        event = heads & np.uint64(1) == 0
        # An event's first run is no repeat; a request's are not in the message of its first.
        message = np.searchsorted(ends, runs, side="right")
        same = np.where(event, runs == runs[first][place], message == message[first][place])
        fresh = (heads == NEVER) | (~old[place] & same)
        lengths = np.diff(runs, append=len(keys))
        repeated = event & (heads != NEVER) & (lengths > 1)  # an event several times in a row
        if fresh.all() and not repeated.any():
            return None
        rows = np.repeat(fresh, lengths)
        if repeated.any():
            rows &= begins | ~np.repeat(repeated, lengths)
        return rows

    def _turn(self, generation: int) -> None:
        if generation <= self._generation:
            return
        self._previous = self._current if generation == self._generation + 1 else KeySet()
        self._current = KeySet()
        self._generation = generation
