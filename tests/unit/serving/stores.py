"""Stores in memory: the hot one as the live view reads it, and any as queries read it."""

from collections.abc import Sequence

import numpy as np
import redis
from numpy.typing import NDArray

from events import sketch
from stores.contract import Counts, Slice, StoreUnavailable, Users
from stores.hot_calls import LiveRows, LiveSlice
from stores.pane import FINAL, MEASURES, MINUTE, PULSE, SKETCHED, Grouping
from stores.recent import Entry

Values = tuple[str, ...]
COLUMN = {name: i for i, name in enumerate(MEASURES)}


class MemoryStore:
    """Rows per (grouping, values, window start, width)."""

    def __init__(self) -> None:
        self.rows: dict[tuple[Grouping, Values, int, int], NDArray[np.int64]] = {}
        self.states: dict[int, int] = {}
        self.active: dict[tuple[Grouping, Values], int] = {}
        self.beats: int | None = None
        self.lost: int | None = None
        self.away = False
        self.ended = float("inf")  # from then on nobody is active
        self.recent: list[Entry] = []
        self.reads = 0
        self.spans: list[tuple[int, int]] = []  # of minutes that a live view read
        self.ranked: list[Grouping] = []  # whose members were asked for

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

    def live(self, ask: LiveSlice) -> LiveRows:
        self._reach()
        self.reads += 1
        self.spans.append((ask.first, ask.end))
        kept = ask.grouping in SKETCHED
        of, values = ask.grouping, ask.values
        users = self.active.get((of, values), 0) if ask.now < self.ended else 0
        ids = np.array([sketch.user_hash(str(i)) for i in range(users)], np.uint64)
        return LiveRows(
            self._rows(of, values, ask.first, ask.end),
            self.status(ask.project, ask.start, ask.end),
            sketch.from_hashes(ids) if kept else None,
            self._rows(of, values, *ask.pulses, PULSE) if kept else None,
            (self.beats, self.lost),
            list(self.recent) if ask.recent else None,
        )

    def many(
        self, project: str, grouping: Grouping, series: Sequence[Values], start: int, end: int
    ) -> list[NDArray[np.int64]]:
        self._reach()
        return [self._rows(grouping, values, start, end) for values in series]

    def members(self, project: str, grouping: Grouping, start: int, end: int) -> list[Values]:
        self._reach()
        self.ranked.append(grouping)
        return sorted({values for of, values, _, _ in self.rows if of == grouping})

    def status(self, project: str, start: int, end: int) -> NDArray[np.uint8]:
        self._reach()
        return np.array([self.states.get(at, 0) for at in range(start, end, MINUTE)], np.uint8)

    def _rows(
        self, grouping: Grouping, values: Values, start: int, end: int, width: int = MINUTE
    ) -> NDArray[np.int64]:
        empty = np.zeros(len(MEASURES), np.int64)
        found = [
            self.rows.get((grouping, values, at, width), empty) for at in range(start, end, width)
        ]
        return np.array(found, np.int64).reshape(-1, len(MEASURES))

    def _reach(self) -> None:
        if self.away:
            raise redis.ConnectionError("away")


class MemoryReader:
    """A store of minutes in memory, answering as `stores.contract.Reader` says, by brute force."""

    def __init__(self, name: str = "hot") -> None:
        self.name = name
        self.rows: dict[tuple[Grouping, Values, int], NDArray[np.int64]] = {}
        self.states: dict[int, int] = {}
        self.seen: dict[tuple[Grouping, Values], set[tuple[int, str]]] = {}
        self.active: dict[tuple[Grouping, Values], int] = {}
        self.beginning: int | None = None
        self.away = ""
        self.asked: list[Slice] = []

    def put(
        self,
        at: int,
        grouping: Grouping = (),
        values: Values = (),
        status: int = FINAL,
        users: Sequence[str] = (),
        **numbers: int,
    ) -> None:
        """One minute's measures and users."""
        row = np.zeros(len(MEASURES), np.int64)
        for name, number in numbers.items():
            row[COLUMN[name]] = number
        self.rows[grouping, values, at] = row
        self.seen.setdefault((grouping, values), set()).update((at, user) for user in users)
        if not grouping:
            self.states[at] = status

    def counts(self, ask: Slice) -> Counts:
        self._reach(ask)
        sums: dict[Values, NDArray[np.int64]] = {}
        for (grouping, values, at), row in self.rows.items():
            if grouping == ask.grouping and ask.start <= at < ask.end and passes(ask, values):
                empty = np.zeros((ask.steps, len(MEASURES)), np.int64)
                mine = sums.setdefault(kept(ask, values), empty)
                mine[int(ask.index(np.array([at]))[0])] += row
        if not sums:
            return Counts.empty(ask.steps)
        return Counts(list(sums), np.stack(list(sums.values())))

    def users(self, ask: Slice) -> Users:
        self._reach(ask)
        if not ask.has_users:
            raise ValueError("no unions are kept for this")
        unions: dict[tuple[Values, int], list[sketch.Entries]] = {}
        for (grouping, values), pairs in self.seen.items():
            if grouping != ask.grouping or not passes(ask, values):
                continue
            for at, user in pairs:
                # An hour of one dimension is one sketch.
                unit = at // 3_600 * 3_600 if grouping else at
                if ask.start <= unit < ask.end:
                    step = int(ask.index(np.array([unit]))[0])
                    hashes = np.array([sketch.user_hash(user)], np.uint64)
                    place = (kept(ask, values), step)
                    unions.setdefault(place, []).append(sketch.from_hashes(hashes))
        return {place: sketch.merge(parts) for place, parts in unions.items()}

    def completeness(self, project: str, edges: Sequence[int]) -> NDArray[np.uint8]:
        ask = Slice(project, (), tuple(edges))
        self._reach(ask)
        bits = np.zeros(ask.steps, np.uint8)
        for at, state in self.states.items():
            if ask.start <= at < ask.end:
                bits[int(ask.index(np.array([at]))[0])] |= 1 << (state - 1)
        return bits

    def since(self) -> int | None:
        if self.away:
            raise StoreUnavailable(self.away)
        return self.beginning

    def active_users(self, ask: Slice, now: float) -> dict[Values, sketch.Entries]:
        self._reach(ask)
        if ask.grouping not in SKETCHED:
            raise ValueError("kept for the total and single dimensions only")
        found = {}
        for (grouping, values), count in self.active.items():
            if grouping == ask.grouping and passes(ask, values):
                ids = [sketch.user_hash(f"{values}{i}") for i in range(count)]
                found[kept(ask, values)] = sketch.from_hashes(np.array(ids, np.uint64))
        return found

    def _reach(self, ask: Slice) -> None:
        if self.away:
            raise StoreUnavailable(self.away)
        self.asked.append(ask)


def passes(ask: Slice, values: Values) -> bool:
    """Whether a series is one of those asked about."""
    allowed = dict(ask.where)
    return all(v in allowed.get(d, (v,)) for d, v in zip(ask.grouping, values, strict=True))


def kept(ask: Slice, values: Values) -> Values:
    """The values that the question keeps apart."""
    return tuple(v for d, v in zip(ask.grouping, values, strict=True) if d in ask.by)
