"""Raw events in ClickHouse: what was sent, row by row, and the numbers that follow from it.

They come by a path of their own, so the two can be compared minute by minute: the ledger.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Self

import numpy as np

from stores import clickhouse_rows, clickhouse_sql
from stores.clickhouse import INSERT
from stores.clickhouse_client import WRITE_SECONDS, Address, Connection
from stores.clickhouse_sql import Query
from stores.contract import Ints, RawBatch
from stores.pane import MEASURES, MINUTE

# As `transforms.aggregate` counts: a bot's row is in `rows` and `bots` and in nothing else.
_MEASURES: Final = (
    "count()",
    "countIf(type = 'page_view' AND NOT bot)",
    "countIf(type = 'click' AND NOT bot)",
    "countIf(type = 'purchase' AND NOT bot)",
    "countIf(type = 'error' AND NOT bot)",
    "countIf(bot)",
    "sumIf(revenue_micros, NOT bot)",
)


class ClickHouseEvents:
    """An `EventStore`. One instance serves any number of threads or greenlets."""

    def __init__(self, url: str, reader_url: str | None = None, *, seconds: float = 10) -> None:
        """`reader_url` names the user that queries, `seconds` bounds one. Connects at first use.

        Raises ValueError for what is no such URL.
        """
        limits = {"do_not_merge_across_partitions_select_final": 1, "max_threads": 2}
        self._writer = Connection(Address.parse(url), WRITE_SECONDS, INSERT)
        self._reader = Connection(Address.parse(reader_url or url), seconds, limits)
        self._table = f"{self._reader.address.database}.events"

    @classmethod
    def from_url(cls, url: str) -> Self:
        """`clickhouse://user:password@host:8123/database`, read and written by one user."""
        return cls(url)

    def write_events(self, batches: Sequence[RawBatch]) -> int:
        """See `EventStore`: one insert; the same rows again, in any batching, change nothing."""
        if not batches:
            return 0
        rows = clickhouse_rows.raw(batches)
        names = ", ".join(rows.column_names)
        self._writer.insert(f"INSERT INTO {self._table} ({names})", rows)
        return int(rows.num_rows)

    def minute_counts(self, project: str, start: int, end: int) -> Ints:
        """`MEASURES` of each minute from `start` to `end` (whole minutes): [minutes, 7]."""
        query = Query()
        sums = ", ".join(f"{text} AS m{i}" for i, text in enumerate(_MEASURES))
        query.text = (
            f"SELECT toUInt32(toStartOfMinute(event_time)) AS at, {sums} FROM {self._table} FINAL"
            f" WHERE {self._during(query, project, start, end)} GROUP BY at"
        )
        found = self._reader.table(query.text, query.values)
        measures = np.zeros(((end - start) // MINUTE, len(MEASURES)), np.int64)
        index = (found.column("at").to_numpy().astype(np.int64) - start) // MINUTE
        for i in range(len(MEASURES)):
            measures[index, i] = found.column(f"m{i}").to_numpy()
        return measures

    def pages(
        self,
        project: str,
        start: int,
        end: int,
        limit: int,
        where: Mapping[str, tuple[str, ...]] | None = None,
    ) -> list[tuple[str, int]]:
        """The URLs with most events of people from `start` to `end`, and how many; most first."""
        query = Query()
        conditions = [
            self._during(query, project, start, end),
            "url != '' AND NOT bot",
            *clickhouse_sql.where(query, dict(where or {})),
        ]
        query.text = (
            f"SELECT url, count() AS events FROM {self._table} FINAL"
            f" WHERE {' AND '.join(conditions)}"
            f" GROUP BY url ORDER BY events DESC, url LIMIT {query.bind('UInt32', limit)}"
        )
        found = self._reader.table(query.text, query.values)
        return list(
            zip(found.column("url").to_pylist(), found.column("events").to_pylist(), strict=True)
        )

    def close(self) -> None:
        """Let go of connections."""
        self._reader.close()
        self._writer.close()

    def _during(self, query: Query, project: str, start: int, end: int) -> str:
        """By minute for the index, by time for the partitions."""
        first, last = query.bind("UInt32", start), query.bind("UInt32", end)
        return (
            f"project = {query.bind('String', project)}"
            f" AND toStartOfMinute(event_time) >= toDateTime({first}, 'UTC')"
            f" AND toStartOfMinute(event_time) < toDateTime({last}, 'UTC')"
            f" AND event_time >= toDateTime({first}, 'UTC')"
            f" AND event_time < toDateTime({last}, 'UTC')"
        )
