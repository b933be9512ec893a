"""Answers of `GET /v1/ledger`: what was sent against what was counted, minute by minute.

And whether the two paths agree that count it: windows in the hot store, raw events in the cold one.
They are compared for minutes that are sealed and not older than late events may be, since raw
events keep what windows leave out as too late.
"""

from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from serving import times
from serving.arguments import check_names, invalid
from serving.projects import Project
from stores.contract import (
    HAS_FINAL,
    HAS_REVISED,
    HOUR,
    Ints,
    Reader,
    Slice,
    StoreUnavailable,
    TooMuch,
)
from stores.ledger import OUTCOMES, Balance
from stores.pane import DIMENSIONS, MEASURES, MINUTE

Flags = NDArray[np.bool_]

PARAMETERS: Final = ("start", "end")
MAX_RANGE: Final = 25 * HOUR
SEALED: Final = 2 * MINUTE  # seconds until both paths surely have a minute
COMPARED: Final = HOUR  # seconds back: younger than the allowed lateness
MAX_DIFFERENCES: Final = 100  # named in one reply
# Of the reply, beside `rejected` and `dead`: one number a minute.
COLUMNS: Final = (
    *("received", "accepted", "decoded"),
    *OUTCOMES,
    *("undecoded", "in_flight", "unreported", "unexplained"),
)


class Difference(NamedTuple):
    """A number on which two counts of a minute differ."""

    minute: int
    measure: str
    windows: int
    raw_events: int


class Balances(Protocol):
    """Where both sides of the ledger stand."""

    def balances(self, project: str, start: int, end: int) -> list[Balance]:
        """One per minute. StoreUnavailable."""


class MinuteCounter(Protocol):
    """A store of raw events."""

    def minute_counts(self, project: str, start: int, end: int) -> Ints:
        """`MEASURES` per minute: [minutes, 7]. StoreUnavailable, TooMuch."""


def parse(arguments: Mapping[str, list[str]], now: float) -> tuple[int, int]:
    """Start and end in whole minutes. Raises RequestError."""
    check_names(arguments, PARAMETERS)
    given = {name: values for name, values in arguments.items() if name in PARAMETERS}
    if any(len(values) != 1 for values in given.values()):
        raise invalid("start and end are given once.")
    end_text = given.get("end", ["now"])[0]
    start = times.moment(given.get("start", ["-1h"])[0], now, "start")
    end = times.moment(end_text, now, "end")
    cuts = times.cut(start, end, "1m", "UTC", until_now=end_text == "now")
    if cuts[-1] - cuts[0] > MAX_RANGE + MINUTE:
        raise invalid(f"The range is over {MAX_RANGE // HOUR} hours, which is the limit.")
    return cuts[0], cuts[-1]


def answer(
    book: Balances,
    hot: Reader,
    cold: Reader | None,
    events: MinuteCounter | None,
    project: Project,
    span: tuple[int, int],
    now: float,
    standing: Collection[Difference] = (),
) -> dict[str, Any]:
    """The reply; `standing`: see `paths`. Raises StoreUnavailable when the hot store is away."""
    start, end = span
    pages = book.balances(project.name, start, end)
    seen = look(hot, events, project.name, start, end, now)
    rejected = sorted({reason for page in pages for reason in page.rejected})
    dead = sorted({reason for page in pages for reason in page.dead})
    columns: dict[str, Any] = {
        "received": [page.received for page in pages],
        "accepted": [page.accepted for page in pages],
        "rejected": {r: [page.rejected.get(r, 0) for page in pages] for r in rejected},
        "decoded": [page.decoded for page in pages],
        **{name: [page.outcomes.get(name, 0) for page in pages] for name in OUTCOMES},
        "dead": {r: [page.dead.get(r, 0) for page in pages] for r in dead},
        "undecoded": [page.undecoded for page in pages],
        "in_flight": [page.in_flight for page in pages],
        "unreported": [page.unreported for page in pages],
        "unexplained": [page.unexplained for page in pages],
    }
    return {
        "project": project.name,
        "as_of": now,
        "start": start,
        "end": end,
        "time": [page.minute for page in pages],
        **columns,
        "total": {
            name: {r: sum(column) for r, column in values.items()}
            if isinstance(values, dict)
            else sum(values)
            for name, values in columns.items()
        },
        "paths": paths(seen, standing),
        "stored": stored(hot, cold, project.name, seen),
    }


