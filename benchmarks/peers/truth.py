"""What engines have to find, and where what they wrote differs from it.

A result file has lines of seven fields between tabs: window start, type, country, device, category,
events, revenue; or, with type to category empty, the distinct users of the window in the place of
events. A later line of the same key replaces an earlier one.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Final

import numpy as np

from benchmarks import dataset
from benchmarks.dataset import TYPES, USERS_WITHIN, Truth
from stores.pane import MEASURES

Key = tuple[
    int, str, str, str, str
]  # window start in epoch seconds, type, country, device, category
Cell = tuple[int, int]  # events, revenue in micros

_FIELDS: Final = 7
_EVENTS, _REVENUE = MEASURES.index("rows"), MEASURES.index("revenue_micros")
_COUNTED: Final = MEASURES.index("page_views")  # the first of those that count one type


def wanted(truth: Truth) -> tuple[dict[Key, Cell], dict[int, int]]:
    """Cells with events, and users by window, of all the truth."""
    shape = truth.shape
    names = dataset.countries(shape), dataset.DEVICES, dataset.categories(shape)
    cells: dict[Key, Cell] = {}
    for minute, table in truth.measures.items():
        counts = table[..., _COUNTED : _COUNTED + len(TYPES) - 1]
        rest = table[..., _EVENTS] - counts.sum(axis=-1)
        by_type = np.concatenate((counts, rest[..., np.newaxis]), axis=-1)
        for place in np.argwhere(by_type).tolist():
            *dimensions, kind = place
            values = (values[code] for values, code in zip(names, dimensions, strict=True))
            country, device, category = values
            paid = int(table[(*dimensions, _REVENUE)]) if TYPES[kind] == "purchase" else 0
            key = (minute, TYPES[kind], country, device, category)
            cells[key] = (int(by_type[tuple(place)]), paid)
    return cells, truth.users_by_minute()


def found(lines: Iterable[str]) -> tuple[dict[Key, Cell], dict[int, int]]:
    """The same of a result file. Raises ValueError for a line of another form."""
    cells: dict[Key, Cell] = {}
    users: dict[int, int] = {}
    for line in lines:
        fields = line.rstrip("\n").split("\t")
        if len(fields) != _FIELDS:
            raise ValueError(f"{len(fields)} fields, not {_FIELDS}: {line[:100]!r}")
        window, kind, country, device, category, count, revenue = fields
        start = epoch(window)
        if kind:
            micros = int(Decimal(revenue or "0").scaleb(6).to_integral_value())
            cells[start, kind, country, device, category] = int(count), micros
        else:
            users[start] = int(count)
    return cells, users


def epoch(text: str) -> int:
    """Epoch seconds as they are, or an ISO time in UTC without a zone."""
    if text.isdigit():
        return int(text)
    return int(datetime.fromisoformat(f"{text}+00:00").timestamp())


def differences(truth: Truth, lines: Iterable[str]) -> list[str]:
    """Where results are not the truth: counts and revenue exactly, users within `USERS_WITHIN`."""
    (cells, users), (got_cells, got_users) = wanted(truth), found(lines)
    return [*_unlike(cells, got_cells), *_far(users, got_users)]


def _unlike(cells: Mapping[Key, Cell], got: Mapping[Key, Cell]) -> Iterator[str]:
    for key in sorted(cells.keys() | got.keys()):
        if cells.get(key) != got.get(key):
            yield f"{key}: {got.get(key)}, not {cells.get(key)}"


def _far(users: Mapping[int, int], got: Mapping[int, int]) -> Iterator[str]:
    for minute in sorted(users.keys() | got.keys()):
        right, counted = users.get(minute, 0), got.get(minute, 0)
        if abs(counted - right) > USERS_WITHIN * right:
            yield f"users at {minute}: {counted}, not {right}"
