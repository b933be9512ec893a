"""Answers of the query API over a store in memory."""

from typing import Any, cast

import pytest
import redis

from serving.metrics import READ_AT_ONCE, answer, rate
from serving.query import parse
from stores.hot import HotStore
from stores.pane import FINAL, PARTIAL, REVISED
from tests.unit.serving.stores import MemoryStore

NOW = 1_750_000_000.0 + 1_430  # 15:30:30 + …
HOUR = 1_749_996_000 + 3_600  # the hour in progress
BY_COUNTRY = ("country",)


def ask(store: MemoryStore, **arguments: str) -> dict[str, Any]:
    query = parse({name: [text] for name, text in arguments.items()}, NOW)
    return answer(cast(HotStore, store), "demo", "USD", query, NOW)


def filled() -> MemoryStore:
    store = MemoryStore()
    store.put(HOUR, rows=10, bots=2, errors=2, purchases=1, revenue_micros=1_990_001)
    store.put(HOUR + 60, rows=4, status=REVISED)
    store.put(HOUR + 120, rows=3, status=PARTIAL)
    for country, rows in (("DE", 4), ("US", 3), ("FR", 1)):
        store.put(HOUR, BY_COUNTRY, (country,), rows=rows)
    return store


def test_columns_by_minute():
    reply = ask(
        filled(),
        start=str(HOUR),
        end=str(HOUR + 240),
        metrics="events,bots,errors,error_rate,revenue",
    )
    assert reply["time"] == [HOUR, HOUR + 60, HOUR + 120, HOUR + 180]
    assert reply["status"] == ["final", "revised", "partial", "none"]
    [series] = reply["series"]
    assert series["events"] == [8, 4, 3, 0]  # without bots
    assert series["bots"] == [2, 0, 0, 0]
    assert series["error_rate"] == [0.25, 0.0, 0.0, None]
    assert series["revenue"][0] == 1.990001
    assert series["revenue_micros"][0] == 1_990_001
    assert (reply["project"], reply["currency"], reply["as_of"]) == ("demo", "USD", NOW)


def test_hours_and_totals_are_sums_as_complete_as_their_least_complete_minute():
    for granularity in ("1h", "total"):
        reply = ask(filled(), start=str(HOUR), granularity=granularity, metrics="events,error_rate")
        assert reply["series"][0]["events"] == [15]
        assert reply["series"][0]["error_rate"] == [2 / 15]
        assert reply["status"] == ["partial"]


def test_other_is_the_parent_minus_the_named_children():
    reply = ask(
        filled(),
        start=str(HOUR),
        end=str(HOUR + 60),
        dimensions="country",
        metrics="events,errors,unique_users",
        limit="2",
    )
    assert [(s["dimensions"]["country"], s["events"]) for s in reply["series"]] == [
        ("DE", [4]),
        ("US", [3]),
        ("other", [1]),
    ]
    assert reply["series"][2]["unique_users"] is None


def test_a_filter_reads_its_own_series():
    store = filled()
    reply = ask(store, start=str(HOUR), end=str(HOUR + 60), filter="country:US")
    assert reply["series"] == [{"dimensions": {"country": "US"}, "events": [3]}]


def test_users_are_unions_and_never_sums():
    store = filled()
    store.users[(), ()] = {(HOUR, "ann"), (HOUR + 60, "ann"), (HOUR + 60, "bob")}
    by_minute = ask(store, start=str(HOUR), end=str(HOUR + 120), metrics="unique_users")
    assert by_minute["series"][0]["unique_users"] == [1, 2]
    total = ask(
        store, start=str(HOUR), end=str(HOUR + 120), metrics="unique_users", granularity="total"
    )
    assert total["series"][0]["unique_users"] == [2]
    assert total["unique_users_standard_error"] == 0.00813
    assert total["unavailable"] == {}


def test_two_dimensions_have_no_users_and_the_answer_says_so():
    reply = ask(filled(), metrics="unique_users,active_users", filter="country:US,device:mobile")
    [series] = reply["series"]
    assert series["unique_users"] is None
    assert series["active_users"] is None
    assert set(reply["unavailable"]) == {"unique_users", "active_users"}


def test_a_series_without_a_sketch_is_unknown_and_not_zero():
    reply = ask(
        filled(), start=str(HOUR), granularity="1h", metrics="unique_users", filter="country:US"
    )
    assert reply["series"][0]["unique_users"] == [None]
    assert "null" in reply["unavailable"]["unique_users"]


def test_active_users_are_one_number():
    store = filled()
    store.active[(), ()] = 7
    assert ask(store, metrics="active_users")["series"][0]["active_users"] == 7


