"""The events that benchmarks count: deterministic, skewed like traffic, the truth beside them.

Chunk i of a dataset is the same wherever and whenever it is made. Countries and categories follow
Zipf's law, and users too (a million of them). 5 types; every 200 events share a batch id, as a
request would, when they are written as EventBatches; as JSON each has an id of its own. One JSON
event is about 480 bytes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from events import batch, dedup, sketch
from serving.ingest.rows import partitions_of
from stores.pane import DIMENSIONS

Ints = NDArray[np.int64]

PROJECT: Final = "bench"
USERS: Final = 1_000_000
TYPES: Final = ("page_view", "click", "purchase", "error", "signup")
_TYPE_SHARES: Final = (0.70, 0.20, 0.05, 0.03, 0.02)
DEVICES: Final = ("desktop", "mobile", "tablet", "tv")
USERS_WITHIN: Final = 0.03  # of the truth, for estimates; their standard error is 0.0081
PAGES: Final = 500
PER_REQUEST: Final = 200
_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True)
class Shape:
    """How many values each dimension has."""

    countries: int
    devices: int
    categories: int

    @property
    def series(self) -> int:
        """Combinations of all three."""
        return self.countries * self.devices * self.categories


# By the number of series that one asks for; 5,000 is 60 x 4 x 20.
SHAPES: Final = {50: Shape(5, 2, 5), 500: Shape(25, 4, 5), 5_000: Shape(60, 4, 20)}


@dataclass(frozen=True)
class Chunk:
    """Some events as columns: codes into the names, users by number, money in micros."""

    shape: Shape
    index: int
    time_ms: Ints
    type: Ints
    country: Ints
    device: Ints
    category: Ints
    user: Ints
    micros: Ints

    def __len__(self) -> int:
        return len(self.time_ms)

    def take(self, rows: NDArray[np.integer]) -> "Chunk":
        """Some of its rows."""
        return Chunk(
            self.shape,
            self.index,
            *(
                getattr(self, name)[rows]
                for name in ("time_ms", "type", "country", "device", "category", "user", "micros")
            ),
        )

    @cached_property
    def user_hash(self) -> NDArray[np.uint64]:
        """Of each event's user."""
        return user_hashes()[self.user]

    def parts(self, partitions: int) -> Iterator[tuple[int, "Chunk"]]:
        """The rows of each partition, as the collector would share them out."""
        where = partitions_of(dedup.salt(PROJECT), self.user_hash, partitions)
        for partition in range(partitions):
            rows = np.flatnonzero(where == partition)
            if len(rows):
                yield partition, self.take(rows)


