"""A query as the API takes it: names checked against allow-lists, times made absolute. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from serving import times
from serving.arguments import check_names, invalid
from serving.ingest.errors import RequestError
from stores.contract import DAY, HOUR
from stores.pane import DIMENSIONS, Grouping

COUNTS: Final = ("events", "page_views", "clicks", "purchases", "errors", "bots")
METRICS: Final = (*COUNTS, "error_rate", "revenue", "unique_users", "active_users", "conversion")
ORDERS: Final = (*COUNTS, "revenue")
TYPE: Final = "type"  # a dimension of its own: how the events divide among the kinds
GROUPS: Final = (*DIMENSIONS, TYPE)
COMPARE: Final = {"previous_period": None, "yesterday": 1, "last_week": 7}  # days earlier
MAX_RANGE: Final = 400 * DAY
MAX_HOT_RANGE: Final = 25 * HOUR  # what the hot store surely has
MAX_LIMIT: Final = 500
MAX_CELLS: Final = 100_000  # series times steps of one reply
MAX_VALUES: Final = 50  # of one dimension in a filter
MAX_VALUE_CHARS: Final = 128
PARAMETERS: Final = (
    "start",
    "end",
    "granularity",
    "timezone",
    "metrics",
    "filter",
    "dimensions",
    "limit",
    "order",
    "compare",
)
_LIMIT: Final = re.compile(r"[0-9]{1,3}")
# A comma inside of a value is no comma between two filters.
_BETWEEN: Final = re.compile(rf",(?=(?:{'|'.join(DIMENSIONS)}):)|,$")

Filters = Mapping[str, tuple[str, ...]]  # dimension → the values that pass


@dataclass(frozen=True)
class Query:
    """Steps between `edges` in epoch seconds, whole minutes; see `stores.contract.Slice`."""

    edges: tuple[int, ...]
    granularity: str  # one of times.STEPS
    timezone: str
    metrics: tuple[str, ...]
    filters: tuple[tuple[str, tuple[str, ...]], ...]  # in the order of DIMENSIONS
    dimensions: Grouping  # in the order of DIMENSIONS
    by_type: bool
    limit: int
    order: str
    ascending: bool
    compare: str | None

    @property
    def start(self) -> int:
        """Inclusive."""
        return self.edges[0]

    @property
    def end(self) -> int:
        """Exclusive."""
        return self.edges[-1]

    @property
    def grouping(self) -> Grouping:
        """The grouping set that answers: what is filtered by and what is grouped by."""
        named = {name for name, _ in self.filters} | set(self.dimensions)
        return tuple(name for name in DIMENSIONS if name in named)

    def compared(self) -> tuple[int, ...]:
        """The edges of the range that this one is compared with."""
        days = COMPARE[self.compare or "previous_period"]
        return times.moved(self.edges, days, self.granularity, self.timezone)


def parse(
    arguments: Mapping[str, list[str]],
    now: float,
    *,
    history: bool = True,
    limit: int = 50,
    fixed: Mapping[str, str] = MappingProxyType({}),
    zone: str = "UTC",
) -> Query:
    """A query from URL arguments (each a list of values). Raises RequestError.

    Without a `history` store only the last day can be asked for. `fixed` filters hold in any case;
    `zone` is the time zone of one that names none.
    """
    check_names(arguments, PARAMETERS)
    granularity = _choice(arguments, "granularity", times.GRANULARITIES, "1m")
    timezone = times.zone(_one(arguments, "timezone", zone))
    end_text = _one(arguments, "end", "now")
    start = times.moment(_one(arguments, "start", "-24h"), now, "start")
    end = times.moment(end_text, now, "end")
    if end - start > MAX_RANGE + DAY:
        raise invalid(f"The range is over {MAX_RANGE // DAY} days, which is the limit.")
    granularity = times.granularity_of(granularity, end - start)
    edges = times.cut(start, end, granularity, timezone, until_now=end_text == "now")
    if not history and edges[0] < now - MAX_HOT_RANGE - (times.STEPS[granularity] or 60):
        raise invalid(
            f"start is over {MAX_HOT_RANGE // HOUR} hours ago, which is the limit: "
            "there is no history store."
        )
    filters = narrowed(parse_filter(arguments.get("filter", [])), fixed)
    groups = _names(_one(arguments, "dimensions", ""), GROUPS, "dimensions")
    metrics = _names(_one(arguments, "metrics", "events"), METRICS, "metrics")
    if TYPE in groups and set(metrics) != {"events"}:
        raise invalid("With dimensions=type the only metric is events.")
    most = _limit(_one(arguments, "limit", str(limit)))
    order, _, direction = _one(arguments, "order", "events").partition(":")
    if order not in ORDERS or direction not in ("", "asc", "desc"):
        raise invalid(f"order is one of {', '.join(ORDERS)}, with :asc or :desc.")
    dimensions = tuple(name for name in DIMENSIONS if name in groups)
    cells = (len(edges) - 1) * (most + 1 if dimensions else 1)
    if cells > MAX_CELLS:
        raise invalid(
            f"{cells:,} points are over {MAX_CELLS:,}, which is the limit: "
            "ask for fewer series, a shorter range or longer steps."
        )
    compare = _choice(arguments, "compare", ("", *COMPARE), "")
    return Query(
        edges,
        granularity,
        timezone,
        metrics,
        tuple((name, filters[name]) for name in DIMENSIONS if name in filters),
        dimensions,
        TYPE in groups,
        most,
        order,
        direction == "asc",
        compare or None,
    )


def parse_filter(texts: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """`country:US,country:DE,device:mobile`: several values of a dimension mean any of them.

    Raises RequestError.
    """
    found: dict[str, list[str]] = {}
    for text in texts:
        for part in _BETWEEN.split(text):
            name, colon, value = part.partition(":")
            if part and not colon:
                raise invalid(f"filter is dimension:value, with one of {', '.join(DIMENSIONS)}.")
            if part:
                found.setdefault(name, []).append(value)
    return check_filter({name: tuple(dict.fromkeys(values)) for name, values in found.items()})


def narrowed(asked: Filters, fixed: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """What is asked for and a key's filter. Raises RequestError when it asks for more than that."""
    for name, value in fixed.items():
        if any(other != value for other in asked.get(name, ())):
            raise RequestError("filter_not_allowed", f"Its {name} is fixed.")
    return {**asked, **{name: (value,) for name, value in fixed.items()}}


