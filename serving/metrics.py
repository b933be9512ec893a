"""Answers of `GET /v1/metrics`: columns of numbers per step and series.

Unique users are always unions. Where no store has a union for what is asked, the answer says so.
A step of which some minutes could not be asked for is null, never the sum of the rest.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from typing import Any, Final, TypeVar

import numpy as np

from events import sketch
from serving.projects import Project
from serving.query import COUNTS, Query
from serving.seam import Reading
from serving.series import Period, Row, events_of, measure, series
from stores.contract import Values, status_of
from stores.pane import SKETCHED, STATUS_NAMES

# Type of event → its measure. Events of any other type are custom.
TYPES: Final = {
    "page_view": "page_views",
    "click": "clicks",
    "purchase": "purchases",
    "error": "errors",
}
CUSTOM: Final = "custom"
_STATUS: Final = [STATUS_NAMES[status_of(bits)] for bits in range(8)]
STALE: Final = 60  # seconds: a range that ended so long ago has no active users
_Number = TypeVar("_Number")
_Users = Mapping[tuple[Values, int], int]  # (values, step) → estimate


def answer(project: Project, query: Query, now: float, reading: Reading) -> dict[str, Any]:
    """The reply. Raises what a `Reading` does."""
    period = Period(reading, project.name, query, query.edges)
    rows = series(period)
    reply: dict[str, Any] = {
        "project": project.name,
        "currency": project.currency,
        "granularity": query.granularity,
        "timezone": query.timezone,
        "as_of": now,
        "boundary": reading.boundary,
        **_columns(period, rows, now),
        "unique_users_standard_error": round(sketch.STANDARD_ERROR, 5),
    }
    if query.compare is not None:
        before = Period(reading, project.name, query, query.compared())
        named = [row.values for row in rows if row.values is not None]
        rows = series(before, named)
        reply["compare"] = {
            "period": query.compare,
            **_columns(before, rows, now),
            "unavailable": before.unavailable,
        }
    reply["unavailable"] = period.unavailable
    return reply


def rate(part: float, whole: float) -> float | None:
    """A share, or None of nothing."""
    return part / whole if whole else None


def _columns(period: Period, rows: Sequence[Row], now: float) -> dict[str, Any]:
    """Times, completeness and the series' columns of one range."""
    edges, reading = period.edges, period.reading
    starts, ends = np.array(edges[:-1]), np.array(edges[1:])
    gaps = reading.missing(edges[0], edges[-1])
    gone = np.zeros(len(starts), np.bool_)
    for gap in gaps:
        gone |= (starts < gap.end) & (ends > gap.start)
    lost = gone.tolist()
    status = [_STATUS[bits] for bits in reading.completeness(period.project, edges).tolist()]
    if gaps:
        status = ["missing" if nothing else s for s, nothing in zip(status, lost, strict=True)]
    if period.query.by_type:
        columns = [typed for row in rows for typed in _by_type(row, lost)]
    else:
        columns = [{"dimensions": row.shown} for row in rows]
        users = cache(partial(_users, period, rows))  # read once, and only when asked for
        for name in period.query.metrics:
            _add(name, period, rows, users, columns, lost, now)
    return {
        "start": edges[0],
        "end": edges[-1],
        "served": [
            {"store": store, "start": low, "end": high}
            for store, low, high in reading.served(edges[0], edges[-1])
        ],
        "missing": [gap._asdict() for gap in gaps],
        "time": list(edges[:-1]),
        "status": status,
        "series": columns,
    }


def _add(
    name: str,
    period: Period,
    rows: Sequence[Row],
    users_of: Callable[[], _Users],
    columns: Sequence[dict[str, Any]],
    lost: Sequence[bool],
    now: float,
) -> None:
    """One metric to the columns of every series, or the reason why not."""
    of_users = name in ("unique_users", "conversion")
    try:
        if name == "active_users":
            active = _active(period, now)
            for row, column in zip(rows, columns, strict=True):
                column[name] = None if row.values is None else active.get(row.values, 0)
            return
        users = users_of() if of_users else {}
    except ValueError as error:
        period.unavailable[name] = str(error)
        for column in columns:
            column[name] = None
        return
    for row, column in zip(rows, columns, strict=True):
        known = _known(row, users) if of_users else []
        if None in known:
            period.unavailable[name] = "not (yet) kept where it is null"
        for title, values in _values(name, row, known).items():
            column[title] = _but(lost, values)


def _values(name: str, row: Row, known: list[int | None]) -> dict[str, list[Any]]:
    """The column or columns of one metric; `known`: users of each step, if it is made of them."""
    if name == "revenue":
        micros = measure(name, row.rows).tolist()
        return {"revenue": [m / 1_000_000 for m in micros], "revenue_micros": micros}
    if name in COUNTS:
        return {name: measure(name, row.rows).tolist()}
    if name == "error_rate":
        errors, events = measure("errors", row.rows).tolist(), events_of(row.rows).tolist()
        return {name: [rate(e, n) for e, n in zip(errors, events, strict=True)]}
    if name == "conversion":
        bought = measure("purchases", row.rows).tolist()
        return {
            name: [None if n is None else rate(b, n) for b, n in zip(bought, known, strict=True)]
        }
    spread = [n if n is None else round(n * sketch.STANDARD_ERROR, 1) for n in known]
    return {name: known, "unique_users_error": spread}


def _users(period: Period, rows: Sequence[Row]) -> _Users:
    """Estimates of the unions of named series. ValueError where no unions are kept."""
    query = period.query
    ask = period.slice()
    if ask.grouping not in SKETCHED:
        raise ValueError("kept for the total and single dimensions only")
    if not ask.has_users:
        raise ValueError("with a dimension, kept for whole hours only")
    if query.dimensions:
        names = tuple(sorted({row.values[0] for row in rows if row.values is not None}))
        if not names:
            return {}
        ask = period.slice(where=((query.dimensions[0], names),))
    found = period.reading.users(ask)
    return {place: sketch.estimate(entries) for place, entries in found.items()}


def _active(period: Period, now: float) -> dict[Values, int]:
    """Estimates by series. ValueError where there are none."""
    if period.edges[-1] < now - STALE:
        raise ValueError("the range ends before the last five minutes")
    found = period.reading.active_users(period.slice(), now)
    return {values: sketch.estimate(entries) for values, entries in found.items()}


def _known(row: Row, users: _Users) -> list[int | None]:
    """None in place of 0 where there were events: of a series or step that has no sketch."""
    events = events_of(row.rows).tolist()
    if row.values is None:
        return [None] * len(events)
    found = [users.get((row.values, step), 0) for step in range(len(events))]
    return [None if count and not n else n for n, count in zip(found, events, strict=True)]


def _by_type(row: Row, lost: Sequence[bool]) -> Iterator[dict[str, Any]]:
    """One series as one for each type of event that it has."""
    left = events_of(row.rows)
    for kind, name in TYPES.items():
        counts = measure(name, row.rows)
        left = left - counts
        if counts.any():
            yield _typed(row, kind, counts.tolist(), lost)
    if left.any():
        yield _typed(row, CUSTOM, left.tolist(), lost)


def _typed(row: Row, kind: str, counts: list[int], lost: Sequence[bool]) -> dict[str, Any]:
    return {"dimensions": row.shown | {"type": kind}, "events": _but(lost, counts)}


def _but(lost: Sequence[bool], values: list[_Number]) -> list[_Number | None]:
    """The values, None where minutes are missing."""
    if not any(lost):
        return list(values)
    return [None if gone else value for gone, value in zip(lost, values, strict=True)]