def countries(shape: Shape) -> list[str]:
    """Codes of two letters."""
    return [_LETTERS[i // 26] + _LETTERS[i % 26] for i in range(shape.countries)]


def categories(shape: Shape) -> list[str]:
    """c0, c1, …"""
    return [f"c{i}" for i in range(shape.categories)]


def chunk(
    shape: Shape, index: int, count: int, start_ms: int, span_ms: int, seed: int = 1
) -> Chunk:
    """Chunk `index`: `count` events in order of time, evenly over `span_ms` from `start_ms`."""
    rng = np.random.default_rng((seed, index))
    types = rng.choice(len(TYPES), count, p=_TYPE_SHARES)
    bought = types == TYPES.index("purchase")
    return Chunk(
        shape,
        index,
        start_ms + np.arange(count) * span_ms // count,
        types,
        _zipf(rng, shape.countries, count),
        rng.integers(shape.devices, size=count),
        _zipf(rng, shape.categories, count),
        _zipf(rng, USERS, count),
        np.where(bought, rng.integers(100, 50_000, count) * 10_000, 0),
    )


def event_batch(events: Chunk) -> bytes:
    """The events as the collector writes them: all columns of an EventBatch."""
    shape, count = events.shape, len(events)
    rng = np.random.default_rng((7, events.index, count))
    ids = rng.bytes(16 * count)
    requests = np.arange(count) // PER_REQUEST
    keys = rng.integers(0, 1 << 63, requests[-1] + 1, np.uint64) * np.uint64(2) + np.uint64(1)
    bought = events.type == TYPES.index("purchase")
    distinct, place = np.unique(events.user, return_inverse=True)
    users, sessions = (ids.take(pa.array(distinct)) for ids in (_numbered("u"), _numbered("s")))
    columns: dict[str, Any] = {
        "event_time": pa.array(events.time_ms),
        "client_time": pa.array(events.time_ms),
        "received_at": pa.array(events.time_ms + 20),
        "event_id": pa.FixedSizeBinaryArray.from_buffers(
            pa.binary(16), count, [None, pa.py_buffer(ids)]
        ),
        "dedup_key": pa.array(keys[requests]),
        "type": _dictionary(events.type, TYPES),
        "user_id": pa.DictionaryArray.from_arrays(place.astype(np.int32), users),
        "user_hash": pa.array(events.user_hash),
        "session_id": pa.DictionaryArray.from_arrays(place.astype(np.int32), sessions),
        "url": _dictionary((events.user + events.category) % PAGES, _urls()),
        "category": _dictionary(events.category, categories(shape)),
        "country": _dictionary(events.country, countries(shape)),
        "device": _dictionary(events.device, DEVICES),
        "bot": pa.array(np.zeros(count, np.bool_)),
        "revenue_micros": pa.array(events.micros),
        "amount_micros": pa.array(events.micros, mask=~bought),
        "currency": pa.DictionaryArray.from_arrays(
            pa.array(np.zeros(count, np.int32), mask=~bought), pa.array(["USD"])
        ),
        "props": pa.nulls(count, pa.utf8()),
    }
    return batch.pack(PROJECT, [columns[field.name] for field in batch.SCHEMA])


_LINE: Final = (
    '{"id":"%s","type":"%s","user_id":"u%d","ts":%d,"session_id":"s%d-%d","url":"%s",'
    '"category":"c%d","country":"%s","device":"%s"%s,"props":{"referrer":'
    '"https://search.example.com/results?q=running+shoes","title":"Running shoes and more",'
    '"screen":"1920x1080","viewport":"1280x720","language":"en-GB","timezone":"Europe/Berlin",'
    '"variant":"B","scroll":%d,"visit":%d}}'
)


def json_lines(events: Chunk) -> list[bytes]:
    """The events as JSON texts, one each, of about 480 bytes."""
    rng = np.random.default_rng((9, events.index, len(events)))
    ids = rng.bytes(16 * len(events)).hex()
    names, urls = countries(events.shape), _urls()
    lines = []
    rows = zip(
        events.time_ms.tolist(),
        events.type.tolist(),
        events.country.tolist(),
        events.device.tolist(),
        events.category.tolist(),
        events.user.tolist(),
        events.micros.tolist(),
        strict=True,
    )
    for i, (ms, kind, country, device, category, user, micros) in enumerate(rows):
        h = ids[32 * i : 32 * i + 32]
        paid = f',"amount":{micros / 1e6:.2f},"currency":"USD"' if micros else ""
        line = _LINE % (
            f"{h[:8]}-{h[8:12]}-7{h[13:16]}-a{h[17:20]}-{h[20:]}",
            TYPES[kind],
            user,
            ms,
            user,
            events.index,
            urls[(user + category) % PAGES],
            category,
            names[country],
            DEVICES[device],
            paid,
            i % 100,
            user % 50,
        )
        lines.append(line.encode())
    return lines


@dataclass
class Truth:
    """What must be found in a store: by minute (epoch seconds), added up chunk by chunk.

    `measures[minute]` is (countries, devices, categories, 7), in the order of
    `stores.pane.MEASURES`.
    """

    shape: Shape
    measures: dict[int, Ints] = field(default_factory=dict)
    users: dict[int, NDArray[np.bool_]] = field(default_factory=dict)  # minute → who came
    events: int = 0

    def add(self, events: Chunk) -> None:
        """Count the events of a chunk."""
        shape = self.shape
        self.events += len(events)
        minutes = events.time_ms // 60_000 * 60
        for minute in np.unique(minutes).tolist():
            part = events.take(np.flatnonzero(minutes == minute))
            self.users.setdefault(minute, np.zeros(USERS, np.bool_))[part.user] = True
            cell = (part.country * shape.devices + part.device) * shape.categories + part.category
            kinds = np.bincount(cell * len(TYPES) + part.type, minlength=shape.series * len(TYPES))
            table = self.measures.setdefault(
                minute, np.zeros((shape.countries, shape.devices, shape.categories, 7), np.int64)
            ).reshape(-1, 7)
            table[:, 1:5] += kinds.reshape(-1, len(TYPES))[:, :4]
            table[:, 0] += np.bincount(cell, minlength=shape.series)
            np.add.at(table[:, 6], cell, part.micros)

    def merge(self, other: "Truth") -> None:
        """Count what another has counted."""
        self.events += other.events
        for minute, came in other.users.items():
            users = self.users.get(minute)
            self.users[minute] = came if users is None else users | came
        for minute, table in other.measures.items():
            held = self.measures.get(minute)
            self.measures[minute] = table if held is None else held + table

    def users_by_minute(self) -> dict[int, int]:
        """How many distinct users each minute has."""
        return {minute: int(came.sum()) for minute, came in self.users.items()}

    def of(self, minute: int, dimension: str | None = None, value: int = 0) -> list[int]:
        """The measures of one series: the total, or one value of one dimension."""
        table = self.measures[minute]
        if dimension is not None:
            table = np.take(table, value, axis=DIMENSIONS.index(dimension))
        return [int(x) for x in table.reshape(-1, 7).sum(axis=0)]


def _zipf(rng: np.random.Generator, size: int, count: int) -> Ints:
    found = np.searchsorted(_cumulated(size), rng.random(count))
    return np.minimum(found, size - 1).astype(np.int64)


@lru_cache(8)
def _cumulated(size: int) -> NDArray[np.float64]:
    total = np.cumsum(1.0 / np.arange(1, size + 1))
    return np.asarray(total / total[-1])


@lru_cache(1)
def user_hashes() -> NDArray[np.uint64]:
    """Of each of the million users."""
    return np.array([sketch.user_hash(f"u{i}") for i in range(USERS)], np.uint64)


@lru_cache(2)
def _numbered(letter: str) -> pa.Array:
    return pa.array([f"{letter}{i}" for i in range(USERS)])


@lru_cache(1)
def _urls() -> list[str]:
    return [f"https://shop.example.com/catalogue/item-{i}" for i in range(PAGES)]


def _dictionary(codes: Ints, names: Sequence[str]) -> pa.DictionaryArray:
    """Only the names that occur, as an encoder of values would make it."""
    used = np.flatnonzero(np.bincount(codes, minlength=len(names)))
    place = np.zeros(len(names), np.int32)
    place[used] = np.arange(len(used))
    return pa.DictionaryArray.from_arrays(place[codes], pa.array([names[i] for i in used.tolist()]))