class Look(NamedTuple):
    """Both counts of the same minutes."""

    cuts: tuple[int, ...]  # edges of minutes; fewer than two: there is nothing to look at
    windows: Ints  # `MEASURES` per minute
    raw: Ints | None
    unavailable: str | None  # why there are no raw ones
    closed: Flags  # which minutes both surely have

    @property
    def compared(self) -> int:
        """How many minutes both counts are there for."""
        return 0 if self.raw is None else int(self.closed.sum())


def look(
    hot: Reader,
    events: MinuteCounter | None,
    project: str,
    start: int,
    end: int,
    now: float,
) -> Look:
    """Windows and raw events of what both surely have. StoreUnavailable when the first is away."""
    low = max(start, int(now - COMPARED) // MINUTE * MINUTE)
    high = min(end, int(now - SEALED) // MINUTE * MINUTE)
    if low >= high:
        empty = np.zeros((0, len(MEASURES)), np.int64)
        return Look((), empty, empty, None, np.zeros(0, np.bool_))
    cuts = tuple(range(low, high + MINUTE, MINUTE))
    windows = _by_minute(hot, project, cuts)
    bits = hot.completeness(project, cuts)
    closed: Flags = np.isin(bits, [HAS_FINAL, HAS_REVISED]) | ~windows.any(axis=1)
    if events is None:
        return Look(cuts, windows, None, "no raw events are kept", closed)
    try:
        return Look(cuts, windows, events.minute_counts(project, low, high), None, closed)
    except (StoreUnavailable, TooMuch):
        return Look(cuts, windows, None, "the store of raw events does not answer", closed)


def _by_minute(store: Reader, project: str, cuts: tuple[int, ...], *by: str) -> Ints:
    """`MEASURES` per minute: of the total, or of all series that are stored of a grouping set."""
    found = store.counts(Slice(project, by, cuts, by=by))
    total: Ints = found.measures.sum(axis=0)
    return total


def differences(seen: Look) -> list[Difference]:
    """Each number of a closed minute on which windows and raw events differ."""
    cuts, windows, raw, _, closed = seen
    if raw is None:
        return []
    differ = np.argwhere((raw != windows) & closed[:, None]).tolist()
    return [
        Difference(cuts[step], MEASURES[i], int(windows[step, i]), int(raw[step, i]))
        for step, i in differ
    ]


def paths(seen: Look, standing: Collection[Difference]) -> dict[str, Any]:
    """How many minutes were compared, and on what windows and raw events differ.

    A late event is for seconds in one of them only; `standing` are those that an audit has seen
    twice, and that are wrong.
    """
    found = differences(seen)[:MAX_DIFFERENCES]
    return {
        "compared": seen.compared,
        "differences": [{**one._asdict(), "standing": one in standing} for one in found],
        "unavailable": seen.unavailable,
    }


def stored(hot: Reader, cold: Reader | None, project: str, seen: Look) -> dict[str, Any]:
    """What each store holds of the minutes looked at, by when the events happened, bots included.

    `other`: of these, how many are in no series of a grouping set, since the day had too many.
    """
    cuts, windows, raw, *_ = seen
    rows = windows[:, 0]
    found: dict[str, Any] = {
        "time": list(cuts[:-1]),
        "hot": rows.tolist(),
        "raw_events": None if raw is None else raw[:, 0].tolist(),
        "history": None,
        "other": {},
    }
    if not cuts:
        return found
    for by in (*((dimension,) for dimension in DIMENSIONS), DIMENSIONS):
        series = _by_minute(hot, project, cuts, *by)[:, 0]
        found["other"][",".join(by)] = np.maximum(0, rows - series).tolist()
    if cold is not None:
        with suppress(StoreUnavailable, TooMuch):  # said by null, and by /readyz
            found["history"] = _by_minute(cold, project, cuts)[:, 0].tolist()
    return found
