"""Many sketches at once, as small as they can be: sparse until dense is smaller.

The sketches of the series of one window. A series with few registers set is held as entries (four
bytes each, see `events.sketch`), one with more than SPARSE_MAX as a row of all 16,384 registers, a
byte each. Which of the two depends on the number of registers alone, so the same users in any
order and batching give the same arrays. Dense rows merge by an elementwise maximum, at the speed of
memory; sorting entries, as for sparse ones, costs thirty times as much.
"""

from collections.abc import Iterable
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from events import sketch
from events.sketch import REGISTERS, Entries, Hashes

Ints = NDArray[np.int64]
Bytes = NDArray[np.uint8]

SPARSE_MAX: Final = REGISTERS // 4  # entries that take as many bytes as a dense row
_NO_IDS: Final = np.empty(0, np.int64)
_NO_ROWS: Final = np.empty((0, REGISTERS), np.uint8)
_TABLE: Final = 64  # bytes of a table of registers that one row may cost; else rows are sorted


class Sketches(NamedTuple):
    """The sketches of series 0, 1, 2, …; `dense[i]` has the registers of series `ids[i]`.

    `ids` ascend. A series that is in neither has seen nobody.
    """

    sparse: Entries = np.empty(0, np.uint32)
    ids: Ints = _NO_IDS
    dense: Bytes = _NO_ROWS

    def __bool__(self) -> bool:
        """Whether any series has a user."""
        return bool(len(self.sparse) or len(self.ids))

    @property
    def entries(self) -> Entries:
        """All of it as entries."""
        if not len(self.ids):
            return self.sparse
        return np.sort(np.concatenate((self.sparse, _entries(self.ids, self.dense))))


EMPTY: Final = Sketches()


class Ranked(NamedTuple):
    """Users in the order of their ranks, to be sketched by several groupings of their tags.

    `bounds[r]` is where those of rank r begin.
    """

    tag: Ints
    register: Ints
    rank: Bytes
    bounds: NDArray[np.intp]

    @classmethod
    def of(cls, hashes: Hashes, tags: Ints) -> "Ranked":
        """One tag for each hash; see `events.sketch` for register and rank."""
        rank = sketch.rank_of(hashes)
        order = np.argsort(rank, kind="stable")
        rank = rank[order]
        register = (hashes[order] & np.uint64(REGISTERS - 1)).astype(np.int64)
        return cls(tags[order], register, rank, np.searchsorted(rank, np.arange(65)))

    def sketches(self, series_of: Ints, count: int) -> Sketches:
        """Of `count` series. `series_of` is the series of each tag, or -1 for none."""
        if not len(self.tag):
            return EMPTY
        series = series_of[self.tag]
        place = series * REGISTERS + self.register
        if count * REGISTERS > _TABLE * len(place) or int(series.min()) < 0:
            kept = series >= 0
            entries = (place[kept] << 6 | self.rank[kept]).astype(np.uint32)
            return from_entries(sketch.distinct(entries), count)
        table = np.zeros(count * REGISTERS, np.uint8)
        for rank, (low, high) in enumerate(pairwise(self.bounds.tolist())):
            if low < high:
                table[place[low:high]] = rank  # ascending: the largest stays
        return _from_table(table.reshape(count, REGISTERS))


def from_entries(entries: Entries, count: int) -> Sketches:
    """Entries of `count` series, those of each in as little room as it takes."""
    if not len(entries):
        return EMPTY
    series = (entries >> np.uint32(20)).astype(np.int64)
    many = np.bincount(series, minlength=count) > SPARSE_MAX
    if not many.any():
        return Sketches(entries)
    ids = np.flatnonzero(many)
    dense = np.zeros((len(ids), REGISTERS), np.uint8)
    _raise(dense, _places(ids, count), entries[many[series]])
    return Sketches(entries[~many[series]], ids, dense)


def merge(parts: Iterable[tuple[Sketches, Ints]], count: int) -> Sketches:
    """The union, of `count` series. With each part go the new ids of its series; -1 drops one."""
    given = [(part, new) for part, new in parts if part]
    if not given:
        return EMPTY
    many = np.zeros(count, np.bool_)
    for part, new in given:
        kept = new[part.ids]
        many[kept[kept >= 0]] = True
    ids = np.flatnonzero(many)
    place = _places(ids, count)
    dense = np.zeros((len(ids), REGISTERS), np.uint8)
    rest = []
    for part, new in given:
        for row, at in zip(part.dense, new[part.ids].tolist(), strict=True):
            if at >= 0:
                target = dense[place[at]]
                np.maximum(target, row, out=target)
        if len(part.sparse):
            mine = sketch.renumber(part.sparse, new)
            if len(ids) and len(mine):
                held = many[mine >> np.uint32(20)]
                _raise(dense, place, mine[held])
                mine = mine[~held]
            rest.append(mine)
    sparse = from_entries(sketch.merge(rest), count)
    if not len(sparse.ids):
        return Sketches(sparse.sparse, ids, dense)
    ids = np.concatenate((ids, sparse.ids))
    order = np.argsort(ids)
    return Sketches(sparse.sparse, ids[order], np.concatenate((dense, sparse.dense))[order])


def _raise(dense: Bytes, place: Ints, entries: Entries) -> None:
    """Registers up to those of entries, at most one for each; `place` is the row of each series."""
    register = (entries >> np.uint32(6)) & np.uint32(REGISTERS - 1)
    at = place[entries >> np.uint32(20)] * REGISTERS + register
    flat = dense.reshape(-1)
    flat[at] = np.maximum(flat[at], (entries & np.uint32(63)).astype(np.uint8))


def _places(ids: Ints, count: int) -> Ints:
    place = np.full(count, -1, np.int64)
    place[ids] = np.arange(len(ids))
    return place


def _from_table(table: Bytes) -> Sketches:
    many = np.count_nonzero(table, axis=1) > SPARSE_MAX
    ids = np.flatnonzero(many)
    few = np.flatnonzero(~many)
    if not len(few):
        return Sketches(ids=ids, dense=table)
    return Sketches(_entries(few, table[few] if len(ids) else table), ids, table[ids])


def _entries(ids: Ints, rows: Bytes) -> Entries:
    """Rows of registers as entries; row i is of series `ids[i]`."""
    place = np.flatnonzero(rows)
    row, register = np.divmod(place, REGISTERS)
    high: Entries = (ids[row] << 20 | register << 6).astype(np.uint32)
    return high | rows.reshape(-1)[place]
