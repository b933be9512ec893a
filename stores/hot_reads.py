"""The hot store as a `Reader`: packed minutes and sketches folded into the steps of a question."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from typing import Final, TypeVar

import numpy as np
import redis
from numpy.typing import NDArray

from events import sketch
from stores import layout
from stores.contract import (
    HOUR,
    Bits,
    Counts,
    Slice,
    StoreUnavailable,
    TooMuch,
    Users,
    Values,
)
from stores.hot import HotStore
from stores.pane import MEASURES, MINUTE, SKETCHED, Grouping

SERIES_PER_CALL: Final = 100  # 24 hours of one are 46 KB
SKETCHES_PER_CALL: Final = 60  # 740 KB
MAX_CELLS: Final = 3_000_000  # series times steps of one answer
_WIDTH: Final = len(MEASURES)
_Members = Callable[[str, Grouping, int, int], list[Values]]
_Item = TypeVar("_Item")


class HotReader:
    """Answers from a `HotStore`. Nothing is cached here."""

    name = "hot"

    def __init__(self, store: HotStore) -> None:
        self._store = store

    def counts(self, ask: Slice) -> Counts:
        """See `Reader`: reads minutes, some series at a time, and adds them up by step."""
        with _reaching():
            found = self._passing(ask, self._store.members)
            first = (np.array(ask.edges[:-1]) - ask.start) // MINUTE
            sums: dict[Values, NDArray[np.int64]] = {}
            for some in _batched(found, SERIES_PER_CALL):
                read = self._store.many(ask.project, ask.grouping, some, ask.start, ask.end)
                for values, minutes in zip(some, read, strict=True):
                    if not minutes[:, 0].any():
                        continue
                    rows = np.add.reduceat(minutes, first, axis=0)
                    name = _kept(ask, values)
                    sums[name] = sums[name] + rows if name in sums else rows
                    if len(sums) * ask.steps > MAX_CELLS:
                        raise TooMuch(f"over {MAX_CELLS:,} values (series times steps)")
        if not sums:
            return Counts.empty(ask.steps)
        return Counts(list(sums), np.stack(list(sums.values())).reshape(-1, ask.steps, _WIDTH))

    def users(self, ask: Slice) -> Users:
        """See `Reader`: whole hours from the hours' sketches, the rest from the minutes'."""
        if not ask.has_users:
            raise ValueError("no unions are kept for this")
        wanted: list[tuple[tuple[Values, int], str]] = []
        with _reaching():
            for values in self._passing(ask, self._store.sketched):
                prefix = layout.hour_users_prefix(ask.project, ask.grouping)
                prefix += layout.values_text(values)
                for step in range(ask.steps):
                    for at, width in hours_and_minutes(ask.edges[step], ask.edges[step + 1]):
                        key = layout.minute_users_key(ask.project, at)
                        key = f"{prefix}:{at}" if width == HOUR else key
                        wanted.append(((_kept(ask, values), step), key))
            unions: dict[tuple[Values, int], list[sketch.Entries]] = {}
            for some in _batched(wanted, SKETCHES_PER_CALL):
                read = self._store.sketches([key for _, key in some])
                for (place, _), entries in zip(some, read, strict=True):
                    if entries is not None and len(entries):
                        unions.setdefault(place, []).append(entries)
        return {place: sketch.union(parts) for place, parts in unions.items()}

    def active_users(self, ask: Slice, now: float) -> dict[Values, sketch.Entries]:
        """Users of the last five minutes by series of `ask`, whose edges do not matter.

        Only for the total and single dimensions, else ValueError. Raises StoreUnavailable.
        """
        if ask.grouping not in SKETCHED:
            raise ValueError("kept for the total and single dimensions only")
        with _reaching():
            found: dict[Values, list[sketch.Entries]] = {}
            for values in self._passing(ask, self._store.sketched):
                entries = self._store.active_sketch(ask.project, ask.grouping, values, now)
                found.setdefault(_kept(ask, values), []).append(entries)
        return {name: sketch.union(parts) for name, parts in found.items()}

    def since(self) -> int | None:
        """See `HotStore.since`. Raises StoreUnavailable."""
        with _reaching():
            return self._store.since()

    def completeness(self, project: str, edges: Sequence[int]) -> Bits:
        """See `Reader`."""
        with _reaching():
            status = self._store.status(project, edges[0], edges[-1])
        bits = np.where(status > 0, 1 << np.maximum(status, 1) - 1, 0).astype(np.uint8)
        first = (np.array(edges[:-1]) - edges[0]) // MINUTE
        joined: Bits = np.bitwise_or.reduceat(bits, first)
        return joined

    def _passing(self, ask: Slice, members: _Members) -> list[Values]:
        """The series that the question is about, by name where it names them all."""
        allowed = dict(ask.where)
        if all(name in allowed for name in ask.grouping):
            return sorted(product(*(sorted(set(allowed[name])) for name in ask.grouping)))
        return [
            values
            for values in members(ask.project, ask.grouping, ask.start, ask.end)
            if all(v in allowed.get(d, (v,)) for d, v in zip(ask.grouping, values, strict=True))
        ]


def hours_and_minutes(start: int, end: int) -> Iterator[tuple[int, int]]:
    """A range of whole minutes as (start, width): whole hours where they fit, else minutes."""
    while start < end:
        width = HOUR if start % HOUR == 0 and start + HOUR <= end else MINUTE
        yield start, width
        start += width


def _kept(ask: Slice, values: Values) -> Values:
    """Of a series' values those that the question keeps apart."""
    return tuple(v for d, v in zip(ask.grouping, values, strict=True) if d in ask.by)


def _batched(items: Sequence[_Item], size: int) -> Iterator[Sequence[_Item]]:
    for first in range(0, len(items), size):
        yield items[first : first + size]


@contextmanager
def _reaching() -> Iterator[None]:
    try:
        yield
    except redis.RedisError as error:
        raise StoreUnavailable(f"the hot store: {error}"[:200]) from error