def check_filter(filters: Filters) -> dict[str, tuple[str, ...]]:
    """Only known dimensions, with values that can be. Raises RequestError."""
    for name, values in filters.items():
        if name not in DIMENSIONS:
            raise invalid(f"filter is dimension:value, with one of {', '.join(DIMENSIONS)}.")
        if not 1 <= len(values) <= MAX_VALUES:
            raise invalid(f"filter takes 1 to {MAX_VALUES} values for a dimension.")
        for value in values:
            if len(value) > MAX_VALUE_CHARS:
                raise invalid(f"A value in filter is over {MAX_VALUE_CHARS} characters.")
            if any("\ud800" <= char <= "\udfff" for char in value):  # JSON can say it; UTF-8 cannot
                raise invalid("A value in filter is not Unicode.")
    return dict(filters)


def _one(arguments: Mapping[str, list[str]], name: str, default: str) -> str:
    values = arguments.get(name, [default])
    if len(values) != 1:
        raise invalid(f"{name} is given {len(values)} times.")
    return values[0]


def _choice(
    arguments: Mapping[str, list[str]], name: str, allowed: Sequence[str], default: str
) -> str:
    value = _one(arguments, name, default)
    if value not in allowed:
        raise invalid(f"{name} is one of {', '.join(filter(None, allowed))}.")
    return value


def _names(text: str, allowed: tuple[str, ...], what: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(part for part in text.split(",") if part))
    for name in names:
        if name not in allowed:
            raise invalid(f"{what}: {name[:40]!r} is none of {', '.join(allowed)}.")
    return names


def _limit(text: str) -> int:
    if not _LIMIT.fullmatch(text) or not 1 <= int(text) <= MAX_LIMIT:
        raise invalid(f"limit is a number from 1 to {MAX_LIMIT}.")
    return int(text)
