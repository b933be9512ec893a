"""A shop's day as the pipeline would have written it: for pictures, and to try the dashboard out.

Made up, and the same for the same seed and minute: traffic that rises and falls with the day, ten
countries, three devices, eight categories; some late minutes, and an hour with more errors.
"""

import math
import uuid
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from events import batch, sketch
from stores.contract import RawBatch
from stores.pane import (
    ACTIVE,
    DIMENSIONS,
    FINAL,
    GROUPING_SETS,
    MEASURES,
    MINUTE,
    PARTIAL,
    PULSE,
    REVISED,
    Grouping,
    Pane,
)
from stores.recent import Entry

PROJECT: Final = "demo"
COUNTRIES: Final = {
    "US": 31,
    "DE": 17,
    "GB": 11,
    "FR": 9,
    "JP": 8,
    "IN": 7,
    "BR": 6,
    "CA": 4,
    "AU": 3,
    "KR": 2,
    "IT": 2,
}
DEVICES: Final = {"mobile": 52, "desktop": 41, "tablet": 7}
CATEGORIES: Final = {  # share of visits, mean price
    "shoes": (22, 89),
    "shirts": (20, 34),
    "phones": (14, 540),
    "books": (14, 21),
    "toys": (10, 38),
    "garden": (8, 96),
    "kitchen": (8, 120),
    "music": (4, 75),
}
SITE: Final = "https://shop.example"
PAGES: Final = (
    *("/", "/sale", "/search", "/cart", "/checkout", "/shoes/runner-7", "/phones/mira-5"),
    *("/shirts/linen", "/books/atlas", "/garden/hose-20m", "/kitchen/kettle", "/account"),
)
KINDS: Final = {"page_view": 0.62, "click": 0.26, "purchase": 0.045, "error": 0.014}
REASONS: Final = (
    ("event_ts_invalid", "ts is not a plausible time in milliseconds."),
    ("currency_unsupported", "The project has no rate for CHF."),
    ("event_field_missing", "user_id is missing."),
)
PER_MINUTE: Final = 5_200  # events at the best time of the day
USERS: Final = 40_000
_COLUMN: Final = {name: at for at, name in enumerate(MEASURES)}
Ints = NDArray[np.int64]