def test_each_hour_is_the_sum_of_its_minutes():
    store = filled()
    store.put(HOUR - 60, rows=5)
    store.put(HOUR - 3_600, rows=7)
    reply = ask(store, start=str(HOUR - 3_600), granularity="1h")
    assert reply["time"] == [HOUR - 3_600, HOUR]
    assert reply["series"][0]["events"] == [12, 15]


def test_a_total_is_one_window_of_the_whole_range():
    reply = ask(filled(), start=str(HOUR + 60), end=str(HOUR + 180), granularity="total")
    assert reply["time"] == [HOUR + 60]
    assert reply["series"][0]["events"] == [7]


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([], "none"),
        ([FINAL], "final"),  # minutes without anything say nothing
        ([FINAL, REVISED], "final"),
        ([REVISED, REVISED], "revised"),
        ([FINAL, PARTIAL, REVISED], "partial"),
    ],
)
def test_an_hour_is_as_complete_as_its_least_complete_minute(states: list[int], expected: str):
    store = MemoryStore()
    for i, state in enumerate(states):
        store.put(HOUR + 60 * i, rows=1, status=state)
    assert ask(store, start=str(HOUR), granularity="1h")["status"] == [expected]


def test_revenue_is_exact_in_micros():
    micros = 2**53 + 1  # which no float is
    store = MemoryStore()
    store.put(HOUR, rows=1, revenue_micros=micros)
    store.put(HOUR + 60, rows=1, revenue_micros=1)
    reply = ask(store, start=str(HOUR), granularity="total", metrics="revenue")
    assert reply["series"][0]["revenue_micros"] == [micros + 1]


def test_nothing_has_no_error_rate():
    assert rate(0, 0) is None
    reply = ask(MemoryStore(), start=str(HOUR), granularity="total", metrics="events,error_rate")
    assert reply["series"][0] == {"dimensions": {}, "events": [0], "error_rate": [None]}


def test_nothing_left_over_is_no_other():
    store = MemoryStore()
    store.put(HOUR, rows=3)
    store.put(HOUR, BY_COUNTRY, ("DE",), rows=3)
    reply = ask(store, start=str(HOUR), granularity="total", dimensions="country")
    assert [s["dimensions"]["country"] for s in reply["series"]] == ["DE"]


def test_children_without_anything_in_the_range_are_left_out():
    store = filled()
    store.put(HOUR - 600, BY_COUNTRY, ("JP",), rows=50)
    reply = ask(store, start=str(HOUR), granularity="total", dimensions="country")
    assert "JP" not in [s["dimensions"]["country"] for s in reply["series"]]


def test_other_is_within_the_filter():
    store = MemoryStore()
    store.put(HOUR, rows=100)
    store.put(HOUR, BY_COUNTRY, ("DE",), rows=9)
    for country, device, rows in (("DE", "tv", 4), ("DE", "mobile", 3), ("US", "tv", 50)):
        store.put(HOUR, ("country", "device"), (country, device), rows=rows)
    reply = ask(
        store,
        start=str(HOUR),
        granularity="total",
        filter="country:DE",
        dimensions="device",
        limit="1",
    )
    assert [(s["dimensions"], s["events"]) for s in reply["series"]] == [
        ({"country": "DE", "device": "tv"}, [4]),
        ({"country": "DE", "device": "other"}, [5]),
    ]


def test_the_largest_are_named_however_many_there_are_and_ties_by_name():
    store, count = MemoryStore(), 2 * READ_AT_ONCE + 5
    store.put(HOUR, rows=count + 1)
    for i in range(count):
        store.put(HOUR, ("category",), (f"c{i:03}",), rows=1 + (i == count - 1))
    reply = ask(store, start=str(HOUR), granularity="total", dimensions="category", limit="3")
    assert [(s["dimensions"]["category"], s["events"]) for s in reply["series"]] == [
        (f"c{count - 1:03}", [2]),
        ("c000", [1]),
        ("c001", [1]),
        ("other", [count + 1 - 4]),
    ]


def test_a_range_the_store_has_no_union_for_is_unavailable():
    class Coarse(MemoryStore):
        def unique_users(self, *_: Any) -> Any:
            raise ValueError("whole hours only")

    reply = ask(Coarse(), start=str(HOUR), metrics="events,unique_users", filter="country:US")
    assert reply["series"][0]["unique_users"] is None
    assert reply["unavailable"] == {"unique_users": "whole hours only"}
    assert not any(reply["series"][0]["events"])


def test_a_store_that_is_away_is_not_an_answer():
    store = MemoryStore()
    store.away = True
    with pytest.raises(redis.RedisError):
        ask(store)
