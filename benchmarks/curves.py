"""How long things take, from how many were at each place by when. Pure.

A curve says how many events had come to a place by a moment. What a total shows cannot be told
apart by event, so the wait between two places is that of the k-th event at each: the right mean in
any order, the right percentiles when events keep their order, and too narrow where they do not.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

POINTS: Final = 10_000  # of a curve at which waits are taken, evenly by events


class Curve(NamedTuple):
    """`events[i]` events by `at[i]` (seconds); neither ever falls."""

    at: Floats
    events: Ints

    @property
    def total(self) -> int:
        """Events at its end."""
        return int(self.events[-1]) if len(self.events) else 0

    def less(self, before: int) -> "Curve":
        """Without the first `before` events, which came earlier."""
        kept = self.events > before
        return Curve(self.at[kept], self.events[kept] - before)


def curve(points: Sequence[tuple[float, int]]) -> Curve:
    """Of looks: (when, how many by then)."""
    at, count = np.array([p[0] for p in points], float), np.array([p[1] for p in points], np.int64)
    return Curve(at, count)


def cumulated(at: Floats, events: Ints) -> Curve:
    """Of things that came in any order, `events[i]` of them at `at[i]`."""
    order = np.argsort(at, kind="stable")
    return Curve(at[order], np.cumsum(events[order]))


def reached(line: Curve, counts: Ints) -> Floats:
    """When so many had come; inf for what never came."""
    at: Floats = np.append(line.at, np.inf)[np.searchsorted(line.events, counts)]
    return at


def even(total: int, points: int = POINTS) -> Ints:
    """At most so many places of events in their order, evenly from the first to the last."""
    return np.unique(np.linspace(1, total, min(total, points)).astype(np.int64))


def waits(first: Curve, then: Curve) -> Floats:
    """Seconds from the one place to the other, evenly by events; nothing that did not arrive.

    An event that is seen at the second place before the first says so (an acknowledgement that
    takes longer than the way to the store) waited for 0.
    """
    if not first.total:
        return np.empty(0)
    counts = even(first.total)
    found = np.maximum(0.0, reached(then, counts) - reached(first, counts))
    arrived: Floats = found[np.isfinite(found)]
    return arrived
