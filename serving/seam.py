"""One answer from two stores: cold before the boundary minute T, hot from T on.

Every minute is served by exactly one store: counts are added over the seam, users united. T is a
day ago, on the hour (hours of one dimension's users must not be cut), or later when the hot store
has not been there so long. A store that is away takes its minutes with it: the reply names them.
"""

import logging
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Final, NamedTuple, Protocol, TypeVar

import numpy as np

from events import sketch
from serving.cache import SealedCache
from stores.contract import (
    HOUR,
    Bits,
    Counts,
    Ints,
    Reader,
    Slice,
    StoreUnavailable,
    Users,
    Values,
)
from stores.pane import MEASURES, MINUTE
from telemetry import metrics

HOT_HOURS: Final = 24  # T is so long ago
NOT_YET_COLD: Final = 120  # seconds until a minute is final and in the cold store
SEALED: Final = 2 * HOUR  # after this nothing changes but by a backfill
AWAY: Final = "the store does not answer"  # more is in the log: clients learn no addresses
PAUSE: Final = 2.0  # seconds for which a store that failed is not asked again
_Answer = TypeVar("_Answer")

_log = logging.getLogger(__name__)


class HotSource(Reader, Protocol):
    """What the seam needs of the hot store on top of a Reader."""

    def since(self) -> int | None:
        """The first minute from which on everything is in it; None: nothing is for sure."""

    def active_users(self, ask: Slice, now: float) -> dict[Values, sketch.Entries]:
        """Users of the last five minutes; ValueError when not kept for `ask.grouping`."""


class Missing(NamedTuple):
    """A range that could not be answered."""

    start: int
    end: int
    store: str
    reason: str


class Unanswered(Exception):
    """No store could be asked."""


