"""What a pipeline hands to a store: the absolute value of one window of one grouping set."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from events.sketch import Entries

DIMENSIONS: Final = ("country", "device", "category")
Grouping = tuple[str, ...]  # a subset of DIMENSIONS, in that order; () is the total
# All eight, the total first.
GROUPING_SETS: Final[tuple[Grouping, ...]] = (
    (),
    ("country",),
    ("device",),
    ("category",),
    ("country", "device"),
    ("country", "category"),
    ("device", "category"),
    ("country", "device", "category"),
)


def mask(grouping: Grouping) -> int:
    """A grouping set as stores keep it: bit i stands for DIMENSIONS[i]."""
    return sum(1 << DIMENSIONS.index(name) for name in grouping)


# Unique users are kept for these only.
SKETCHED: Final[tuple[Grouping, ...]] = GROUPING_SETS[:4]

# Columns of `measures`. `rows` counts every row, bots too: it only grows, and is the version that
# "larger count wins" compares. Rows of bots are in `rows` and `bots` and in nothing else, so that
# events = rows - bots. Custom types are events - (the four named ones).
MEASURES: Final = (
    "rows",
    "page_views",
    "clicks",
    "purchases",
    "errors",
    "bots",
    "revenue_micros",
)

# How complete the numbers of a window are. REVISED: changed after the watermark had passed its end.
NONE, PARTIAL, FINAL, REVISED = 0, 1, 2, 3
STATUS_NAMES: Final = ("none", "partial", "final", "revised")

# Among equal counts, by status: an on-time pane proves that nothing came after it.
RANK: Final = (0, 1, 3, 2)

MINUTE: Final = 60  # FixedWindows(60): the series
PULSE: Final = 10  # FixedWindows(10): events per second
ACTIVE: Final = 300  # SlidingWindows(300, 60): active users
KEEP_ACTIVE: Final = 300  # seconds after its end that such a window is kept


@dataclass(frozen=True, eq=False)
class Pane:
    """One firing of one window: absolute values, not differences.

    `series[i]` holds the values of `grouping`'s dimensions, `measures[i]` (int64, one column per
    name of `MEASURES`) its numbers. `sketch` has the users of series i under id i (bots left out),
    or is empty where no uniques are kept. `width` is MINUTE, PULSE or ACTIVE. ACTIVE has
    the numbers of one of the window's minutes: the window's users are the union of those.
    """

    project: str
    grouping: Grouping
    start: int  # epoch seconds, the window's inclusive start
    width: int  # seconds
    status: int  # PARTIAL, FINAL or REVISED
    series: list[tuple[str, ...]]
    measures: NDArray[np.int64]
    sketch: Entries = field(default_factory=lambda: np.empty(0, np.uint32))
    minute: int = 0  # of ACTIVE: start of the minute whose users these are

    @property
    def rows(self) -> int:
        """All rows of all series: what tells the newer of two panes of a window."""
        return int(self.measures[:, 0].sum())


def is_history(pane: Pane) -> bool:
    """Whether a pane belongs into a cold store: a minute that its watermark has passed."""
    return pane.width == MINUTE and pane.status in (FINAL, REVISED)
