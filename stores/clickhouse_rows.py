"""Panes and batches of raw events as the Arrow tables that ClickHouse takes."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from events.batch import SCHEMA
from events.sketch import Entries
from stores.clickhouse_state import to_state
from stores.contract import RawBatch
from stores.pane import DIMENSIONS, MEASURES, MINUTE, RANK, Pane, mask
from stores.unions import Place

_RANK: Final = np.array(RANK, np.uint64)
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
        "version": rows * np.uint64(4) + _RANK[status],
    }
    return pa.table(columns).filter(pa.array(rows > 0))


def states(unions: Mapping[Place, Entries]) -> pa.Table:
    """Rows of a table of unions, states as bytes."""
    projects, groupings, values, buckets = zip(*unions, strict=True) if unions else ((),) * 4
    return pa.table(
        {
            "project": pa.array(projects, pa.utf8()),
            "grouping": pa.array(groupings, pa.uint8()),
            "value": pa.array(values, pa.utf8()),
            "bucket": pa.array(buckets, pa.uint32()),
            "state": pa.array([to_state(entries) for entries in unions.values()], pa.binary()),
        }
    )


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
