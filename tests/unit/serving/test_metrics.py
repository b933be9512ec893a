"""Answers of the query API over a store in memory."""

from typing import Any, cast

from serving.metrics import answer
from serving.query import parse
from stores.hot import HotStore
from stores.pane import PARTIAL, REVISED
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
