"""A month of minutes, put straight into the stores, whose every number is known.

Series are the first combinations of 60 countries, 4 devices and 20 categories. The rows of series i
in minute m (since the epoch) are `1 + (7 i + 13 m) % 50`; marginals are their sums. Sketches hold
some thousand users each; they are of the right size, and not compared with a truth.
"""

import json
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from events import sketch
from stores import layout
from stores.clickhouse_client import Address, Connection
from stores.clickhouse_schema import migrate, refresh
from stores.clickhouse_tables import Options
from stores.contract import DAY, HOUR
from stores.hot import HotStore
from stores.pane import DIMENSIONS, FINAL, GROUPING_SETS, MEASURES, MINUTE, Grouping, mask

PROJECT: Final = "demo"
COUNTRIES: Final = [f"C{i:02}" for i in range(60)]
DEVICES: Final = ["desktop", "mobile", "tablet", "tv"]
CATEGORIES: Final = [f"category-{i}" for i in range(20)]
HOT_HOURS: Final = 26
_ROWS: Final = "1 + (7 * i + 13 * m) % 50"
_USERS_AN_HOUR: Final = 20_000

Key = tuple[str, ...]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Month:
    """What was made: minutes from `start` to `end` (epoch seconds) of `finest` combinations."""

    start: int
    end: int
    boundary: int  # minutes of the hot store begin before it
    finest: list[Key]
    rows: int  # in ClickHouse's table of minutes
    series: int  # of all grouping sets

    def truths(self) -> Iterator[tuple[str, int]]:
        """Filters as the API takes them, and how many events pass."""
        for chosen in ({}, {"country": "C07"}, {"device": "tv", "category": "category-3"}):
            text = ",".join(f"{d}:{v}" for d, v in chosen.items())
            members = [
                i
                for i, key in enumerate(self.finest)
                if all(key[DIMENSIONS.index(d)] == v for d, v in chosen.items())
            ]
            minutes = np.arange(self.start // MINUTE, self.end // MINUTE)
            total = sum(int(rows_of(i, minutes).sum()) for i in members)
            yield (f"&filter={text}" if text else ""), total


def rows_of(i: int, minutes: Ints) -> Ints:
    """Rows of series i in minutes since the epoch."""
    return 1 + (7 * i + 13 * minutes) % 50


def fill(url: str, client: Any, days: int, count: int, stamp: Path) -> Month:
    """Fill the stores; ClickHouse only when `stamp` does not say that it is filled and current."""
    finest: list[Key] = list(product(COUNTRIES, DEVICES, CATEGORIES))
    rng = np.random.default_rng(1)
    finest = [finest[i] for i in sorted(rng.permutation(len(finest))[:count])]
    end = int(time.time()) // HOUR * HOUR
    wanted = {"days": days, "count": count}
    held = json.loads(stamp.read_text()) if stamp.exists() else {}
    with closing(Connection(Address.parse(url), 3_600, {})) as server:
        if {**held, "end": 0} != {**wanted, "end": 0} or end - held["end"] > HOUR:
            stamp.unlink(missing_ok=True)
            _fill_clickhouse(server, end - days * DAY, end, finest)
            stamp.write_text(json.dumps({**wanted, "end": end}))
        else:
            end = held["end"]
        table = f"{server.address.database}.rollup_1m"
        rows = server.table(f"SELECT count() AS n FROM {table}").to_pylist()[0]["n"]
    series = _fill_hot(client, end, finest)
    boundary = int(time.time()) // HOUR * HOUR - 24 * HOUR
    return Month(end - days * DAY, end, boundary, finest, rows, series)


def _fill_clickhouse(server: Connection, start: int, end: int, finest: list[Key]) -> None:
    """Minutes a day at a time, then hours and days from them, then sketches."""
    database = server.address.database
    server.command(f"DROP DATABASE IF EXISTS {database}")
    migrate(server, Options(refresh_seconds=86_400))
    values = ", ".join(f"['{c}', '{d}', '{k}']" for c, d, k in finest)
    into = (
        f"INSERT INTO {database}.rollup_1m (project, grouping, country, device, category, minute,"
        f" {', '.join(MEASURES)}, status, version)"
    )
    sums = ", ".join(f"sum(source.{name}) AS {name}" for name in MEASURES)
    for low in range(start, end, DAY):
        minutes = (min(low + DAY, end) - low) // MINUTE
        server.command(
            f"{into} WITH [{values}] AS keys SELECT '{PROJECT}', 7, keys[i + 1][1], keys[i + 1][2],"
            f" keys[i + 1][3], toDateTime(m * 60), {_ROWS} AS n, n - n % 3, n % 3, 0, 0, 0,"
            f" n * 10000, {FINAL}, n * 4 + 3"
            f" FROM (SELECT intDiv(number, {minutes}) AS i,"
            f" {low // MINUTE} + number % {minutes} AS m FROM numbers({len(finest) * minutes}))"
        )
        for grouping in GROUPING_SETS[:-1]:
            kept = [name if name in grouping else "''" for name in DIMENSIONS]
            server.command(
                f"{into} SELECT project, {mask(grouping)}, {kept[0]} AS a, {kept[1]} AS b,"
                f" {kept[2]} AS c, minute, {sums}, {FINAL}, rows * 4 + 3"
                f" FROM {database}.rollup_1m AS source"
                f" WHERE grouping = 7 AND minute >= toDateTime({low})"
                f" AND minute < toDateTime({low + DAY}) GROUP BY project, a, b, c, minute"
            )
    refresh(server)
    for grouping, names in (((), [""]), *(((d,), _names(finest, d)) for d in DIMENSIONS)):
        listed = ", ".join(f"'{name}'" for name in names)
        each = _USERS_AN_HOUR // len(names)
        for low in range(start, end, DAY):
            hours = (min(low + DAY, end) - low) // HOUR
            server.command(
                f"INSERT INTO {database}.uniques_1h SELECT '{PROJECT}', {mask(grouping)}, v,"
                f" toDateTime({low} + 3600 * h), uniqCombined64State(14)(cityHash64(v, u))"
                f" FROM (SELECT arrayJoin([{listed}]) AS v, number % {hours} AS h,"
                f" intDiv(number, {hours}) * (1 + h % 3) AS u FROM numbers({hours * each}))"
                " GROUP BY v, h"
            )


def _names(finest: list[Key], dimension: str) -> list[str]:
    return sorted({key[DIMENSIONS.index(dimension)] for key in finest})


def _fill_hot(client: Any, end: int, finest: list[Key]) -> int:
    """The last hours in the hot store's own layout; how many series they are."""
    client.flushall()
    store = HotStore(client)
    start, until = end - HOT_HOURS * HOUR, int(time.time()) // MINUTE * MINUTE + 30 * MINUTE
    minutes = np.arange(start // MINUTE, until // MINUTE)
    sums: dict[tuple[Grouping, Key], Ints] = {}
    for i, key in enumerate(finest):
        rows = rows_of(i, minutes)
        for grouping in GROUPING_SETS:
            place = (grouping, tuple(key[DIMENSIONS.index(name)] for name in grouping))
            sums[place] = sums[place] + rows if place in sums else rows
    pipe = client.pipeline(transaction=False)
    for (grouping, values), rows in sums.items():
        measures = np.zeros((len(rows), len(MEASURES)), np.int64)
        measures[:, 0], measures[:, 6] = rows, rows * 10_000
        prefix = layout.series_prefix(PROJECT, MINUTE, grouping) + layout.values_text(values)
        done = 0
        for span in layout.spans(start, until, MINUTE):
            packed = layout.pack(measures[done : done + span.length])
            pipe.setrange(f"{prefix}:{span.day}", span.first * layout.RECORD.itemsize, packed)
            members = layout.members_key(PROJECT, MINUTE, grouping, span.day)
            pipe.sadd(members, layout.values_text(values))
            done += span.length
    for span in layout.spans(start, until, MINUTE):
        status = bytes([FINAL]) * span.length
        pipe.setrange(layout.status_key(PROJECT, span.day), span.first, status)
    _sketches(pipe, start, until, sums)
    pipe.execute()
    store.beat(time.time(), since=start)
    return len(sums)


def _sketches(pipe: Any, start: int, until: int, sums: Any) -> None:
    """Some thousand users an hour, the same for every series."""
    rng = np.random.default_rng(2)
    hashes = rng.integers(0, 2**63, _USERS_AN_HOUR).astype(np.uint64)
    hour = sketch.to_blob(sketch.from_hashes(hashes), dense=True)
    minute = sketch.to_blob(sketch.from_hashes(hashes[:1_000]), dense=True)
    for at in range(start, until, MINUTE):
        pipe.set(layout.minute_users_key(PROJECT, at), minute)
    for grouping, values in sums:
        if len(grouping) < 2:
            name = layout.values_text(values)
            prefix = layout.hour_users_prefix(PROJECT, grouping) + name
            for at in range(start, until, HOUR):
                pipe.set(f"{prefix}:{at}", hour)
                pipe.sadd(layout.sketched_key(PROJECT, MINUTE, grouping, at // DAY), name)


def described(month: Month) -> dict[str, int]:
    """What a report says of it."""
    return {name: value for name, value in asdict(month).items() if isinstance(value, int)}
