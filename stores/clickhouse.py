"""History in ClickHouse: minutes as they were written, hours and days that follow by themselves.

Tables and views in `stores.clickhouse_schema`. Larger count wins in ReplacingMergeTree, and FINAL
applies it to what is not merged yet. Two users: one writes, the other can only read, within limits
that the server enforces.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Final, Self

import numpy as np
import pyarrow as pa

from events import sketch
from events.sketch import Entries
from stores import clickhouse_rows, clickhouse_sql
from stores.clickhouse_client import WRITE_SECONDS, Address, Connection
from stores.clickhouse_sql import Query
from stores.clickhouse_state import from_state
from stores.clickhouse_tables import ROLLUP_VIEWS, STATE
from stores.contract import HOUR, Bits, Counts, Ints, Slice, TooMuch, Users, Values
from stores.pane import MEASURES, Pane
from stores.pieces import pieces, settled
from stores.unions import unions

LOOK_SECONDS: Final = 30  # between looks at how far the views are
MAX_CELLS: Final = 2_000_000  # series times steps of one answer: 112 MB of numbers
_ROWS: Final = 200_000  # of one insert
INSERT: Final = {"async_insert": 0, "max_partitions_per_insert_block": 0}


class ClickHouseStore:
    """A `ColdStore`. One instance serves any number of threads or greenlets."""

    name: Final = "clickhouse"

    def __init__(
        self,
        url: str,
        reader_url: str | None = None,
        *,
        seconds: float = 10,
        max_cells: int = MAX_CELLS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`reader_url` names the user that queries, `seconds` bounds one. Connects at first use.

        Raises ValueError for what is no such URL.
        """
        reader = Address.parse(reader_url or url)
        limits = {
            "max_result_rows": max_cells,
            "do_not_merge_across_partitions_select_final": 1,
        }
        self._writer = Connection(Address.parse(url), WRITE_SECONDS, INSERT)
        self._reader = Connection(reader, seconds, limits)
        self._database = reader.database
        self._max_cells = max_cells
        self._clock = clock
        self._looked = float("-inf")  # when, and what was found: until when the views are done
        self._refreshed = 0

    @classmethod
    def from_url(cls, url: str) -> Self:
        """`clickhouse://user:password@host:8123/database`, read and written by one user."""
        return cls(url)

    def write(self, panes: Sequence[Pane]) -> int:
        """See `ColdStore`. One insert per table; ValueError for panes that are no minutes."""
        clickhouse_rows.check(panes)
        database = self._writer.address.database
        rows = clickhouse_rows.rollup(panes)
        for first in range(0, rows.num_rows, _ROWS):
            names = ", ".join(rows.column_names)
            statement = f"INSERT INTO {database}.rollup_1m ({names})"
            self._writer.insert(statement, rows.slice(first, _ROWS))
        for unit, found in zip(("1m", "1h"), unions(panes), strict=True):
            if found:
                self._writer.insert(
                    f"INSERT INTO {database}.uniques_{unit} (project, grouping, value, bucket,"
                    f" state) SELECT project, grouping, value, bucket, CAST(state AS {STATE})"
                    " FROM input('project String, grouping UInt8, value String,"
                    " bucket DateTime(\\'UTC\\'), state String')",
                    clickhouse_rows.states(found),
                )
        return int(rows.num_rows)

    def counts(self, ask: Slice) -> Counts:
        """See `Reader`. From days, hours and minutes, whichever the steps allow."""
        parts = pieces(ask.edges, self._settled(ask.edges))
        found = self._ask(clickhouse_sql.counts(self._database, ask, parts))
        if not found.num_rows:
            return Counts.empty(ask.steps)
        series, names = _numbered(found, ask.by)
        if len(names) * ask.steps > self._max_cells:
            raise TooMuch(f"more than {self._max_cells} numbers in one answer")
        measures = np.zeros((len(names) * ask.steps, len(MEASURES)), np.int64)
        rows = np.stack([found.column(f"m{i}").to_numpy() for i in range(len(MEASURES))], axis=1)
        # A step may come from two tables.
        np.add.at(measures, series * ask.steps + ask.index(_times(found)), rows)
        return Counts(names, measures.reshape(len(names), ask.steps, len(MEASURES)))

    def users(self, ask: Slice) -> Users:
        """See `Reader`. Unions of hours and days are kept as the data come: none lags behind."""
        if not ask.has_users:
            raise ValueError("no unions are kept for this grouping set and these steps")
        query = clickhouse_sql.users(self._database, ask, pieces(ask.edges, ask.end))
        found = self._ask(query, text=False)
        united: dict[tuple[Values, int], list[Entries]] = defaultdict(list)
        columns = (found.column("series"), found.column("state"))
        names, states = (column.to_pylist() for column in columns)
        for name, step, state in zip(names, ask.index(_times(found)), states, strict=True):
            united[(name.decode(),) if ask.by else (), int(step)].append(from_state(state))
        return {key: sketch.merge(entries) for key, entries in united.items()}

    def completeness(self, project: str, edges: Sequence[int]) -> Bits:
        """See `Reader`."""
        ask = Slice(project, (), tuple(edges))
        parts = pieces(edges, self._settled(edges))
        found = self._ask(clickhouse_sql.completeness(self._database, project, edges, parts))
        bits = np.zeros(ask.steps, np.uint8)
        if found.num_rows:
            np.bitwise_or.at(bits, ask.index(_times(found)), found.column("bits").to_numpy())
        return bits

    def close(self) -> None:
        """Let go of connections."""
        self._reader.close()
        self._writer.close()

    def _settled(self, edges: Sequence[int]) -> int:
        """Until when hours and days may be read: never beyond what their views have really done.

        So views that fail or have not begun cost speed, not numbers.
        """
        if int(np.diff(np.array(edges)).max(initial=0)) < HOUR:
            return 0  # no step holds a whole hour
        now = self._clock()
        if now - self._looked > LOOK_SECONDS:
            found = self._ask(clickhouse_sql.refreshed(self._database))
            marks = found.column("at").to_pylist()
            self._refreshed = min(marks) if len(marks) == len(ROLLUP_VIEWS) else 0
            self._looked = now
        return settled(min(now, self._refreshed))

    def _ask(self, query: Query, *, text: bool = True) -> pa.Table:
        return self._reader.table(
            query.text, query.values, text=text, settings={"max_threads": query.threads}
        )


def _times(found: pa.Table) -> Ints:
    times: Ints = found.column("at").to_numpy().astype(np.int64)
    return times


def _numbered(found: pa.Table, by: Sequence[str]) -> tuple[Ints, list[Values]]:
    """A number from 0 per series for each row, and what the numbers stand for."""
    code = np.zeros(found.num_rows, np.int64)
    dictionaries = []
    for name in by:
        column = found.column(name).combine_chunks().dictionary_encode()
        dictionaries.append(column.dictionary.to_pylist())
        code = code * len(column.dictionary) + column.indices.to_numpy()
    distinct, series = np.unique(code, return_inverse=True)
    parts: list[list[str]] = []
    for names in reversed(dictionaries):
        distinct, index = np.divmod(distinct, len(names))
        parts.insert(0, [names[i] for i in index])
    return series, list(zip(*parts, strict=True)) if by else [()]
