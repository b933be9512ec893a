"""Which series a reply has, and their rows: the largest of a grouping set, and the rest as `other`.

`other` is never stored: it is the parent minus the named children.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

import numpy as np

from serving.query import Query
from serving.seam import Reading
from stores.contract import Counts, Ints, Slice, Values
from stores.pane import MEASURES

OTHER: Final = "other"
COLUMN: Final = {name: i for i, name in enumerate(MEASURES)}


class Row(NamedTuple):
    """One series of a reply: what it shows, its values of `query.dimensions` (None: `other`)."""

    shown: dict[str, str]
    values: Values | None
    rows: Ints  # [steps, 7]


@dataclass
class Period:
    """One range of a reply under way; `unavailable`: metric → why it has no answer."""

    reading: Reading
    project: str
    query: Query
    edges: tuple[int, ...]
    unavailable: dict[str, str] = field(default_factory=dict)

    def slice(self, **changes: Any) -> Slice:
        """The question about all series of the query's grouping set, with changes."""
        query = self.query
        whole = Slice(self.project, query.grouping, self.edges, query.filters, query.dimensions)
        return replace(whole, **changes)


def series(period: Period, named: Sequence[Values] | None = None) -> list[Row]:
    """The series of one range: those that are named, or the `limit` largest; and `other`."""
    query, reading = period.query, period.reading
    filtered = dict(query.filters)
    single = {d: values[0] for d, values in query.filters if len(values) == 1}
    parent_grouping = tuple(d for d in query.grouping if d in filtered)
    found = reading.counts(period.slice(grouping=parent_grouping, by=()))
    steps = len(period.edges) - 1
    parent = found.measures[0] if found.series else np.zeros((steps, len(MEASURES)), np.int64)
    if not query.dimensions:
        return [Row(single, (), parent)]

    children = Counts.empty(steps)
    if named is None:
        children = reading.counts(period.slice(edges=(period.edges[0], period.edges[-1])))
        named = largest(children, query)
    if named and (steps > 1 or not children.series):
        where = filtered | {
            d: tuple(sorted({values[i] for values in named}))
            for i, d in enumerate(query.dimensions)
        }
        in_order = tuple((d, where[d]) for d in query.grouping)
        children = reading.counts(period.slice(where=in_order))
    by_name = dict(zip(children.series, children.measures, strict=True))
    rows = [
        Row(
            single | dict(zip(query.dimensions, values, strict=True)),
            values,
            by_name.get(values, np.zeros_like(parent)),
        )
        for values in named
    ]
    # In an open minute a child may have been written a moment before its parent.
    rest = np.maximum(parent - sum((row.rows for row in rows), np.zeros_like(parent)), 0)
    if rest.any():
        rows.append(Row(single | dict.fromkeys(query.dimensions, OTHER), None, rest))
    return rows


def largest(totals: Counts, query: Query) -> list[Values]:
    """The `limit` series with most (or least) of `query.order`; ties by name."""
    sizes = measure(query.order, totals.measures.sum(axis=1)).tolist()
    sign = 1 if query.ascending else -1
    ranked = sorted(
        zip(sizes, totals.series, strict=True), key=lambda item: (sign * item[0], item[1])
    )
    return [values for _, values in ranked[: query.limit]]


def measure(name: str, rows: Ints) -> Ints:
    """A count by its name in the API; `revenue` in micros."""
    if name == "events":  # of people: all rows but bots'
        return events_of(rows)
    found: Ints = rows[..., COLUMN["revenue_micros" if name == "revenue" else name]]
    return found


def events_of(rows: Ints) -> Ints:
    """Events of people: all rows but bots'."""
    found: Ints = rows[..., COLUMN["rows"]] - rows[..., COLUMN["bots"]]
    return found
