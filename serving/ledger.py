"""Answers of `GET /v1/ledger`: what was sent against what was counted, minute by minute.

And whether the two paths agree that count it: windows in the hot store, raw events in the cold one.
They are compared for minutes that are sealed and not older than late events may be, since raw
events keep what windows leave out as too late.
"""

from collections.abc import Mapping
from typing import Any, Final, Protocol

import numpy as np

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
from stores.pane import MEASURES, MINUTE

PARAMETERS: Final = ("start", "end")
MAX_RANGE: Final = 25 * HOUR
SEALED: Final = 2 * MINUTE  # seconds until both paths surely have a minute
COMPARED: Final = HOUR  # seconds back: younger than the allowed lateness
MAX_DIFFERENCES: Final = 100  # named in one reply
# Of the reply, beside `rejected`: one number a minute.
COLUMNS: Final = (
    *("received", "accepted", "decoded"),
    *OUTCOMES,
    *("in_flight", "unreported", "unexplained"),
)


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
    events: MinuteCounter | None,
    project: Project,
    span: tuple[int, int],
    now: float,
) -> dict[str, Any]:
    """The reply. Raises StoreUnavailable when the hot store is away."""
    start, end = span
    pages = book.balances(project.name, start, end)
    rejected = sorted({reason for page in pages for reason in page.rejected})
    columns: dict[str, Any] = {
        "received": [page.received for page in pages],
        "accepted": [page.accepted for page in pages],
        "rejected": {r: [page.rejected.get(r, 0) for page in pages] for r in rejected},
        "decoded": [page.decoded for page in pages],
        **{name: [page.outcomes.get(name, 0) for page in pages] for name in OUTCOMES},
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
        "paths": paths(hot, events, project.name, start, end, now),
    }


def paths(
    hot: Reader,
    events: MinuteCounter | None,
    project: str,
    start: int,
    end: int,
    now: float,
) -> dict[str, Any]:
    """How many minutes were compared, and each number on which windows and raw events differ."""
    low = max(start, int(now - COMPARED) // MINUTE * MINUTE)
    high = min(end, int(now - SEALED) // MINUTE * MINUTE)
    nothing: dict[str, Any] = {"compared": 0, "differences": [], "unavailable": None}
    if events is None:
        return nothing | {"unavailable": "no raw events are kept"}
    if low >= high:
        return nothing
    cuts = tuple(range(low, high + MINUTE, MINUTE))
    try:
        raw = events.minute_counts(project, low, high)
    except (StoreUnavailable, TooMuch):
        return nothing | {"unavailable": "the store of raw events does not answer"}
    found = hot.counts(Slice(project, (), cuts))
    windows = found.measures[0] if found.series else np.zeros_like(raw)
    closed = np.isin(hot.completeness(project, cuts), [HAS_FINAL, HAS_REVISED]) | ~windows.any(
        axis=1
    )
    differ = np.argwhere((raw != windows) & closed[:, None]).tolist()
    return {
        "compared": int(closed.sum()),
        "differences": [
            {
                "minute": cuts[step],
                "measure": MEASURES[column],
                "windows": int(windows[step, column]),
                "raw_events": int(raw[step, column]),
            }
            for step, column in differ[:MAX_DIFFERENCES]
        ],
        "unavailable": None,
    }
