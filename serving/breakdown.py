"""Answers of `GET /v1/breakdown`: the top values of one dimension, with their share of the whole.

Countries, devices, categories and types come from the rollups, as in `serving.metrics`. Pages are
no dimension of the rollups: they are counted from the raw events, which only the cold store has.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Protocol

from serving import metrics, query
from serving.arguments import check_names, invalid
from serving.projects import Project
from serving.seam import Reading, timed
from serving.series import OTHER
from stores.contract import DAY
from stores.pane import DIMENSIONS

PAGE: Final = "page"
SUBJECTS: Final = (*DIMENSIONS, query.TYPE, PAGE)
LIMIT: Final = 10  # unless asked otherwise
MAX_PAGE_RANGE: Final = 31 * DAY  # raw events are kept for 30 days
PARAMETERS: Final = (
    "dimension",
    "start",
    "end",
    "timezone",
    "metrics",
    "filter",
    "limit",
    "order",
    "compare",
)


class PageCounter(Protocol):
    """A store of raw events."""

    def pages(
        self,
        project: str,
        start: int,
        end: int,
        limit: int,
        where: Mapping[str, tuple[str, ...]] | None = None,
    ) -> list[tuple[str, int]]:
        """URLs with most events of people, most first. StoreUnavailable, TooMuch."""


def parse(
    arguments: Mapping[str, list[str]],
    now: float,
    *,
    history: bool,
    fixed: Mapping[str, str] = MappingProxyType({}),
    zone: str = "UTC",
) -> tuple[str, query.Query]:
    """The subject and the query behind it, see `query.parse`. Raises RequestError."""
    check_names(arguments, PARAMETERS)
    subjects = arguments.get("dimension", [])
    if len(subjects) != 1 or subjects[0] not in SUBJECTS:
        raise invalid(f"dimension is one of {', '.join(SUBJECTS)}.")
    subject = subjects[0]
    rest = {name: values for name, values in arguments.items() if name != "dimension"}
    rest |= {"granularity": ["total"]}
    if subject != PAGE:
        rest |= {"dimensions": [subject]}
    asked = query.parse(rest, now, history=history, limit=LIMIT, fixed=fixed, zone=zone)
    if subject == PAGE:
        if set(asked.metrics) != {"events"} or asked.compare or asked.order != "events":
            raise invalid("With dimension=page the only metric and order is events.")
        if asked.ascending or asked.end - asked.start > MAX_PAGE_RANGE:
            raise invalid(
                f"Pages are ranked most first, over at most {MAX_PAGE_RANGE // DAY} days."
            )
    return subject, asked


def answer(
    project: Project, subject: str, asked: query.Query, now: float, reading: Reading
) -> dict[str, Any]:
    """One row for each value, most first, with its share of the order's total."""
    full = metrics.answer(project, asked, now, reading)
    reply = _reply(full, full["series"], subject, asked)
    if "compare" in full:
        before = full["compare"]
        reply["compare"] = {
            "period": before["period"],
            "start": before["start"],
            "end": before["end"],
            "missing": before["missing"],
            "status": before["status"][0],
            **_rows(before["series"], subject, asked),
        }
    return reply


def pages(
    counter: PageCounter, project: Project, asked: query.Query, now: float, reading: Reading
) -> dict[str, Any]:
    """The same for pages; `other` is the total, which the rollups have, minus the named."""
    with timed("clickhouse", "pages"):
        found = counter.pages(
            project.name, asked.start, asked.end, asked.limit, dict(asked.filters)
        )
    full = metrics.answer(project, asked, now, reading)
    total = full["series"][0]["events"][0]
    named = [{"dimensions": {PAGE: url}, "events": [count]} for url, count in found]
    rest = None if total is None else max(0, total - sum(count for _, count in found))
    if rest:
        named.append({"dimensions": {PAGE: OTHER}, "events": [rest]})
    return _reply(full, named, PAGE, asked)


_SERIES: Final = ("time", "series", "status", "compare", "granularity")


def _reply(
    full: dict[str, Any], series: list[dict[str, Any]], subject: str, asked: query.Query
) -> dict[str, Any]:
    """A reply of `serving.metrics` over the whole range, with one row for each of `series`."""
    rest = {name: value for name, value in full.items() if name not in _SERIES}
    status = full["status"][0]
    return rest | {"dimension": subject, "status": status} | _rows(series, subject, asked)


def _rows(series: list[dict[str, Any]], subject: str, asked: query.Query) -> dict[str, Any]:
    """Columns over the values of the subject."""
    columns: dict[str, Any] = {"values": [one["dimensions"][subject] for one in series]}
    names = [name for one in series[:1] for name in one if name != "dimensions"]
    for name in names:
        cells = [one.get(name) for one in series]
        columns[name] = [cell[0] if isinstance(cell, list) else cell for cell in cells]
    weights = columns.get(asked.order)
    if weights is not None and None not in weights:
        total = sum(weights)
        columns["share"] = [metrics.rate(weight, total) for weight in weights]
    return columns
