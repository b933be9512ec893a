"""A query as the API takes it: names checked against allow-lists, times made absolute. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from serving.ingest.errors import RequestError
from stores.pane import DIMENSIONS, MINUTE, Grouping

COUNTS: Final = ("events", "page_views", "clicks", "purchases", "errors", "bots")
METRICS: Final = (*COUNTS, "error_rate", "revenue", "unique_users", "active_users")
GRANULARITIES: Final = {"1m": MINUTE, "1h": 3_600, "total": 0}  # seconds; 0: the whole range
MAX_RANGE: Final = 25 * 3_600  # seconds: what the hot store surely has
MAX_LIMIT: Final = 500
MAX_VALUE_CHARS: Final = 128
PARAMETERS: Final = ("start", "end", "granularity", "metrics", "filter", "dimensions", "limit")
_RELATIVE: Final = re.compile(r"-([0-9]{1,6})([smhd])")
_LIMIT: Final = re.compile(r"[0-9]{1,3}")
_UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


@dataclass(frozen=True)
class Query:
    """Times in epoch seconds, whole minutes, `end` exclusive."""

    start: int
    end: int
    granularity: str
    metrics: tuple[str, ...]
    filters: tuple[tuple[str, str], ...]  # in the order of DIMENSIONS
    dimensions: Grouping
    limit: int

    @property
    def grouping(self) -> Grouping:
        """The grouping set that answers: what is filtered by and what is grouped by."""
        named = {name for name, _ in self.filters} | set(self.dimensions)
        return tuple(name for name in DIMENSIONS if name in named)


def parse(arguments: Mapping[str, list[str]], now: float) -> Query:
    """A query from URL arguments (each a list of values). Raises RequestError."""
    unknown = set(arguments) - {*PARAMETERS, "key"}
    if unknown:
        raise _invalid(
            f"There is no parameter {sorted(unknown)[0][:40]!r}; there are {', '.join(PARAMETERS)}."
        )
    granularity = _one(arguments, "granularity", "1m")
    if granularity not in GRANULARITIES:
        raise _invalid(f"granularity is one of {', '.join(GRANULARITIES)}.")
    step = GRANULARITIES[granularity] or MINUTE
    end_text = _one(arguments, "end", "now")
    start = _time(_one(arguments, "start", "-24h"), now, "start") // step * step
    end = -(-_time(end_text, now, "end") // step) * step
    if end_text == "now":
        end = max(end, (int(now) // step + 1) * step)  # the minute in progress too
    if not start < end:
        raise _invalid("start is not before end.")
    if end - start > MAX_RANGE + step:
        raise _invalid(f"The range is over {MAX_RANGE // 3_600} hours, which is the limit.")
    if start < now - MAX_RANGE - step:
        raise _invalid(f"start is over {MAX_RANGE // 3_600} hours ago, which is the limit.")
    filters = parse_filter(",".join(arguments.get("filter", [])))
    dimensions = _names(_one(arguments, "dimensions", ""), DIMENSIONS, "dimensions")
    both = set(dimensions) & set(filters)
    if both:
        raise _invalid(f"{sorted(both)[0]} is filtered by: it cannot be grouped by.")
    limit = _one(arguments, "limit", "50")
    if not _LIMIT.fullmatch(limit) or not 1 <= int(limit) <= MAX_LIMIT:
        raise _invalid(f"limit is a number from 1 to {MAX_LIMIT}.")
    return Query(
        start,
        end,
        granularity,
        _names(_one(arguments, "metrics", "events"), METRICS, "metrics"),
        tuple((name, filters[name]) for name in DIMENSIONS if name in filters),
        tuple(name for name in DIMENSIONS if name in dimensions),
        int(limit),
    )


def parse_filter(text: str) -> dict[str, str]:
    """`country:US,device:mobile` as a mapping. Raises RequestError."""
    pairs = [part.partition(":") for part in text.split(",") if part]
    if not all(colon for _, colon, _ in pairs):
        raise _invalid(f"filter is dimension:value, with one of {', '.join(DIMENSIONS)}.")
    return check_filter({name: value for name, _, value in pairs}, len(pairs))


def check_filter(filters: Mapping[str, str], named: int | None = None) -> dict[str, str]:
    """Only known dimensions, one value each. Raises RequestError."""
    if named is not None and named != len(filters):
        raise _invalid("filter takes one value for a dimension.")
    for name, value in filters.items():
        if name not in DIMENSIONS:
            raise _invalid(f"filter is dimension:value, with one of {', '.join(DIMENSIONS)}.")
        if len(value) > MAX_VALUE_CHARS:
            raise _invalid(f"A value in filter is over {MAX_VALUE_CHARS} characters.")
        if any("\ud800" <= char <= "\udfff" for char in value):  # JSON can say it; UTF-8 cannot
            raise _invalid("A value in filter is not Unicode.")
    return dict(filters)


def _one(arguments: Mapping[str, list[str]], name: str, default: str) -> str:
    values = arguments.get(name, [default])
    if len(values) != 1:
        raise _invalid(f"{name} is given {len(values)} times.")
    return values[0]


def _names(text: str, allowed: tuple[str, ...], what: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(part for part in text.split(",") if part))
    for name in names:
        if name not in allowed:
            raise _invalid(f"{what}: {name[:40]!r} is none of {', '.join(allowed)}.")
    return names


def _time(text: str, now: float, what: str) -> int:
    if text == "now":
        return int(now)
    relative = _RELATIVE.fullmatch(text)
    if relative:
        return int(now) - int(relative[1]) * _UNITS[relative[2]]
    if text.isascii() and text.isdigit() and len(text) <= 11:
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise _invalid(
            f"{what} is ISO 8601, epoch seconds, 'now', or relative such as -24h."
        ) from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _invalid(detail: str) -> RequestError:
    return RequestError("parameter_invalid", detail)
