"""Top values: those of `/v1/breakdown` for the same span, read now and then."""

import json
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving import breakdown
from serving.projects import DEMO
from serving.seam import Stores
from serving.shape import SHOWN
from serving.top import COLUMNS, EVERY, LIMIT, Top
from stores.hot import HotStore
from stores.hot_reads import HotReader
from stores.pane import DIMENSIONS, GROUPING_SETS
from tests.unit.serving.stores import MemoryStore

NOW = 1_750_000_030.0
MINUTE = 1_750_000_020
COUNTRIES = [f"{letter}{other}" for letter in "ABCD" for other in "WXYZ"]


def reader(store: MemoryStore) -> HotReader:
    return HotReader(cast(HotStore, store))


def top(store: MemoryStore, *filters: tuple[str, str]) -> Top:
    return Top(reader(store), DEMO, filters)


EVENTS = st.lists(
    st.tuples(
        st.integers(0, 70),  # minutes ago
        st.tuples(st.sampled_from(COUNTRIES), st.sampled_from("mt"), st.sampled_from("ab")),
        st.integers(1, 9),
        st.integers(0, 1),
    ),
    max_size=40,
)
FILTERS = st.dictionaries(st.sampled_from(DIMENSIONS), st.sampled_from(["AW", "m", "a"]))


@given(EVENTS, FILTERS, st.sampled_from(DIMENSIONS))
def test_the_numbers_are_those_of_a_breakdown(
    events: list[tuple[int, tuple[str, str, str], int, int]], filters: dict[str, str], name: str
):
    store, totals = MemoryStore(), dict[Any, int]()
    for back, values, rows, bots in events:
        for grouping in GROUPING_SETS:
            kept = tuple(values[DIMENSIONS.index(one)] for one in grouping)
            place = (grouping, kept, MINUTE - 60 * back)
            totals[place] = totals.get(place, 0) + rows
            store.put(place[2], grouping, kept, rows=totals[place], bots=bots, page_views=rows)
    shown = top(store, *((one, filters[one]) for one in DIMENSIONS if one in filters))
    shown.read(NOW, [name])
    found = shown.known([name])[name]
    asked = {
        "dimension": [name],
        "metrics": [",".join(SHOWN)],
        "start": [str(found["start"])],
        "end": [str(found["end"])],
        "filter": [f"{one}:{value}" for one, value in filters.items()],
    }
    subject, query = breakdown.parse(asked, NOW, history=False)
    reply = Stores(reader(store), None).ask(
        NOW, lambda reading: breakdown.answer(DEMO, subject, query, NOW, reading)
    )
    assert (found["start"], found["end"]) == (MINUTE - 3_540, MINUTE + 60)
    assert found["values"] == reply["values"]
    for column in COLUMNS:
        assert found[column] == reply.get(column, [])
        assert len(found[column]) == len(found["values"]) <= LIMIT + 1
    json.dumps(found)


def test_a_dimension_is_read_every_ten_seconds_while_it_is_wanted():
    store = MemoryStore()
    shown = top(store)
    for later, wanted in ((0, ["country"]), (1, ["country", "device"]), (EVERY - 0.1, DIMENSIONS)):
        shown.read(NOW + later, wanted)
    assert store.ranked == [("country",), ("device",), ("category",)]
    shown.read(NOW + EVERY, ["country", "device"])
    assert store.ranked[3:] == [("country",)]
    shown.read(NOW + 10 * EVERY, [])
    shown.read(NOW - 3_600, ["country"])  # the clock was set back
    assert store.ranked[4:] == [("country",)]


def test_only_what_the_last_read_changed_is_news():
    store = MemoryStore()
    shown = top(store)
    shown.read(NOW, ["country", "device"])
    assert set(shown.changed(DIMENSIONS)) == {"country", "device"}
    assert shown.changed(["device"]) == shown.known(["device"])
    shown.read(NOW + 1, ["country", "device"])
    assert shown.changed(DIMENSIONS) == {}
    shown.read(NOW + 25, ["country", "device"])  # in the same minute
    assert shown.changed(DIMENSIONS) == {}
    store.put(MINUTE, ("device",), ("tv",), rows=3)
    shown.read(NOW + 36, ["device"])
    assert set(shown.changed(DIMENSIONS)) == {"device"}
    assert set(shown.known(DIMENSIONS)) == {"country", "device"}


def test_what_the_store_does_not_answer_stays_and_is_asked_for_again(
    caplog: pytest.LogCaptureFixture,
):
    store = MemoryStore()
    store.put(MINUTE, rows=3)
    store.put(MINUTE, ("country",), ("DE",), rows=3)
    shown = top(store)
    shown.read(NOW, ["country"])
    before = shown.known(["country"])
    store.put(MINUTE, ("country",), ("DE",), rows=4)
    store.away = True
    shown.read(NOW + EVERY, ["country"])
    assert (shown.known(["country"]), shown.changed(["country"])) == (before, {})
    assert "no top of country: the hot store: away" in caplog.text
    store.away = False
    shown.read(NOW + EVERY + 1, ["country"])
    assert shown.changed(["country"])["country"]["events"] == [4]
