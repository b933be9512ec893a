"""Panes and batches of raw events as the Arrow tables that ClickHouse takes."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from events import sketch
from events.batch import SCHEMA
from events.sketch import Entries
from stores.clickhouse_state import to_state
from stores.contract import HOUR, RawBatch
from stores.pane import DIMENSIONS, FINAL, MEASURES, MINUTE, PARTIAL, REVISED, SKETCHED, Pane, mask

# Among equal counts FINAL wins, then REVISED: as in the hot store.
_RANK: Final = np.array([0, 1, 3, 2])[[0, PARTIAL, FINAL, REVISED]]
_MILLISECONDS: Final = pa.timestamp("ms", "UTC")
_TIMES: Final = ("event_time", "client_time", "received_at")


def rollup(panes: Sequence[Pane]) -> pa.Table:
    """Rows of rollup_1m: one per series and minute. Series without any row are left out."""
    lengths = [len(pane.series) for pane in panes]
    measures = np.concatenate(
        [np.empty((0, len(MEASURES)), np.int64), *(pane.measures for pane in panes)]
    )
    status = np.repeat([pane.status for pane in panes], lengths).astype(np.uint8)
    rows = measures[:, 0].astype(np.uint64)
    columns: dict[str, Any] = {
        "project": _repeated([pane.project for pane in panes], lengths),
        "grouping": np.repeat([mask(pane.grouping) for pane in panes], lengths).astype(np.uint8),
        **{name: _dimension(panes, name) for name in DIMENSIONS},
        "minute": np.repeat([pane.start for pane in panes], lengths).astype(np.uint32),
        **{name: measures[:, i] for i, name in enumerate(MEASURES)},
        "status": status,
        "version": rows * np.uint64(4) + _RANK[status].astype(np.uint64),
    }
    return pa.table(columns).filter(pa.array(rows > 0))


def unions(panes: Sequence[Pane]) -> tuple[pa.Table, pa.Table]:
    """Rows of uniques_1m (the total's) and of uniques_1h (all), states as bytes."""
    minutes: dict[tuple[str, int, str, int], list[Entries]] = defaultdict(list)
    hours: dict[tuple[str, int, str, int], list[Entries]] = defaultdict(list)
    for pane in panes:
        if not len(pane.sketch) or pane.grouping not in SKETCHED:
            continue
        bits, hour = mask(pane.grouping), pane.start // HOUR * HOUR
        for values, entries in zip(
            pane.series, sketch.split(pane.sketch, len(pane.series)), strict=True
        ):
            value = values[0] if values else ""
            if len(entries):
                hours[pane.project, bits, value, hour].append(entries)
            if len(entries) and not bits:
                minutes[pane.project, bits, value, pane.start].append(entries)
    return _states(minutes), _states(hours)


def raw(batches: Sequence[RawBatch]) -> pa.Table:
    """Rows of `events`, in one chunk: strings stay dictionaries, and all share one per column.

    (ClickHouse's reader keeps the first dictionary of a stream, so there must be but one.)
    """
    tables = []
    for batch in batches:
        count = batch.rows.num_rows
        place: dict[str, Any] = {
            "project": _repeated([batch.project], [count]),
            "partition": np.full(count, batch.partition, np.uint16),
            "offset": np.full(count, batch.offset, np.uint64),
            "row": batch.numbers.astype(np.uint32),
        }
        for name in SCHEMA.names:
            column = batch.rows.column(name)
            place[name] = column.cast(_MILLISECONDS) if name in _TIMES else column
        tables.append(pa.table(place))
    return pa.concat_tables(tables).unify_dictionaries().combine_chunks()


def check(panes: Sequence[Pane]) -> None:
    """Raises ValueError for panes that are no minutes."""
    for pane in panes:
        if pane.width != MINUTE or pane.start % MINUTE:
            raise ValueError(f"a pane of {pane.width} s at {pane.start} is no minute")


def _dimension(panes: Sequence[Pane], name: str) -> pa.Array:
    values: list[str] = []
    for pane in panes:
        if name in pane.grouping:
            index = pane.grouping.index(name)
            values += [series[index] for series in pane.series]
        else:
            values += [""] * len(pane.series)
    return pa.array(values, pa.utf8())


def _repeated(values: Sequence[str], lengths: Sequence[int]) -> pa.DictionaryArray:
    names = list(dict.fromkeys(values))
    numbers = {name: i for i, name in enumerate(names)}
    index = np.repeat(np.array([numbers[value] for value in values], np.int32), lengths)
    return pa.DictionaryArray.from_arrays(index, pa.array(names, pa.utf8()))


def _states(found: dict[tuple[str, int, str, int], list[Entries]]) -> pa.Table:
    projects, groupings, values, buckets = zip(*found, strict=True) if found else ((),) * 4
    return pa.table(
        {
            "project": pa.array(projects, pa.utf8()),
            "grouping": pa.array(groupings, pa.uint8()),
            "value": pa.array(values, pa.utf8()),
            "bucket": pa.array(buckets, pa.uint32()),
            "state": pa.array(
                [to_state(sketch.merge(parts)) for parts in found.values()], pa.binary()
            ),
        }
    )
