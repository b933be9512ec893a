"""The questions of the contract as GoogleSQL. No value is ever put into the text.

Everything is read from the base tables, with the range of time and the key as plain conditions on
their columns: so that BigQuery skips days and clustered blocks, whatever it makes of views.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from stores.bigquery_tables import bits, latest, names, quoted, union
from stores.contract import HOUR, Slice
from stores.pane import DIMENSIONS, MEASURES, Grouping, mask

Value = str | int | list[str] | list[int]


@dataclass
class Query:
    """A statement and the values of its parameters: str, int, or lists of one of these."""

    text: str = ""
    values: dict[str, Value] = field(default_factory=dict)

    def bind(self, name: str, value: Value) -> str:
        """A parameter, as it stands in the text."""
        self.values[name] = value
        return f"@{name}"


def counts(dataset: str, ask: Slice, limit: int) -> Query:
    """Columns: the dimensions of `by`, `step`, the MEASURES. At most `limit` rows."""
    query = Query()
    by = [name for name in ask.grouping if name in ask.by]
    rows = _minutes(query, dataset, ask.project, ask.grouping, ask.edges, dict(ask.where))
    sums = ", ".join(f"SUM({quoted(name)}) AS {quoted(name)}" for name in MEASURES)
    query.text = (
        f"SELECT {names([*by, 'step'])}, {sums} FROM ("
        f"SELECT *, {_step(query, '`minute`', ask.edges)} AS `step` FROM ({rows}))"
        f" GROUP BY {names([*by, 'step'])} LIMIT {limit}"
    )
    return query


def completeness(dataset: str, project: str, edges: Sequence[int]) -> Query:
    """Columns: `step` and `bits`."""
    query = Query()
    rows = _minutes(query, dataset, project, (), edges, {})
    query.text = (
        f"SELECT `step`, {bits()} AS `bits` FROM ("
        f"SELECT `status`, {_step(query, '`minute`', edges)} AS `step` FROM ({rows}))"
        " GROUP BY `step`"
    )
    return query


def users(dataset: str, ask: Slice, limit: int) -> Query:
    """Columns: `value` when `by` is not empty, `step`, `entries` (array). At most `limit` rows.

    Whole hours come from `uniques_1h`. Only the total has minutes: they fill the hours that an edge
    cuts, so that a day of time zone's half hours reads few of them.
    """
    query = Query()
    condition = [
        f"`project` = {query.bind('project', ask.project)}",
        f"`grouping` = {query.bind('grouping', mask(ask.grouping))}",
        _between(query, "bucket", ask.edges),
    ]
    condition += [f"`value` IN UNNEST({query.bind('value', list(v))})" for _, v in ask.where]
    every = " AND ".join(condition)
    columns = names([*(["value"] if ask.by else []), "bucket", "entries"])
    hours, minutes = f"`{dataset}.uniques_1h`", f"`{dataset}.uniques_1m`"
    cut = sorted({edge // HOUR * HOUR for edge in ask.edges if edge % HOUR})
    if not cut:
        source = f"SELECT {columns} FROM {hours} WHERE {every}"
    else:
        broken = query.bind("cut", cut)
        hour = "UNIX_SECONDS(TIMESTAMP_TRUNC(`bucket`, HOUR))"
        source = f"SELECT {columns} FROM {minutes} WHERE {every} AND {hour} IN UNNEST({broken})"
        if len(cut) < -(-ask.end // HOUR) - ask.start // HOUR:
            source += (
                f" UNION ALL SELECT {columns} FROM {hours}"
                f" WHERE {every} AND {hour} NOT IN UNNEST({broken})"
            )
    key = names(["value", "step"] if ask.by else ["step"])
    stepped = f"(SELECT *, {_step(query, '`bucket`', ask.edges)} AS `step` FROM ({source}))"
    query.text = f"{union(stepped, key, 'TRUE')} LIMIT {limit}"
    return query


def _minutes(
    query: Query,
    dataset: str,
    project: str,
    grouping: Grouping,
    edges: Sequence[int],
    where: dict[str, tuple[str, ...]],
) -> str:
    """The latest rows of the minutes of some series."""
    conditions = [
        f"`project` = {query.bind('project', project)}",
        f"`grouping` = {query.bind('grouping', mask(grouping))}",
        _between(query, "minute", edges),
    ]
    for name in DIMENSIONS:
        if name not in grouping:
            conditions.append(f"{quoted(name)} = ''")
        elif name in where:
            conditions.append(f"{quoted(name)} IN UNNEST({query.bind(name, list(where[name]))})")
    return latest(f"`{dataset}.rollup_1m`", " AND ".join(conditions), ("minute", *grouping))


def _between(query: Query, column: str, edges: Sequence[int]) -> str:
    """Bounds that are constant before the query runs, as skipping partitions needs."""
    start, end = query.bind("start", edges[0]), query.bind("end", edges[-1])
    return (
        f"{quoted(column)} >= TIMESTAMP_SECONDS({start})"
        f" AND {quoted(column)} < TIMESTAMP_SECONDS({end})"
    )


def _step(query: Query, column: str, edges: Sequence[int]) -> str:
    """Which step a time is in: by division where all are equally long."""
    seconds = f"UNIX_SECONDS({column})"
    widths = np.unique(np.diff(np.array(edges)))
    if len(widths) == 1:
        start, width = query.bind("start", edges[0]), query.bind("width", int(widths[0]))
        # The inner brackets are for the emulator, which forgets them when it translates.
        return f"DIV(({seconds} - {start}), {width})"
    return f"RANGE_BUCKET({seconds}, {query.bind('edges', list(edges))}) - 1"
