"""A hot store in memory, with the reads that serving uses."""

from collections.abc import Sequence

import numpy as np
import redis
from numpy.typing import NDArray

from stores.hot import Unique
from stores.pane import FINAL, MEASURES, MINUTE, PULSE, SKETCHED, Grouping

Values = tuple[str, ...]
COLUMN = {name: i for i, name in enumerate(MEASURES)}


class MemoryStore:
    """Rows per (grouping, values, window start, width); users per (grouping, values, start)."""

    def __init__(self) -> None:
        self.rows: dict[tuple[Grouping, Values, int, int], NDArray[np.int64]] = {}
        self.states: dict[int, int] = {}
        self.users: dict[tuple[Grouping, Values], set[tuple[int, str]]] = {}
        self.active: dict[tuple[Grouping, Values], int] = {}
        self.beats: int | None = None
        self.away = False
        self.reads = 0

    def put(
        self,
        at: int,
        grouping: Grouping = (),
        values: Values = (),
        status: int = FINAL,
        width: int = MINUTE,
        **numbers: int,
    ) -> None:
        """One window's measures."""
        row = np.zeros(len(MEASURES), np.int64)
        for name, number in numbers.items():
            row[COLUMN[name]] = number
        self.rows[grouping, values, at, width] = row
        if not grouping and width == MINUTE:
            self.states[at] = status

    def series(
        self,
        project: str,
        grouping: Grouping,
        values: Values,
        start: int,
        end: int,
        width: int = MINUTE,
    ) -> NDArray[np.int64]:
        if self.away:
            raise redis.ConnectionError("away")
        self.reads += 1
        empty = np.zeros(len(MEASURES), np.int64)
        found = [
            self.rows.get((grouping, values, at, width), empty) for at in range(start, end, width)
        ]
        return np.array(found, np.int64).reshape(-1, len(MEASURES))

    def many(
        self, project: str, grouping: Grouping, series: Sequence[Values], start: int, end: int
    ) -> list[NDArray[np.int64]]:
        return [self.series(project, grouping, values, start, end) for values in series]

    def pulse(
        self, project: str, grouping: Grouping, values: Values, start: int, end: int
    ) -> NDArray[np.int64]:
        return self.series(project, grouping, values, start, end, PULSE)

    def status(self, project: str, start: int, end: int) -> NDArray[np.uint8]:
        return np.array([self.states.get(at, 0) for at in range(start, end, MINUTE)], np.uint8)

    def members(self, project: str, grouping: Grouping, start: int, end: int) -> list[Values]:
        return sorted({values for group, values, *_ in self.rows if group == grouping})

    def active_users(self, project: str, grouping: Grouping, values: Values, now: float) -> Unique:
        return Unique(self.active.get((grouping, values), 0), 0.5)

    def unique_users(
        self, project: str, grouping: Grouping, values: Values, start: int, end: int
    ) -> Unique:
        if grouping not in SKETCHED:
            raise ValueError("unique users are kept for the total and single dimensions only")
        seen = self.users.get((grouping, values), set())
        return Unique(len({user for at, user in seen if start <= at < end}), 0.0)

    def last_beat(self) -> int | None:
        return self.beats
