"""Rows to partial cubes: one vectorised group-by for all the messages of a poll.

Rows are grouped once into the finest cells (slot, country, device, category); every coarser
grouping set is summed from those few cells. Cost in `benchmarks`; nothing here loops over events.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from events import sketch
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


def minute_cubes(rows: pa.Table, cap: int = MAX_SERIES) -> Iterator[Partial]:
    """Cubes of all eight grouping sets per minute, with sketches where they are kept."""
    return _Cells(rows, MINUTE).partials(GROUPING_SETS, SKETCHED, cap)


def pulse_cubes(rows: pa.Table, cap: int = MAX_SERIES) -> Iterator[Partial]:
    """Cubes of the total and the single dimensions per ten seconds, without sketches."""
    return _Cells(rows, PULSE).partials(SKETCHED, (), cap)


class _Cells:
    """The rows of one project, grouped into the finest cells of one window width."""

    def __init__(self, rows: pa.Table, width: int) -> None:
        self._rows = rows
        self._width = width
        slots, slot = np.unique(
            rows.column("event_time").to_numpy() // (width * 1000), return_inverse=True
        )
        self._bot = rows.column("bot").combine_chunks().to_numpy(zero_copy_only=False)
        self._starts: list[int] = (slots * width).tolist()
        codes, values = zip(*(_codes(rows, name) for name in DIMENSIONS), strict=True)
        self._values: list[list[str]] = list(values)
        self._sizes = [max(1, len(vs)) for vs in self._values]
        self._slot, self._codes = slot.astype(np.int64), codes
        cell, size = self._composite(self._slot, codes, range(len(codes)))
        first, inverse = _group(cell, size)
        self._measures = self._count(inverse, len(first))
        self._cell_codes = [code[first] for code in codes]
        self._cell_slot = self._slot[first]

    def partials(
        self, groupings: Sequence[Grouping], sketched: Sequence[Grouping], cap: int
    ) -> Iterator[Partial]:
        """One partial per grouping set and slot."""
        for grouping in groupings:
            dims = [DIMENSIONS.index(name) for name in grouping]
            key, _ = self._composite(self._cell_slot, self._cell_codes, dims)
            keys, first, inverse = np.unique(key, return_index=True, return_inverse=True)
            measures = np.zeros((len(keys), len(MEASURES)), np.int64)
            np.add.at(measures, inverse, self._measures)
            users = self._users(dims) if grouping in sketched else None
            bounds = np.searchsorted(self._cell_slot[first], np.arange(len(self._starts) + 1))
            for slot, start in enumerate(self._starts):
                low, high = int(bounds[slot]), int(bounds[slot + 1])
                order, left_out = _admit(measures[low:high, 0], cap)
                names = self._names(first[low:high][order], dims)
                cube = Cube(names, measures[low:high][order], left_out=left_out)
                if users is not None:
                    cube.entries = self._sketch(users, slot, keys[low:high][order])
                yield Partial(grouping, start, cube)

    def _count(self, inverse: Ints, cells: int) -> Ints:
        types, names = _codes(self._rows, "type")
        kinds = np.array([_KIND.get(name, 0) for name in names] or [0], np.int64)
        kind = np.where(self._bot, _BOT, kinds[types])
        table = np.bincount(inverse * 6 + kind, minlength=cells * 6).reshape(-1, 6)
        measures = np.zeros((cells, len(MEASURES)), np.int64)
        measures[:, 1:6] = table[:, 1:]
        measures[:, 0] = table.sum(axis=1)
        revenue = self._rows.column("revenue_micros").to_numpy()
        paid = np.flatnonzero((revenue != 0) & ~self._bot)
        np.add.at(measures[:, 6], inverse[paid], revenue[paid])
        return measures

    def _composite(
        self, slot: Ints, codes: Sequence[Ints], dims: Iterable[int]
    ) -> tuple[Ints, int]:
        """Slot and some codes as one number, in their order, and a bound of it.

        Numbered anew in between when the product could pass 63 bits, which takes values without
        end in all dimensions. With at most one dimension it never does.
        """
        size = len(self._starts)
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

    @cached_property
    def _people(self) -> tuple[Ints, sketch.Hashes, Ints]:
        """Rows that are no bots, by slot; their hashes; and where each slot begins and ends."""
        human = np.flatnonzero(~self._bot)
        order = human[np.argsort(self._slot[human], kind="stable")]
        hashes = self._rows.column("user_hash").to_numpy()[order]
        bounds = np.searchsorted(self._slot[order], np.arange(len(self._starts) + 1))
        return order, hashes, bounds

    def _users(self, dims: Sequence[int]) -> list[tuple[Ints, sketch.Hashes]]:
        """Per slot, the composite key and hash of each row that is no bot."""
        order, hashes, bounds = self._people
        key = self._composite(self._slot, self._codes, dims)[0][order]
        return [(key[a:b], hashes[a:b]) for a, b in pairwise(bounds)]

    @staticmethod
    def _sketch(users: list[tuple[Ints, sketch.Hashes]], slot: int, keys: Ints) -> sketch.Entries:
        key, hashes = users[slot]
        order = np.argsort(keys)
        place = np.searchsorted(keys[order], key)
        place[place == len(keys)] = 0
        admitted = keys[order][place] == key
        return sketch.from_hashes(hashes[admitted], order[place[admitted]])


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


def _group(cell: Ints, size: int) -> tuple[Ints, Ints]:
    """One row of each distinct value, in their order, and each row's place among them.

    By counting when the range is small.
    """
    if size > max(1 << 16, 4 * len(cell)):
        _, first, inverse = np.unique(cell, return_index=True, return_inverse=True)
        return first, inverse
    cells = np.flatnonzero(np.bincount(cell, minlength=size))
    place = np.empty(size, np.int64)
    place[cell] = np.arange(len(cell))
    first = place[cells]
    place[cells] = np.arange(len(cells))
    return first, place[cell]
