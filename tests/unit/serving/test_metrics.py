"""Answers of the query API over a store in memory."""

from typing import Any

import pytest

from serving.metrics import answer, rate
from serving.projects import DEMO
from serving.query import parse
from serving.seam import AWAY, Stores, Unanswered
from stores.contract import Slice, Users
from stores.pane import FINAL, PARTIAL, REVISED
from tests.unit.serving.stores import MemoryReader

NOW = 1_750_000_000.0 + 1_430  # 15:30:30 + …
HOUR = 1_749_996_000 + 3_600  # the hour in progress
BY_COUNTRY = ("country",)


def ask(
    store: MemoryReader, cold: MemoryReader | None = None, /, **arguments: str
) -> dict[str, Any]:
    query = parse({name: [text] for name, text in arguments.items()}, NOW)
    return Stores(store, cold).ask(NOW, lambda reading: answer(DEMO, query, NOW, reading))


def filled() -> MemoryReader:
    store = MemoryReader()
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


def test_hours_and_totals_are_sums_and_partial_while_a_minute_is():
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
    assert reply["unavailable"] == {"unique_users": "with a dimension, kept for whole hours only"}


def test_a_filter_reads_its_own_series():
    store = filled()
    reply = ask(store, start=str(HOUR), end=str(HOUR + 60), filter="country:US")
    assert reply["series"] == [{"dimensions": {"country": "US"}, "events": [3]}]


def test_users_are_unions_and_never_sums():
    store = filled()
    store.put(HOUR, rows=2, users=["ann"])
    store.put(HOUR + 60, rows=2, users=["ann", "bob"])
    by_minute = ask(store, start=str(HOUR), end=str(HOUR + 120), metrics="unique_users")
    assert by_minute["series"][0]["unique_users"] == [1, 2]
    total = ask(
        store, start=str(HOUR), end=str(HOUR + 120), metrics="unique_users", granularity="total"
    )
    assert total["series"][0]["unique_users"] == [2]
    assert total["series"][0]["unique_users_error"] == [0.0]
    assert total["unique_users_standard_error"] == 0.00813
    assert total["unavailable"] == {}


def test_users_of_several_values_are_united():
    store = MemoryReader()
    store.put(HOUR, BY_COUNTRY, ("DE",), rows=2, users=["ann", "bob"])
    store.put(HOUR, BY_COUNTRY, ("US",), rows=2, users=["bob", "eve"])
    store.put(HOUR, BY_COUNTRY, ("FR",), rows=1, users=["max"])
    asked = {"start": str(HOUR), "granularity": "1h", "metrics": "events,unique_users"}
    reply = ask(store, **asked, filter="country:DE,country:US")
    assert reply["series"] == [
        {"dimensions": {}, "events": [4], "unique_users": [3], "unique_users_error": [0.0]}
    ]
    apart = ask(store, **asked, filter="country:DE,country:US", dimensions="country")
    assert [(s["dimensions"], s["unique_users"]) for s in apart["series"]] == [
        ({"country": "DE"}, [2]),
        ({"country": "US"}, [2]),
    ]


def test_conversion_is_purchases_per_user():
    store = MemoryReader()
    store.put(HOUR, rows=9, purchases=3, users=["ann", "bob", "eve", "max"])
    reply = ask(store, start=str(HOUR), end=str(HOUR + 120), metrics="conversion")
    assert reply["series"][0]["conversion"] == [0.75, None]


def test_unions_are_read_once_however_many_metrics_are_made_of_them():
    class Counting(MemoryReader):
        unions = 0

        def users(self, ask: Slice) -> Users:
            self.unions += 1
            return super().users(ask)

    store = Counting()
    store.put(HOUR, rows=9, purchases=3, users=["ann"])
    reply = ask(store, start=str(HOUR), end=str(HOUR + 60), metrics="unique_users,conversion")
    assert (reply["series"][0]["unique_users"], reply["series"][0]["conversion"]) == ([1], [3.0])
    assert store.unions == 1


def test_two_dimensions_have_no_users_and_the_answer_says_so():
    reply = ask(filled(), metrics="unique_users,active_users", filter="country:US,device:mobile")
    shown = {"country": "US", "device": "mobile"}
    assert reply["series"] == [{"dimensions": shown, "unique_users": None, "active_users": None}]
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
    past = ask(store, metrics="active_users", end="-5m")
    assert past["unavailable"] == {"active_users": "the range ends before the last five minutes"}


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
        ([FINAL, REVISED], "revised"),
        ([REVISED, REVISED], "revised"),
        ([FINAL, PARTIAL, REVISED], "partial"),
    ],
)
def test_an_hour_is_partial_while_a_minute_is_and_revised_when_one_was(
    states: list[int], expected: str
):
    store = MemoryReader()
    for i, state in enumerate(states):
        store.put(HOUR + 60 * i, rows=1, status=state)
    assert ask(store, start=str(HOUR), granularity="1h")["status"] == [expected]


