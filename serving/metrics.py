"""Answers from the hot store: columns of numbers per window and series.

Unique users are always unions. Where the store has no union for what is asked, the answer says so.
`other` is never stored: it is the parent minus the named children.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from events.sketch import STANDARD_ERROR
from serving.query import COUNTS, GRANULARITIES, Query
from stores.hot import HotStore, Values
from stores.pane import DIMENSIONS, MEASURES, MINUTE, SKETCHED, STATUS_NAMES, Grouping

Ints = NDArray[np.int64]
OTHER: Final = "other"
READ_AT_ONCE: Final = 100  # series; 24 hours of one are 80 KB here
_COLUMN: Final = {name: i for i, name in enumerate(MEASURES)}


def answer(
    store: HotStore, project: str, currency: str, query: Query, now: float
) -> dict[str, Any]:
    """The reply of `GET /v1/metrics`. Raises `redis.RedisError`."""
    step = GRANULARITIES[query.granularity] or query.end - query.start
    times = list(range(query.start, query.end, step))
    unavailable: dict[str, str] = {}
    series = []
    for shown, values, rows in _series(store, project, query, step):
        columns: dict[str, Any] = {"dimensions": shown}
        for name in query.metrics:
            columns[name] = _metric(name, rows)
        if values is not None:
            events = events_of(rows).tolist()
            _add_users(
                columns, store, project, query, values, times, step, now, unavailable, events
            )
        if "revenue" in query.metrics:
            columns["revenue_micros"] = rows[:, _COLUMN["revenue_micros"]].tolist()
        series.append(columns)
    status = store.status(project, query.start, query.end)
    return {
        "project": project,
        "currency": currency,
        "granularity": query.granularity,
        "start": query.start,
        "end": query.end,
        "as_of": now,
        "time": times,
        "status": [STATUS_NAMES[s] for s in _least_complete(status, step // MINUTE)],
        "series": series,
        "unique_users_standard_error": round(STANDARD_ERROR, 5),
        "unavailable": unavailable,
    }


def events_of(rows: Ints) -> Ints:
    """Events of people: all rows but bots'."""
    found: Ints = rows[:, _COLUMN["rows"]] - rows[:, _COLUMN["bots"]]
    return found


def rate(part: float, whole: float) -> float | None:
    """A share, or None of nothing."""
    return part / whole if whole else None


def _metric(name: str, rows: Ints) -> list[Any] | None:
    if name == "events":
        return list(events_of(rows).tolist())
    if name in COUNTS:
        return list(rows[:, _COLUMN[name]].tolist())
    if name == "revenue":
        return [micros / 1_000_000 for micros in rows[:, _COLUMN["revenue_micros"]].tolist()]
    if name == "error_rate":
        errors, events = rows[:, _COLUMN["errors"]].tolist(), events_of(rows).tolist()
        return [rate(part, whole) for part, whole in zip(errors, events, strict=True)]
    return None  # users: by union, not from counts


def _series(
    store: HotStore, project: str, query: Query, step: int
) -> list[tuple[dict[str, str], Values | None, Ints]]:
    """Each series: what it shows, its values in the store (None: `other`), rows per step."""
    filters = dict(query.filters)
    parent_grouping: Grouping = tuple(d for d in DIMENSIONS if d in filters)
    parent_values = tuple(filters[d] for d in parent_grouping)
    parent = store.series(project, parent_grouping, parent_values, query.start, query.end)
    if not query.dimensions:
        return [(filters, parent_values, _sum(parent, step))]
    grouping = query.grouping
    found = [
        values
        for values in store.members(project, grouping, query.start, query.end)
        if all(filters.get(d, value) == value for d, value in zip(grouping, values, strict=True))
    ]
    named = _largest(store, project, query, found)
    # In an open minute a child may have been written a moment before its parent.
    rest = np.maximum(parent - sum((rows for _, rows in named), np.zeros_like(parent)), 0)
    result: list[tuple[dict[str, str], Values | None, Ints]] = [
        (dict(zip(grouping, values, strict=True)), values, _sum(rows, step))
        for values, rows in named
    ]
    if rest.any():
        shown = {d: filters.get(d, OTHER) for d in grouping}
        result.append((shown, None, _sum(rest, step)))
    return result


def _largest(
    store: HotStore, project: str, query: Query, found: Sequence[Values]
) -> list[tuple[Values, Ints]]:
    """The `limit` series with most events, most first; ties by name. Reads some at a time."""
    best: list[tuple[Values, Ints]] = []
    for first in range(0, len(found), READ_AT_ONCE):
        some = found[first : first + READ_AT_ONCE]
        read = store.many(project, query.grouping, some, query.start, query.end)
        best += [child for child in zip(some, read, strict=True) if child[1][:, 0].any()]
        best.sort(key=lambda child: (-int(events_of(child[1]).sum()), child[0]))
        del best[query.limit :]
    return best


def _add_users(
    columns: dict[str, Any],
    store: HotStore,
    project: str,
    query: Query,
    values: Values,
    times: Sequence[int],
    step: int,
    now: float,
    unavailable: dict[str, str],
    events: Sequence[int],
) -> None:
    grouping = query.grouping
    if "active_users" in query.metrics:
        if grouping not in SKETCHED:
            unavailable["active_users"] = "kept for the total and single dimensions only"
        else:
            columns["active_users"] = store.active_users(project, grouping, values, now).users
    if "unique_users" in query.metrics:
        try:
            users = [
                store.unique_users(project, grouping, values, at, at + step).users for at in times
            ]
        except ValueError as error:
            unavailable["unique_users"] = str(error)
        else:
            columns["unique_users"] = _known(users, events)
            if None in columns["unique_users"]:
                unavailable["unique_users"] = "not (yet) kept where it is null"


def _known(users: Sequence[int], events: Sequence[int]) -> list[int | None]:
    """None in place of 0 where there were events: of a series or minute that has no sketch."""
    return [None if count and not n else n for n, count in zip(users, events, strict=True)]


def _sum(rows: Ints, step: int) -> Ints:
    per = step // MINUTE
    summed: Ints = rows.reshape(-1, per, rows.shape[1]).sum(axis=1)
    return summed


def _least_complete(status: NDArray[np.uint8], per: int) -> list[int]:
    """The state of a longer window: that of its least complete minute that has anything."""
    windows = status.reshape(-1, per)
    least = np.where(windows == 0, 255, windows).min(axis=1)
    return [int(state) % 255 for state in least]
