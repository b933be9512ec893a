"""Panes as rows of BigQuery's tables: pure functions, shared by the store and the Beam sink.

A row is a dict by column; TIMESTAMP columns hold epoch microseconds.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from stores.bigquery_tables import ROLLUP, UNIQUES_1H, UNIQUES_1M, Table
from stores.pane import DIMENSIONS, MEASURES, MINUTE, RANK, Pane, mask
from stores.unions import unions

Row = dict[str, Any]

MICROS: Final = 1_000_000
_NONE: Final = dict.fromkeys(DIMENSIONS, "")


def version(rows: int, status: int) -> int:
    """What "larger count wins" compares: the count, then the status."""
    return rows * 4 + RANK[status]


def rollup_rows(pane: Pane, written_at: float) -> list[Row]:
    """Rows of `rollup_1m`, one per series that has any row; `written_at` is epoch seconds.

    Raises ValueError when the pane is no minute's.
    """
    _check(pane)
    head = {"project": pane.project, "grouping": mask(pane.grouping)}
    found = []
    for values, numbers in zip(pane.series, pane.measures.tolist(), strict=True):
        measures = dict(zip(MEASURES, numbers, strict=True))
        if measures["rows"] > 0:
            found.append(
                {
                    **head,
                    "minute": pane.start * MICROS,
                    **_NONE,
                    **dict(zip(pane.grouping, values, strict=True)),
                    **measures,
                    "status": pane.status,
                    "version": version(measures["rows"], pane.status),
                    "written_at": int(written_at * MICROS),
                }
            )
    return found


def unique_rows(panes: Iterable[Pane]) -> dict[Table, list[Row]]:
    """Rows of `uniques_1m` (totals) and `uniques_1h`, one per key: panes of one hour are united.

    Raises ValueError when a pane is no minute's or has a sketch of two dimensions.
    """
    given = list(panes)
    for pane in given:
        _check(pane)
        if len(pane.sketch) and len(pane.grouping) > 1:
            raise ValueError(f"no unions are kept for {pane.grouping}")
    return {
        table: [
            {**place._asdict(), "bucket": place.bucket * MICROS, "entries": entries.tolist()}
            for place, entries in found.items()
        ]
        for table, found in zip((UNIQUES_1M, UNIQUES_1H), unions(given), strict=True)
    }


def rows_of(panes: Sequence[Pane], written_at: float) -> dict[Table, list[Row]]:
    """All rows of some panes, by table. Raises ValueError as the two above."""
    rollups = [row for pane in panes for row in rollup_rows(pane, written_at)]
    return {ROLLUP: rollups, **unique_rows(panes)}


def batches(rows: Sequence[bytes], limit: int) -> Iterator[Sequence[bytes]]:
    """Runs of encoded rows of at most `limit` bytes together; a larger row stands alone."""
    first = size = 0
    for i, row in enumerate(rows):
        length = len(row) + 5  # its tag and length in the request
        if i > first and size + length > limit:
            yield rows[first:i]
            first, size = i, 0
        size += length
    if first < len(rows):
        yield rows[first:]


def _check(pane: Pane) -> None:
    if pane.width != MINUTE:
        raise ValueError(f"history is made of minutes, not of windows of {pane.width} s")