def test_revenue_is_exact_in_micros():
    micros = 2**53 + 1  # which no float is
    store = MemoryReader()
    store.put(HOUR, rows=1, revenue_micros=micros)
    store.put(HOUR + 60, rows=1, revenue_micros=1)
    reply = ask(store, start=str(HOUR), granularity="total", metrics="revenue")
    assert reply["series"][0]["revenue_micros"] == [micros + 1]


def test_nothing_has_no_error_rate():
    assert rate(0, 0) is None
    reply = ask(MemoryReader(), start=str(HOUR), granularity="total", metrics="events,error_rate")
    assert reply["series"][0] == {"dimensions": {}, "events": [0], "error_rate": [None]}


def test_nothing_left_over_is_no_other():
    store = MemoryReader()
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
    store = MemoryReader()
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
    store, count = MemoryReader(), 205
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


def test_a_store_that_is_away_is_not_an_answer():
    store = MemoryReader()
    store.away = "no route"
    with pytest.raises(Unanswered):
        ask(store)


def test_events_by_type():
    store = MemoryReader()
    store.put(HOUR, rows=12, bots=2, page_views=5, clicks=2, purchases=1)
    store.put(HOUR, BY_COUNTRY, ("DE",), rows=6, page_views=5, errors=1)
    reply = ask(store, start=str(HOUR), granularity="total", dimensions="type")
    assert [(s["dimensions"], s["events"]) for s in reply["series"]] == [
        ({"type": "page_view"}, [5]),
        ({"type": "click"}, [2]),
        ({"type": "purchase"}, [1]),
        ({"type": "custom"}, [2]),
    ]
    both = ask(store, start=str(HOUR), granularity="total", dimensions="type,country", limit="1")
    assert {"country": "DE", "type": "error"} in [s["dimensions"] for s in both["series"]]


def test_the_order_may_be_another_metric_and_the_least_first():
    store = MemoryReader()
    store.put(HOUR, rows=30, revenue_micros=30)
    for country, rows, revenue in (("DE", 20, 1), ("US", 10, 29)):
        store.put(HOUR, BY_COUNTRY, (country,), rows=rows, revenue_micros=revenue)
    for order, first in (("revenue", "US"), ("events", "DE"), ("events:asc", "US")):
        reply = ask(
            store,
            start=str(HOUR),
            granularity="total",
            dimensions="country",
            limit="1",
            order=order,
        )
        assert reply["series"][0]["dimensions"]["country"] == first
        assert reply["series"][1]["dimensions"]["country"] == "other"


def test_a_comparison_has_the_same_series_of_an_earlier_range():
    store = MemoryReader()
    store.put(HOUR, rows=30)
    store.put(HOUR, BY_COUNTRY, ("DE",), rows=20)
    store.put(HOUR, BY_COUNTRY, ("US",), rows=10)
    store.put(HOUR - 86_400, rows=9)
    store.put(HOUR - 86_400, BY_COUNTRY, ("US",), rows=7)
    store.put(HOUR - 86_400, BY_COUNTRY, ("DE",), rows=2)
    reply = ask(
        store,
        start=str(HOUR),
        end=str(HOUR + 60),
        dimensions="country",
        limit="1",
        compare="yesterday",
    )
    before = reply["compare"]
    assert (before["period"], before["time"]) == ("yesterday", [HOUR - 86_400])
    assert [(s["dimensions"]["country"], s["events"]) for s in before["series"]] == [
        ("DE", [2]),
        ("other", [7]),
    ]
    period = ask(store, start="-24h", end=str(HOUR), granularity="total", compare="previous_period")
    assert period["compare"]["end"] == period["start"]


def test_a_step_that_misses_minutes_is_null_and_never_a_sum_of_the_rest():
    hot, cold = MemoryReader(), MemoryReader("clickhouse")
    hot.beginning = 0
    hot.put(HOUR, rows=5, users=["ann"])
    cold.away = "connection refused"
    asked = {"metrics": "events,revenue,error_rate,unique_users", "granularity": "1h"}
    reply = ask(hot, cold, start="-26h", **asked)
    lost = [s == "missing" for s in reply["status"]]
    assert lost == [True] * 2 + [False] * 25
    for name in ("events", "revenue", "revenue_micros", "unique_users", "unique_users_error"):
        assert reply["series"][0][name][:2] == [None] * 2
        assert None not in reply["series"][0][name][2:]
    boundary = reply["boundary"]
    assert reply["missing"] == [
        {
            "start": reply["start"],
            "end": boundary,
            "store": "clickhouse",
            "reason": AWAY,
        }
    ]
    assert reply["served"] == [{"store": "hot", "start": boundary, "end": reply["end"]}]
    whole = ask(hot, cold, start="-26h", granularity="total")
    assert whole["series"][0]["events"] == [None]
    assert whole["status"] == ["missing"]