class Stores:
    """The hot store, and the cold one if there is one; remembers which failed a moment ago."""

    def __init__(
        self,
        hot: HotSource,
        cold: Reader | None,
        cache: SealedCache | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.hot = hot
        self.cold = cold
        self._cache = cache
        self._clock = clock
        self._failed: dict[str, float] = {}  # name → when it may be asked again
        for store in (hot, cold):
            if store is not None:
                metrics.SERVICE_STORE_DOWN.follow(partial(self._down, store), store.name)

    def ask(self, now: float, answer: Callable[["Reading"], _Answer]) -> _Answer:
        """What `answer` makes of a `Reading`; made anew without a store that fails meanwhile.

        Raises Unanswered when none is left.
        """
        for _ in range(3):
            try:
                return answer(self._reading(now))
            except _Failed as failed:
                _log.warning("%s is away: %s", failed.store, failed.reason)
                self._failed[failed.store] = self._clock() + PAUSE
        raise Unanswered

    def _reading(self, now: float) -> "Reading":
        hot, cold = self._down(self.hot), self._down(self.cold)
        if hot and (self.cold is None or cold):
            raise Unanswered
        if self.cold is None:
            return Reading(self.hot, None, None, frozenset(), None, 0)
        down = frozenset(store.name for store, away in ((self.hot, hot), (self.cold, cold)) if away)
        after = int(now) // MINUTE * MINUTE + MINUTE
        if hot:
            return Reading(self.hot, self.cold, None, down, after - NOT_YET_COLD, 0)
        with _blame(self.hot), timed(self.hot.name, "since"):
            since = self.hot.since()
        boundary = max(
            (int(now) // HOUR - HOT_HOURS) * HOUR, after if since is None else min(since, after)
        )
        return Reading(self.hot, self.cold, self._cache, down, boundary, int(now) - SEALED)

    def _down(self, store: Reader | None) -> bool:
        return store is not None and self._clock() < self._failed.get(store.name, 0.0)


class Reading:
    """The stores as one, for one reply. Methods are those of `stores.contract.Reader`.

    `boundary` is T; None: there is only the hot store. `down`: the stores that cannot be asked.
    Answers about the cold store's minutes before `sealed` may come from the cache.
    """

    def __init__(
        self,
        hot: HotSource,
        cold: Reader | None,
        cache: SealedCache | None,
        down: frozenset[str],
        boundary: int | None,
        sealed: int,
    ) -> None:
        self._hot = hot
        self._cold = cold
        self._cache = cache
        self._down = down
        self.boundary = boundary
        self._sealed = sealed

    def served(self, start: int, end: int) -> list[tuple[str, int, int]]:
        """Which store answered for what: (name, start, end)."""
        return [
            (store.name, low, high)
            for store, low, high in self._parts(start, end)
            if store.name not in self._down
        ]

    def missing(self, start: int, end: int) -> list[Missing]:
        """What no store could be asked for."""
        return [
            Missing(low, high, store.name, AWAY)
            for store, low, high in self._parts(start, end)
            if store.name in self._down
        ]

    def counts(self, ask: Slice) -> Counts:
        """Sums over the seam."""
        rows: dict[Values, Ints] = {}
        for store, part, offset in self._slices(ask):
            with _blame(store):
                found = self._cached(store, part, "counts", _counts)
            for values, measures in zip(found.series, found.measures, strict=True):
                if values not in rows:
                    rows[values] = np.zeros((ask.steps, len(MEASURES)), np.int64)
                rows[values][offset : offset + part.steps] += measures
        if not rows:
            return Counts.empty(ask.steps)
        return Counts(list(rows), np.stack(list(rows.values())))

    def users(self, ask: Slice) -> Users:
        """Unions over the seam. ValueError where none are kept."""
        if not ask.has_users:
            raise ValueError("no unions are kept for this")
        # An hour of one dimension is not cut: both stores are asked for it, and united.
        whole = HOUR if ask.grouping else MINUTE
        parts: dict[tuple[Values, int], list[sketch.Entries]] = {}
        for store, part, offset in self._slices(ask, whole):
            with _blame(store):
                found = self._cached(store, part, "users", _users)
            for (values, step), entries in found.items():
                parts.setdefault((values, step + offset), []).append(entries)
        return {place: sketch.union(entries) for place, entries in parts.items()}

    def completeness(self, project: str, edges: tuple[int, ...]) -> Bits:
        """Bits OR-ed over the seam."""
        bits = np.zeros(len(edges) - 1, np.uint8)
        ask = Slice(project, (), edges)
        for store, part, offset in self._slices(ask):
            with _blame(store):
                found = self._cached(store, part, "completeness", _completeness)
            bits[offset : offset + part.steps] |= found
        return bits

    def active_users(self, ask: Slice, now: float) -> dict[Values, sketch.Entries]:
        """Users of the last five minutes, which only the hot store has."""
        if self._hot.name in self._down:
            raise ValueError("the hot store is away")
        with _blame(self._hot), timed(self._hot.name, "active_users"):
            return self._hot.active_users(ask, now)

    def _cached(
        self, store: Reader, part: Slice, kind: str, read: Callable[[Reader, Slice], _Answer]
    ) -> _Answer:
        if self._cache is None or store is not self._cold or part.end > self._sealed:
            return read(store, part)
        return self._cache.get(f"{store.name} {kind} {part}", lambda: read(store, part))

    def _parts(self, start: int, end: int) -> list[tuple[Reader, int, int]]:
        if self._cold is None or self.boundary is None:
            return [(self._hot, start, end)]
        found: list[tuple[Reader, int, int]] = []
        if start < self.boundary:
            found.append((self._cold, start, min(end, self.boundary)))
        if end > self.boundary:
            found.append((self._hot, max(start, self.boundary), end))
        return found

    def _slices(self, ask: Slice, unit: int = MINUTE) -> Iterator[tuple[Reader, Slice, int]]:
        """Each store that can be asked, with its part of the question and its first step."""
        edges = ask.edges
        for store, low, high in self._parts(ask.start, ask.end):
            if store.name in self._down:
                continue
            low = max(ask.start, low // unit * unit)
            high = min(ask.end, -(-high // unit) * unit)
            if (low, high) == (ask.start, ask.end):
                yield store, ask, 0
                continue
            offset = bisect_right(edges, low) - 1
            inside = edges[offset + 1 : bisect_left(edges, high)]
            yield store, replace(ask, edges=(low, *inside, high)), offset


def _counts(store: Reader, ask: Slice) -> Counts:
    with timed(store.name, "counts"):
        return store.counts(ask)


def _users(store: Reader, ask: Slice) -> Users:
    with timed(store.name, "users"):
        return store.users(ask)


def _completeness(store: Reader, ask: Slice) -> Bits:
    with timed(store.name, "completeness"):
        return store.completeness(ask.project, ask.edges)


def of_hot(hot: HotSource, answer: Callable[[Reading], _Answer]) -> _Answer:
    """What `answer` makes of the hot store alone. Raises Unanswered."""
    try:
        return answer(Reading(hot, None, None, frozenset(), None, 0))
    except _Failed as failed:
        raise Unanswered from failed


class _Failed(Exception):
    def __init__(self, store: str, reason: str) -> None:
        super().__init__(reason)
        self.store, self.reason = store, reason


@contextmanager
def _blame(store: Reader) -> Iterator[None]:
    try:
        yield
    except StoreUnavailable as error:
        raise _Failed(store.name, str(error)) from error


@contextmanager
def timed(store: str, question: str) -> Iterator[None]:
    """One question to a store, in the metrics."""
    began = time.perf_counter()
    try:
        yield
    except StoreUnavailable:
        metrics.SERVICE_STORE_FAILURES.inc(store)
        raise
    finally:
        metrics.SERVICE_STORE.observe(time.perf_counter() - began, store, question)
