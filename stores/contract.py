"""What every store answers, hot or cold, in one shape: so that their answers add up at a seam.

A question is a `Slice` of one grouping set over steps of time. Two stores are asked for disjoint
minutes: counts are added, users united, completeness OR-ed, step by step. Times are epoch seconds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Final, NamedTuple, Protocol
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from events.sketch import Entries
from stores.pane import FINAL, MEASURES, MINUTE, PARTIAL, REVISED, SKETCHED, Grouping, Pane

Values = tuple[str, ...]
Ints = NDArray[np.int64]
Bits = NDArray[np.uint8]

HOUR: Final = 3_600
DAY: Final = 86_400

# Completeness of a step: which states its minutes are in, as bits, so that steps join with OR.
HAS_PARTIAL, HAS_FINAL, HAS_REVISED = 1 << (PARTIAL - 1), 1 << (FINAL - 1), 1 << (REVISED - 1)


class StoreUnavailable(Exception):
    """The store cannot be reached or does not answer in time; `args[0]` is one line."""


class TooMuch(Exception):
    """The store refuses a question as too large (rows, series or time); `args[0]` says the cap."""


def line_of(error: Exception) -> str:
    """An error as one line of at most 200 characters: for `StoreUnavailable`."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]


@dataclass(frozen=True)
class Slice:
    """What to read: series of one grouping set, over steps between `edges`.

    Every dimension of `grouping` is in `where` or in `by`, or in both. `where` names the values
    that pass (at least one each); series are kept apart by the values of `by` and summed (united)
    over the rest. Step i is `edges[i] <= t < edges[i+1]`; edges are whole minutes, ascending.
    """

    project: str
    grouping: Grouping
    edges: tuple[int, ...]
    where: tuple[tuple[str, tuple[str, ...]], ...] = ()
    by: Grouping = ()

    @property
    def start(self) -> int:
        """Inclusive."""
        return self.edges[0]

    @property
    def end(self) -> int:
        """Exclusive."""
        return self.edges[-1]

    @property
    def steps(self) -> int:
        """How many."""
        return len(self.edges) - 1

    @cached_property
    def step(self) -> int | None:
        """The width of all steps, or None when they differ (as days of a time zone may)."""
        widths = np.unique(np.diff(np.array(self.edges)))
        return int(widths[0]) if len(widths) == 1 else None

    def index(self, times: Ints) -> Ints:
        """The step of each time."""
        found: Ints = np.searchsorted(np.array(self.edges), times, side="right") - 1
        return found

    @property
    def has_users(self) -> bool:
        """Whether unions are kept for this: minutes of the total, hours of one dimension."""
        unit = HOUR if self.grouping else MINUTE
        return self.grouping in SKETCHED and all(edge % unit == 0 for edge in self.edges)


@dataclass(frozen=True, eq=False)
class Counts:
    """`measures[i, j]` (int64, columns of `MEASURES`) of series i in step j. Series without any row
    are left out; with no `by` there is at most the series `()`."""

    series: list[Values]
    measures: Ints  # [series, steps, 7]

    @classmethod
    def empty(cls, steps: int) -> "Counts":
        """No series."""
        return cls([], np.zeros((0, steps, len(MEASURES)), np.int64))


# The union of users by series (values of `by`) and step; what is absent has none.
Users = Mapping[tuple[Values, int], Entries]


class Reader(Protocol):
    """What a query needs of a store. Every method may raise StoreUnavailable or TooMuch."""

    @property
    def name(self) -> str:
        """As replies call it: hot, clickhouse, bigquery."""

    def counts(self, ask: Slice) -> Counts:
        """Numbers per series and step, in any order of series."""

    def users(self, ask: Slice) -> Users:
        """Unions per series and step. Only for an `ask.has_users`, else ValueError."""

    def completeness(self, project: str, edges: Sequence[int]) -> Bits:
        """HAS_… bits per step, of the project's total; 0 where nothing is."""


class ColdStore(Reader, Protocol):
    """History: written once a minute is final and whenever it is revised; larger count wins."""

    def write(self, panes: Sequence[Pane]) -> int:
        """Write panes of width MINUTE; returns how many series' rows were sent.

        Idempotent and commutative: of equal keys the row with most `rows` stays, among equals by
        status FINAL, REVISED, PARTIAL; sketches are united. Raises StoreUnavailable; whatever was
        written by then may be written again.
        """

    def close(self) -> None:
        """Let go of connections."""


class RawBatch(NamedTuple):
    """Rows of one message and project: where it stands in the log, and the rows' places in it."""

    project: str
    partition: int
    offset: int
    numbers: Ints  # of `rows` in their message
    rows: pa.RecordBatch  # all columns of `events.batch.SCHEMA`


class EventStore(Protocol):
    """Raw events, every row once, told apart by (project, partition, offset, number)."""

    def write_events(self, batches: Sequence[RawBatch]) -> int:
        """Store rows, in one insert; returns how many were sent. Idempotent. StoreUnavailable."""

    def close(self) -> None:
        """Let go of connections."""


def edges(start: int, end: int, step: int, timezone: str = "UTC") -> tuple[int, ...]:
    """Edges of steps from `start` to `end`; days begin at local midnight, whatever their length.

    The first and last step may be shorter: edges inside are multiples of `step` (of local days).
    A `step` of 0 is the whole range.
    """
    if step == 0:
        return (start, end)
    if step == DAY and timezone != "UTC":
        inside = _midnights(start, end, ZoneInfo(timezone))
    else:
        inside = list(range((start // step + 1) * step, end, step))
    return (start, *inside, end)


def _midnights(start: int, end: int, zone: ZoneInfo) -> list[int]:
    """Local midnights (or the first moment of a day that has none) after `start`, before `end`."""
    day = datetime.fromtimestamp(start, zone).date()
    found: list[int] = []
    while True:
        day += timedelta(days=1)
        at = int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp())
        if at >= end:
            return found
        if at > (found[-1] if found else start):  # some islands have skipped a day
            found.append(at)


def status_of(bits: int) -> int:
    """PARTIAL while any minute is, else REVISED when any was, else FINAL; 0 for nothing."""
    if bits & HAS_PARTIAL:
        return PARTIAL
    if bits & HAS_REVISED:
        return REVISED
    return FINAL if bits & HAS_FINAL else 0
