"""The questions of the contract as SQL with bound parameters; no value is ever put into the text.

Rows come back per series and step, where a step is told by any time in it (`at`, epoch seconds),
which `Slice.index` turns into its number: time zones stay on our side.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Final

import numpy as np

from stores.clickhouse_tables import ROLLUP_VIEWS
from stores.contract import Slice
from stores.pane import DIMENSIONS, MEASURES, Grouping, mask
from stores.pieces import Piece, Unit

_VIEWS: Final = ", ".join(f"'{name}'" for name in ROLLUP_VIEWS)
COLUMN: Final[dict[Unit, str]] = {"1m": "minute", "1h": "hour", "1d": "day"}


@dataclass
class Query:
    """SQL text and the values of its parameters."""

    text: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    threads: int = 1  # of the server; a second one slows a small question down by a seventh

    def bind(self, kind: str, value: Any) -> str:
        """A parameter of this ClickHouse type, as it stands in the text."""
        name = f"p{len(self.values)}"
        self.values[name] = value
        return f"{{{name}:{kind}}}"


def counts(database: str, ask: Slice, pieces: Sequence[Piece]) -> Query:
    """Columns: the dimensions of `by`, `at`, and one per measure (`m0` to `m6`)."""
    bounded = set(ask.by) <= {name for name, _ in ask.where}
    query = Query(threads=1 if bounded else 2)
    by = "".join(f"{name}, " for name in ask.by)
    sums = ", ".join(f"sum({name}) AS m{i}" for i, name in enumerate(MEASURES))
    parts = [
        f"SELECT {by}{_at(query, COLUMN[unit], ask.edges)} AS at, {sums}"
        f" FROM {database}.rollup_{unit} FINAL"
        f" WHERE {_series(query, ask.project, ask.grouping, dict(ask.where))}"
        f" AND {_during(query, COLUMN[unit], spans)} GROUP BY {by}at"
        for unit, spans in _by_unit(pieces)
    ]
    query.text = " UNION ALL ".join(parts)
    return query


def completeness(database: str, project: str, edges: Sequence[int], pieces: list[Piece]) -> Query:
    """Columns: `at` and `bits`."""
    query = Query()
    parts = [
        f"SELECT {_at(query, COLUMN[unit], edges)} AS at, groupBitOr("
        f"{'toUInt8(bitShiftLeft(1, status - 1))' if unit == '1m' else 'status'}) AS bits"
        f" FROM {database}.rollup_{unit} FINAL WHERE {_series(query, project, (), {})}"
        f" AND {_during(query, COLUMN[unit], spans)} GROUP BY at"
        for unit, spans in _by_unit(pieces)
    ]
    query.text = " UNION ALL ".join(parts)
    return query


def refreshed(database: str) -> Query:
    """Columns: `view` and `at`, when its last complete refresh began (epoch seconds)."""
    return Query(
        f"SELECT view, toUnixTimestamp(max(at)) AS at FROM {database}.refresh_marks"
        f" WHERE view IN ({_VIEWS}) GROUP BY view"
    )


def users(database: str, ask: Slice, pieces: Sequence[Piece]) -> Query:
    """Columns: `series` (the value of the dimension in `by`, else ""), `at`, `state` (bytes)."""
    query = Query(threads=2)
    value = "value" if ask.by else "''"
    parts = []
    for unit, spans in _by_unit(pieces):
        conditions = [
            f"project = {query.bind('String', ask.project)}",
            f"grouping = {query.bind('UInt8', mask(ask.grouping))}",
            *(_one_of(query, "value", passing) for _, passing in ask.where),
            _during(query, "bucket", spans),
        ]
        parts.append(
            f"SELECT {value} AS series, {_at(query, 'bucket', ask.edges)} AS at,"
            " CAST(uniqCombined64MergeState(14)(state) AS String) AS state"
            f" FROM {database}.uniques_{unit} WHERE {' AND '.join(conditions)}"
            " GROUP BY series, at"
        )
    query.text = " UNION ALL ".join(parts)
    return query


def where(query: Query, filters: dict[str, tuple[str, ...]]) -> list[str]:
    """Conditions that let the named values of each dimension pass."""
    return [_one_of(query, name, filters[name]) for name in DIMENSIONS if name in filters]


def _series(
    query: Query, project: str, grouping: Grouping, filters: dict[str, tuple[str, ...]]
) -> str:
    """Every column of the sorting key where that is possible: so that the index finds it."""
    conditions = [
        f"project = {query.bind('String', project)}",
        f"grouping = {query.bind('UInt8', mask(grouping))}",
        *(f"{name} = ''" for name in DIMENSIONS if name not in grouping),
        *where(query, filters),
    ]
    return " AND ".join(conditions)


def _one_of(query: Query, column: str, passing: Sequence[str]) -> str:
    """Equality where it will do: half the cost of a set of one value."""
    if len(passing) == 1:
        return f"{column} = {query.bind('String', passing[0])}"
    return f"{column} IN {query.bind('Array(String)', list(passing))}"


def _by_unit(pieces: Sequence[Piece]) -> list[tuple[Unit, list[Piece]]]:
    ordered = sorted(pieces)
    return [(unit, list(group)) for unit, group in groupby(ordered, lambda piece: piece.unit)]


def _during(query: Query, column: str, spans: Sequence[Piece]) -> str:
    ranges = [
        f"{column} >= toDateTime({query.bind('UInt32', span.start)}, 'UTC')"
        f" AND {column} < toDateTime({query.bind('UInt32', span.end)}, 'UTC')"
        for span in spans
    ]
    return ranges[0] if len(ranges) == 1 else f"({' OR '.join(f'({each})' for each in ranges)})"


def _at(query: Query, column: str, edges: Sequence[int]) -> str:
    """A time in the step of `column`: the same for the whole step, never that of another."""
    steps = np.array(edges, np.int64)
    if len(steps) == 2:
        return query.bind("UInt32", edges[0])
    seconds = f"toUnixTimestamp({column})"
    width = int(steps[2] - steps[1]) if len(steps) > 3 else int(np.diff(steps).max())
    inside = steps[1:-1]
    widths = np.diff(steps)
    if not (inside % width).any() and (widths[1:-1] == width).all() and widths.max() <= width:
        # Multiples of the width; the first and the last step may be cut short.
        start = query.bind("UInt32", edges[0])
        return f"greatest(intDiv({seconds}, {width}) * {width}, {start})"
    # The largest edge that is not later.
    return f"roundDown({seconds}, {query.bind('Array(UInt32)', list(edges[:-1]))})"