class Day:
    """All numbers of any minute."""

    def __init__(self, seed: int = 7) -> None:
        self._seed = seed
        self._names = (list(COUNTRIES), list(DEVICES), list(CATEGORIES))
        shares = [list(COUNTRIES.values()), list(DEVICES.values())]
        shares.append([share for share, _ in CATEGORIES.values()])
        country, device, category = (np.array(each) / sum(each) for each in shares)
        self._weights = np.einsum("i,j,k->ijk", country, device, category)
        self._prices = np.array([price for _, price in CATEGORIES.values()])
        self._hashes = np.array([sketch.user_hash(f"user {i}") for i in range(USERS)], np.uint64)

    def panes(
        self, minute: int, groupings: Sequence[Grouping], *, users: bool = False, part: float = 1.0
    ) -> list[Pane]:
        """Of a minute (epoch seconds), of which a `part` is over; with the total's `users`."""
        cells = self.cells(minute, part)
        late = part == 1.0 and self._random(minute, 3).random() < 0.012
        status = PARTIAL if part < 1.0 else REVISED if late else FINAL
        return [
            self._pane(grouping, minute, cells, status, MINUTE, users=users and not grouping)
            for grouping in groupings
        ]

    def now(self, at: float) -> list[Pane]:
        """What the figures of now are made of: active users and the last pulses."""
        minute = int(at) // MINUTE * MINUTE
        found = [
            self._pane((), minute - 240, self.cells(m), PARTIAL, ACTIVE, users=True, minute=m)
            for m in range(minute - 240, minute + 1, MINUTE)
        ]
        ten = int(at) // PULSE * PULSE
        sixth = self.cells(minute, 1 / 6)
        for start in range(ten - 40, ten + 1, PULSE):
            found += [self._pane(each, start, sixth, FINAL, PULSE) for each in GROUPING_SETS]
        return found

    def cells(self, minute: int, part: float = 1.0) -> Ints:
        """`MEASURES` by country, device and category: [11, 3, 8, 7]."""
        random = self._random(minute, 0)
        events = random.poisson(self._level(minute) * self._weights)
        events = np.floor(events * part).astype(np.int64)
        found = np.zeros((*events.shape, len(MEASURES)), np.int64)
        found[..., _COLUMN["rows"]] = events
        hour = minute // 3_600 % 24
        for (kind, share), column in zip(
            KINDS.items(), ("page_views", "clicks", "purchases", "errors"), strict=True
        ):
            much = share * (2.6 if kind == "error" and hour == 4 else 1.0)
            found[..., _COLUMN[column]] = self._random(minute, len(kind)).binomial(events, much)
        spent = found[..., _COLUMN["purchases"]] * self._prices * random.lognormal(0, 0.05)
        found[..., _COLUMN["revenue_micros"]] = (spent * 1_000_000).astype(np.int64)
        return found

    def recent(self, at: float, count: int) -> list[Entry]:
        """Some events of a second, now and then one that is refused."""
        found = []
        random = self._random(int(at), 9)
        for number in range(count):
            id = f"{int(at * 1000)}-{number}"
            if random.random() < 0.05:
                code, message = REASONS[random.integers(len(REASONS))]
                found.append(Entry(id=id, at=int(at * 1000), code=code, message=message))
                continue
            kind = str(random.choice(list(KINDS), p=_shares(KINDS.values())))
            category = str(random.choice(self._names[2]))
            price = int(self._prices[self._names[2].index(category)] * random.lognormal(0, 0.5))
            found.append(
                Entry(
                    id=id,
                    at=int(at * 1000),
                    type=kind,
                    url=SITE + PAGES[int(random.zipf(1.4)) % len(PAGES)],
                    category=category,
                    country=str(random.choice(self._names[0], p=_shares(COUNTRIES.values()))),
                    device=str(random.choice(self._names[1], p=_shares(DEVICES.values()))),
                    revenue_micros=price * 1_000_000 if kind == "purchase" else None,
                )
            )
        return found

    def raw(self, minute: int, number: int) -> RawBatch:
        """As many raw events as a minute has; what they say is not what `cells` says."""
        count = int(self.cells(minute)[..., 0].sum())
        random = self._random(minute, 11)
        millis = (minute * 1000 + random.integers(0, 60_000, count)).tolist()
        pages = [SITE + PAGES[int(each) % len(PAGES)] for each in random.zipf(1.4, count)]
        columns = {
            "event_time": millis,
            "client_time": millis,
            "received_at": millis,
            "event_id": [uuid.UUID(int=minute << 64 | i).bytes for i in range(count)],
            "dedup_key": [minute << 20 | i for i in range(count)],
            "type": ["page_view"] * count,
            "user_id": [f"user {i}" for i in range(count)],
            "user_hash": self._hashes[:count].tolist(),
            "session_id": [""] * count,
            "url": pages,
            "category": [None] * count,
            "country": random.choice(self._names[0], count, p=_shares(COUNTRIES.values())).tolist(),
            "device": random.choice(self._names[1], count, p=_shares(DEVICES.values())).tolist(),
            "bot": [False] * count,
            "revenue_micros": [0] * count,
            "amount_micros": [0] * count,
            "currency": ["USD"] * count,
            "props": ["{}"] * count,
        }
        rows: pa.RecordBatch = batch.decode(batch.encode(PROJECT, columns), hot_only=False)[1]
        return RawBatch(PROJECT, 0, number, np.arange(count), rows)

    def _pane(
        self,
        grouping: Grouping,
        start: int,
        cells: Ints,
        status: int,
        width: int,
        *,
        users: bool = False,
        minute: int = 0,
    ) -> Pane:
        """The marginal of a grouping set."""
        gone = tuple(at for at, name in enumerate(DIMENSIONS) if name not in grouping)
        kept = cells.sum(axis=gone) if gone else cells
        names = [self._names[DIMENSIONS.index(name)] for name in grouping]
        series = [tuple(each) for each in _product(names)]
        measures = kept.reshape(-1, len(MEASURES))
        seen = sketch.from_hashes(self._users(minute or start) if users else self._hashes[:0])
        return Pane(PROJECT, grouping, start, width, status, series, measures, seen, minute)

    def _users(self, minute: int) -> NDArray[np.uint64]:
        """Whose events a minute has: some of them come every minute."""
        count = int(self._level(minute) / 3.2)
        return self._hashes[self._random(minute // 240, 5).integers(0, USERS, count * 2)][:count]

    def _level(self, minute: int) -> float:
        """Events of a minute: by the time of the day, the day of the week, and chance."""
        turn = (minute % 86_400) / 86_400 * 2 * math.pi
        daily = 0.56 - 0.34 * math.cos(turn - 0.9) - 0.1 * math.cos(2 * turn)
        weekly = 1 + 0.06 * math.sin(minute // 86_400)
        slow = sum(math.sin(minute / (1_700 * k) + k) for k in (1, 2, 5)) * 0.025
        return PER_MINUTE * max(0.05, daily + slow) * weekly

    def _random(self, minute: int, what: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, minute, what])


def _product(names: list[list[str]]) -> Iterator[list[str]]:
    """All combinations, the last name changing first."""
    if not names:
        yield []
        return
    for first in names[0]:
        for rest in _product(names[1:]):
            yield [first, *rest]


def _shares(weights: Any) -> NDArray[np.float64]:
    found: NDArray[np.float64] = np.array(list(weights), float)
    shares: NDArray[np.float64] = found / found.sum()
    return shares
