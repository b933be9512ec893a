"""What was written to the hot store lately, to be written again when the store has lost it.

Redis answers before the disk or a replica has the write: after a power cut (`appendfsync
everysec`), or when a replica takes over, the last second or two are gone. A window that is still
open is written again anyway; the last word on a closed one would be lost for good.

So every write is counted in the store, after its panes and under a key of this process. A count
that is not above those seen before means that the end of the store's history is gone, and the panes
of the last seconds are written once more. Larger count wins, so too much of it is harmless.
"""

import logging
import time
import uuid
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Final, Protocol

from stores.pane import Grouping, Pane

KEEP_SECONDS: Final = 30.0  # far more than a store that answers lags behind its disk or replica
KEEP_BYTES: Final = 64 * 1024 * 1024  # about; a replay of days writes more than can be kept
WRITE_AT_ONCE: Final = 50  # panes

_Key = tuple[str, Grouping, int, int, int]  # project, grouping set, width, start, minute
_log = logging.getLogger(__name__)


class Store(Protocol):
    """What is needed of `stores.hot.HotStore`. Both raise `redis.RedisError`."""

    def write(self, panes: Sequence[Pane]) -> int:
        """Absolute values; larger count wins."""
        ...

    def count_write(self, writer: str) -> int:
        """One more write of this writer; how many those are."""
        ...


class Rewrites:
    """The panes that this process wrote in the last seconds. Threads wait for each other only
    while they look at what is kept, never while one of them waits for the store.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._writer = uuid.uuid4().hex
        self._lock = Lock()
        self._count = 0  # the latest that the store has confirmed
        self._lost = False  # it has lost something that is not written again yet
        self._panes: dict[_Key, tuple[float, Pane]] = {}  # oldest first
        self._bytes = 0

    def write(self, store: Store, panes: Sequence[Pane]) -> int:
        """Write panes, and again what the store is found to have lost. See `HotStore.write`."""
        written = store.write(panes)
        self._keep(panes)
        self.check(store)
        return written

    def check(self, store: Store) -> None:
        """Write again what the store has lost, if it has. Raises `redis.RedisError`."""
        while True:
            with self._lock:
                before = self._count
            count = store.count_write(self._writer)
            with self._lock:
                lost = count <= before
                self._lost |= lost
                # Answers of two threads may come in any order; the larger one was the later.
                self._count = count if lost else max(self._count, count)
                if not self._lost:
                    return
                again = [pane for _, pane in self._panes.values()]
            _log.warning("the hot store has lost its last writes: %d panes again", len(again))
            for first in range(0, len(again), WRITE_AT_ONCE):
                store.write(again[first : first + WRITE_AT_ONCE])
            with self._lock:
                self._lost = False

    def _keep(self, panes: Sequence[Pane]) -> None:
        with self._lock:
            now = self._clock()
            for pane in panes:
                key = (pane.project, pane.grouping, pane.width, pane.start, pane.minute)
                held = self._drop(key)
                if held is not None and held.rows > pane.rows:
                    pane = held  # a replay has not caught up yet
                self._panes[key] = (now, pane)
                self._bytes += _size(pane)
            while self._panes and not self._lost:
                oldest = next(iter(self._panes))
                if self._panes[oldest][0] >= now - KEEP_SECONDS and self._bytes <= KEEP_BYTES:
                    return
                self._drop(oldest)

    def _drop(self, key: _Key) -> Pane | None:
        _, pane = self._panes.pop(key, (0.0, None))
        if pane is not None:
            self._bytes -= _size(pane)
        return pane


def _size(pane: Pane) -> int:
    return int(pane.measures.nbytes + pane.sketch.nbytes) + 150 * len(pane.series) + 500
