"""Rows to partial cubes: one vectorised group-by for all the messages of a poll.

Rows are grouped once into the finest cells (ten seconds, country, device, category); minutes and
coarser grouping sets are summed from those few cells. Cost in `benchmarks`; nothing here loops over
events.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from events.sketches import Ranked
from stores.pane import DIMENSIONS, GROUPING_SETS, MEASURES, MINUTE, PULSE, SKETCHED, Grouping
from transforms.cube import MAX_SERIES, RECORD, UNIT, Cube

Ints = NDArray[np.int64]

# What a row counts as: column of MEASURES by type. Other types count as rows alone.
_KIND: Final = {"page_view": 1, "click": 2, "purchase": 3, "error": 4}
_BOT: Final = 5
_MOST: Final = 1 << 62  # numbers of cells
_CLEAN: Final = str.maketrans({UNIT: " ", RECORD: " "})


class Partial(NamedTuple):
    """One bundle's cube of one grouping set and window: `start` in epoch seconds."""

    grouping: Grouping
    start: int
    cube: Cube


class Cells:
    """The rows of one project, grouped into the finest cells of ten seconds."""

    def __init__(self, rows: pa.Table) -> None:
        self._rows = rows
        times = rows.column("event_time").to_numpy() // (PULSE * 1000)
        first, slot = group(times)
        self._starts: Ints = (times[first] * PULSE).astype(np.int64)
        self._bot = rows.column("bot").combine_chunks().to_numpy(zero_copy_only=False)
        codes, values = zip(*(_codes(rows, name) for name in DIMENSIONS), strict=True)
        self._values: list[list[str]] = list(values)
        self._sizes = [max(1, len(vs)) for vs in self._values]
        cell, size = self._composite(slot, len(self._starts), codes, range(len(codes)))
        first, self._cell = _group(cell, size)
        self._measures = self._count(len(first))
        self._cell_codes = [code[first] for code in codes]
        self._cell_slot = slot[first]

    def minutes(self, cap: int = MAX_SERIES) -> Iterator[Partial]:
        """Cubes of all eight grouping sets per minute, with sketches where they are kept."""
        return self._partials(MINUTE, GROUPING_SETS, SKETCHED, cap)

    def pulses(self, cap: int = MAX_SERIES) -> Iterator[Partial]:
        """Cubes of the total and the single dimensions per ten seconds, without sketches."""
        return self._partials(PULSE, SKETCHED, (), cap)

    def _partials(
        self, width: int, groupings: Sequence[Grouping], sketched: Sequence[Grouping], cap: int
    ) -> Iterator[Partial]:
        """One partial per grouping set and window."""
        starts, window = np.unique(self._starts // width * width, return_inverse=True)
        cell_window = window[self._cell_slot]
        people = self._people(cell_window, len(starts)) if sketched else []
        for grouping in groupings:
            dims = [DIMENSIONS.index(name) for name in grouping]
            key, size = self._composite(cell_window, len(starts), self._cell_codes, dims)
            first, inverse = _group(key, size)
            measures = np.zeros((len(first), len(MEASURES)), np.int64)
            np.add.at(measures, inverse, self._measures)
            bounds = np.searchsorted(cell_window[first], np.arange(len(starts) + 1))
            place = np.full(len(first), -1, np.int64)  # among the series of its window
            cubes = []
            for low, high in pairwise(bounds.tolist()):
                order, left_out = _admit(measures[low:high, 0], cap)
                place[low + order] = np.arange(len(order))
                names = self._names(first[low:high][order], dims)
                cubes.append(Cube(names, measures[low:high][order], left_out=left_out))
            if grouping in sketched:
                series = place[inverse]
                for cube, users in zip(cubes, people, strict=True):
                    cube.users = users.sketches(series, len(cube.names))
            for start, cube in zip(starts.tolist(), cubes, strict=True):
                yield Partial(grouping, start, cube)

    def _count(self, cells: int) -> Ints:
        types, names = _codes(self._rows, "type")
        kinds = np.array([_KIND.get(name, 0) for name in names] or [0], np.int64)
        kind = kinds[types]
        if self._bot.any():
            kind = np.where(self._bot, _BOT, kind)
        table = np.bincount(self._cell * 6 + kind, minlength=cells * 6).reshape(-1, 6)
        measures = np.zeros((cells, len(MEASURES)), np.int64)
        measures[:, 1:6] = table[:, 1:]
        measures[:, 0] = table.sum(axis=1)
        revenue = self._rows.column("revenue_micros").to_numpy()
        paid = np.flatnonzero(revenue)
        paid = paid[~self._bot[paid]]
        np.add.at(measures[:, 6], self._cell[paid], revenue[paid])
        return measures

    def _composite(
        self, slot: Ints, size: int, codes: Sequence[Ints], dims: Iterable[int]
    ) -> tuple[Ints, int]:
        """Slot (below `size`) and some codes as one number, in their order, and a bound of it.

        Numbered anew in between when the product could pass 63 bits, which takes values without
        end in all dimensions. With at most one dimension it never does.
        """
        for dim in dims:
            if size * self._sizes[dim] > _MOST:
                values, slot = np.unique(slot, return_inverse=True)
                size = len(values)
            slot, size = slot * self._sizes[dim] + codes[dim], size * self._sizes[dim]
        return slot, size

    def _names(self, cells: Ints, dims: Sequence[int]) -> list[str]:
        """The series' names, each by one of its cells."""
        if not dims:
            return [""] * len(cells)
        parts = [
            [self._values[dim][i] for i in self._cell_codes[dim][cells].tolist()] for dim in dims
        ]
        return [UNIT.join(values) for values in zip(*parts, strict=True)]

    def _people(self, cell_window: Ints, windows: int) -> list[Ranked]:
        """Of each window, the users of the rows that are no bots, tagged with their cells."""
        hashes, cell = self._rows.column("user_hash").to_numpy(), self._cell
        if self._bot.any():
            human = np.flatnonzero(~self._bot)
            cell, hashes = cell[human], hashes[human]
        if windows == 1:
            return [Ranked.of(hashes, cell)]
        window = cell_window[cell]
        order = np.argsort(window, kind="stable")
        bounds = np.searchsorted(window[order], np.arange(windows + 1))
        mine = (order[low:high] for low, high in pairwise(bounds.tolist()))
        return [Ranked.of(hashes[rows], cell[rows]) for rows in mine]


def _admit(rows: Ints, cap: int) -> tuple[Ints, int]:
    """The series kept under the cap, largest first only when there are too many."""
    if len(rows) <= cap:
        return np.arange(len(rows)), 0
    order = np.argsort(-rows, kind="stable")
    return order[:cap], int(rows[order[cap:]].sum())


def _codes(rows: pa.Table, name: str) -> tuple[Ints, list[str]]:
    """A dictionary column as codes into its values; nulls read as the empty string."""
    column = rows.column(name).unify_dictionaries().combine_chunks()
    values = column.dictionary.to_pylist()
    indices = column.indices
    if indices.null_count:
        indices = indices.fill_null(len(values))
        values.append("")
    # Unified dictionaries hold each value once, but a stranger's single chunk need not; and two
    # values may be one without the characters that separate names.
    distinct: dict[str, int] = {}
    clean = [(value or "").translate(_CLEAN) for value in values]
    places = np.array([distinct.setdefault(value, len(distinct)) for value in clean], np.int64)
    codes = indices.to_numpy(zero_copy_only=False)
    return (places[codes] if len(places) else codes.astype(np.int64)), list(distinct)


def group(values: Ints) -> tuple[Ints, Ints]:
    """One row of each distinct value, in their order, and each row's place among them."""
    if not len(values):
        return values, values
    least = int(values.min())
    return _group(values - least, int(values.max()) - least + 1)


def _group(cell: Ints, size: int) -> tuple[Ints, Ints]:
    """`group` of values from 0 to below `size`. By counting when the range is small."""
    if size > max(1 << 16, 4 * len(cell)):
        _, first, inverse = np.unique(cell, return_index=True, return_inverse=True)
        return first, inverse
    cells = np.flatnonzero(np.bincount(cell, minlength=size))
    place = np.empty(size, np.int64)
    place[cell] = np.arange(len(cell))
    first = place[cells]
    place[cells] = np.arange(len(cells))
    return first, place[cell]
