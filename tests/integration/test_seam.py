"""Users over the seam, on real Valkey and ClickHouse: one union, whoever holds which half."""

import time
from collections.abc import Sequence

import numpy as np
import pytest
import redis

from events import sketch
from serving import metrics
from serving.projects import Project
from serving.query import parse
from serving.seam import Stores
from stores.clickhouse import ClickHouseStore
from stores.clickhouse_client import Connection
from stores.clickhouse_schema import refresh
from stores.contract import HOUR
from stores.hot import HotStore
from stores.hot_reads import HotReader
from stores.pane import FINAL, MEASURES, MINUTE, Grouping, Pane

pytestmark = pytest.mark.integration

PROJECT = Project(name="seam")


def _pane(start: int, grouping: Grouping, values: tuple[str, ...], users: Sequence[str]) -> Pane:
    measures = np.zeros((1, len(MEASURES)), np.int64)
    measures[0, 0] = len(users)
    return Pane(PROJECT.name, grouping, start, MINUTE, FINAL, [values], measures, _sketch(users))


def _sketch(users: Sequence[str]) -> sketch.Entries:
    return sketch.from_hashes(np.array([sketch.user_hash(user) for user in users], np.uint64))


@pytest.mark.parametrize("by_country", [False, True])
def test_a_range_half_hot_and_half_cold_is_the_estimate_of_one_sketch(
    client: redis.Redis,
    clickhouse_admin: Connection,
    clickhouse_store: ClickHouseStore,
    by_country: bool,
) -> None:
    now = time.time()
    boundary = (int(now) // HOUR - 24) * HOUR
    hot = HotStore(client)
    hot.beat(now, since=0)
    older = [f"user-{i}" for i in range(4_000)]
    newer = [f"user-{i}" for i in range(2_500, 7_000)]
    grouping: Grouping = ("country",) if by_country else ()
    country = f"X{int(now) % 100:02}"
    values = (country,) if by_country else ()
    for minutes, users, write in (
        (range(boundary - 30 * MINUTE, boundary, MINUTE), older, clickhouse_store.write),
        (range(boundary, boundary + 30 * MINUTE, MINUTE), newer, hot.write),
    ):
        for number, minute in enumerate(minutes):
            write([_pane(minute, grouping, values, users[number::30])])
    refresh(clickhouse_admin)

    asked = {
        "start": [str(boundary - HOUR)],
        "end": [str(boundary + HOUR)],
        "granularity": ["total"],
        "metrics": ["events,unique_users"],
    }
    if by_country:
        asked["filter"] = [f"country:{country}"]
    stores = Stores(HotReader(hot), clickhouse_store)
    query = parse(asked, now)
    reply = stores.ask(now, lambda reading: metrics.answer(PROJECT, query, now, reading))
    assert {part["store"] for part in reply["served"]} == {"hot", "clickhouse"}
    [series] = reply["series"]
    assert series["events"] == [len(older) + len(newer)]
    everyone = _sketch([f"user-{i}" for i in range(7_000)])
    assert series["unique_users"] == [sketch.estimate(everyone)]
