"""What the query API takes, and what it says to the rest."""

import json
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from serving.ingest.errors import RequestError
from serving.query import (
    GROUPS,
    MAX_CELLS,
    MAX_HOT_RANGE,
    MAX_LIMIT,
    MAX_RANGE,
    MAX_VALUE_CHARS,
    METRICS,
    ORDERS,
    Query,
    check_filter,
    parse,
    parse_filter,
)
from serving.times import GRANULARITIES, MAX_STEPS, STEPS
from stores import layout
from stores.pane import DIMENSIONS, GROUPING_SETS

NOW = 1_750_000_030.5  # half past a minute
MINUTE = 1_750_000_020  # NOW's minute starts here


def ask(**arguments: str | list[str]) -> Query:
    return parse({k: v if isinstance(v, list) else [v] for k, v in arguments.items()}, NOW)


def said(**arguments: Any) -> str:
    with pytest.raises(RequestError) as caught:
        ask(**arguments)
    assert caught.value.code == "parameter_invalid"
    assert caught.value.status == 400
    return caught.value.detail


def test_the_default_is_events_of_24_hours_by_minute_with_the_one_in_progress():
    query = ask()
    assert (query.granularity, query.metrics, query.dimensions) == ("1m", ("events",), ())
    assert query.end == MINUTE + 60
    assert query.start == MINUTE - 86_400
    assert (query.filters, query.grouping, query.limit) == ((), (), 50)


@pytest.mark.parametrize(
    ("now", "granularity", "end"),
    [
        (NOW, "1m", MINUTE + 60),
        (float(MINUTE), "1m", MINUTE + 60),  # a minute that has just begun
        (NOW, "total", MINUTE + 60),
        (NOW, "1h", MINUTE // 3_600 * 3_600 + 3_600),
        (1_749_999_600.0, "1h", 1_750_003_200),  # an hour that has just begun
    ],
)
def test_until_now_is_with_the_window_in_progress(now: float, granularity: str, end: int):
    assert parse({"granularity": [granularity], "end": ["now"]}, now).end == end


def test_an_end_that_is_given_is_not_moved_past_its_window():
    assert ask(end=str(MINUTE)).end == MINUTE
    assert ask(end=str(MINUTE - 1)).end == MINUTE
    assert ask(end="-1m").end == MINUTE  # half past the minute before: that minute is whole


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-30m", MINUTE - 1_800),
        ("-90s", MINUTE - 120),
        ("-1d", MINUTE - 86_400),
        ("1749999960", 1_749_999_960),
        ("2025-06-15T15:06:00+00:00", 1_749_999_960),
        ("2025-06-15T15:06:00Z", 1_749_999_960),
        ("2025-06-15T15:06:00", 1_749_999_960),  # without a zone: UTC
        ("2025-06-15T17:06:00+02:00", 1_749_999_960),
    ],
)
def test_times(text: str, expected: int):
    assert ask(start=text).start == expected


def test_a_range_is_widened_to_whole_windows():
    query = ask(start="-2h", granularity="1h")
    assert query.start % 3_600 == 0
    assert query.end % 3_600 == 0
    assert query.end > NOW


def test_filter_and_dimensions_choose_the_grouping_set():
    query = ask(filter=["device:mobile", "country:US"], dimensions="category")
    assert query.filters == (("country", ("US",)), ("device", ("mobile",)))
    assert query.grouping == ("country", "device", "category")


def test_a_value_may_hold_a_colon():
    assert ask(filter="category:a:b").filters == (("category", ("a:b",)),)


def test_a_value_may_hold_a_comma():
    filters = ask(filter=["category:a, b,country:US", "category:c,d,"]).filters
    assert filters == (("country", ("US",)), ("category", ("a, b", "c,d")))


def test_several_values_mean_any_of_them():
    filters = ask(filter=["country:US,country:DE", "country:US"]).filters
    assert filters == (("country", ("US", "DE")),)


def test_names_are_taken_once_and_in_the_order_asked_for():
    assert ask(metrics="clicks,events,clicks,").metrics == ("clicks", "events")


def test_dimensions_are_in_the_stores_order():
    assert ask(dimensions="category,country").dimensions == ("country", "category")


@pytest.mark.parametrize("granularity", STEPS)
def test_every_granularity(granularity: str):
    assert ask(granularity=granularity).granularity == granularity


@pytest.mark.parametrize(
    ("start", "granularity"), [("-24h", "1m"), ("-26h", "1h"), ("-60d", "1h"), ("-90d", "1d")]
)
def test_auto_is_the_finest_that_a_chart_can_show(start: str, granularity: str):
    assert ask(start=start, granularity="auto").granularity == granularity


@pytest.mark.parametrize("limit", [1, MAX_LIMIT])
def test_limits_at_the_bounds(limit: int):
    assert ask(limit=str(limit)).limit == limit


def test_the_order_and_its_direction():
    assert (ask().order, ask().ascending) == ("events", False)
    query = ask(order="revenue:asc")
    assert (query.order, query.ascending) == ("revenue", True)


def test_whose_numbers_is_no_matter_of_the_query_and_a_key_stands_in_no_address():
    assert ask(project="shop") == ask()
    with pytest.raises(RequestError):
        ask(key="secret")


def test_the_longest_range_without_history():
    query = parse({"start": ["-25h"]}, NOW, history=False)
    assert query.end - query.start == MAX_HOT_RANGE + 60
    with pytest.raises(RequestError) as caught:
        parse({"start": ["-26h"]}, NOW, history=False)
    assert "no history store" in caught.value.detail


def test_a_year_by_the_hour():
    query = ask(start="-365d", granularity="1h")
    assert query.end - query.start == 365 * 86_400 + 3_600


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ({"metrics": "events,sales"}, "'sales' is none of " + ", ".join(METRICS)),
        ({"dimensions": "city"}, "'city' is none of " + ", ".join(DIMENSIONS)),
        ({"filter": "city:Bonn"}, "with one of country, device, category"),
        ({"filter": [f"country:{i}" for i in range(51)]}, "1 to 50 values"),
        ({"dimensions": "type", "metrics": "events,revenue"}, "the only metric is events"),
        ({"order": "unique_users"}, "order is one of events"),
        ({"order": "events:up"}, "with :asc or :desc"),
        ({"compare": "tomorrow"}, "one of previous_period, yesterday, last_week"),
        ({"timezone": "Mars/Olympus"}, "timezone is a name"),
        ({"timezone": "../etc/passwd"}, "timezone is a name"),
        ({"timezone": ""}, "timezone is a name"),
        ({"start": "-15d"}, f"over {MAX_STEPS:,} steps of 1m"),
        ({"start": "-10d", "dimensions": "country"}, f"over {MAX_CELLS:,}, which is the limit"),
        ({"filter": "country:" + "x" * 200}, "over 128 characters"),
        ({"granularity": "5m"}, "one of 1m, 1h, 1d, total, auto"),
        ({"start": "yesterday"}, "ISO 8601"),
        ({"start": "-402d"}, "over 400 days"),
        ({"start": "-1h", "end": "-2h"}, "not before end"),
        ({"start": ["-1h", "-2h"]}, "given 2 times"),
        ({"limit": "0"}, "from 1 to 500"),
        ({"limit": "501"}, "from 1 to 500"),
        ({"limit": "-1"}, "from 1 to 500"),
        ({"limit": "many"}, "from 1 to 500"),
        ({"limit": "²"}, "from 1 to 500"),
        ({"limit": "٣"}, "from 1 to 500"),
        ({"limit": "1" * 5_000}, "from 1 to 500"),
        ({"start": "-٣h"}, "ISO 8601"),
        ({"start": "-1h\n"}, "ISO 8601"),
        ({"start": "-1y"}, "ISO 8601"),
        ({"start": ""}, "ISO 8601"),
        ({"end": "inf"}, "end is ISO 8601"),
        ({"end": "nan"}, "end is ISO 8601"),
        ({"end": "9" * 400}, "end is ISO 8601"),
        ({"start": "0001-01-01T00:00:00+23:59"}, "between 1970 and 2100"),
        ({"end": "9999-12-31T23:59:59-23:59"}, "between 1970 and 2100"),
        ({"start": "-999999d"}, "between 1970 and 2100"),
        ({"filter": "country"}, "dimension:value"),
        ({"filter": ":US"}, "dimension:value"),
        ({"filter": "country:\ud800"}, "not Unicode"),
        ({"metric": "events"}, "no parameter 'metric'"),
        (
            {"metric": "events"},
            "start, end, granularity, timezone, metrics, filter, dimensions, limit",
        ),
    ],
)
def test_what_is_wrong_is_said(arguments: dict[str, Any], part: str):
    assert part in said(**arguments)


def test_the_longest_value():
    assert parse_filter(["category:" + "x" * MAX_VALUE_CHARS])


def test_an_unknown_name_is_not_echoed_whole():
    assert len(said(**{"x" * 9_000: "1"})) < 300
    assert len(said(metrics="x" * 9_000)) < 300


def test_a_subscriptions_filter_is_checked_alike():
    assert check_filter({"country": ("US",)}) == {"country": ("US",)}
    with pytest.raises(RequestError):
        check_filter({"town": ("Bonn",)})
    with pytest.raises(RequestError):
        check_filter({"country": ("\udcff",)})


ZONES = st.integers(-1_439, 1_439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
DATES = st.datetimes(timezones=st.none() | ZONES).map(datetime.isoformat)
NUMBERS = st.integers() | st.integers(int(NOW) - 2 * MAX_RANGE, int(NOW) + 2 * MAX_RANGE)
RELATIVE = st.builds("-{}{}".format, st.integers(0, 9_999_999), st.sampled_from("smhdw"))
TIMES = st.one_of(
    st.just("now"),
    st.sampled_from(["-1m", "-3h", "-24h", "-26h"]),
    NUMBERS.map(str),
    RELATIVE,
    DATES,
    st.floats().map(str),
)
ODD = st.text() | st.text(st.characters(categories=["Nd", "No", "Cs"]), max_size=4)
ANY_LIST = st.lists(st.sampled_from([*METRICS, *GROUPS]) | ODD, max_size=3).map(",".join)
FILTERS = st.lists(
    st.builds("{}:{}".format, st.sampled_from(DIMENSIONS), st.text(max_size=3) | ODD) | ODD,
    max_size=3,
).map(",".join)
TEXTS = {
    "start": TIMES,
    "end": TIMES,
    "granularity": st.sampled_from([*GRANULARITIES]),
    "metrics": ANY_LIST,
    "filter": FILTERS,
    "dimensions": ANY_LIST,
    "limit": st.integers(-1, 600).map(str),
    "timezone": st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata", "Pacific/Apia", "x"]),
    "order": st.sampled_from([*ORDERS, "revenue:asc"]),
    "compare": st.sampled_from(["previous_period", "yesterday", "last_week"]),
}


def one_or_more(texts: st.SearchStrategy[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(texts | ODD, min_size=1, max_size=2) | texts.map(lambda text: [text])


ARGUMENTS = st.fixed_dictionaries(
    {}, optional={name: one_or_more(texts) for name, texts in TEXTS.items()}
) | st.dictionaries(ODD | st.sampled_from([*TEXTS]), st.lists(ODD, max_size=2), max_size=3)


@given(ARGUMENTS, st.floats(MAX_RANGE, 4e9))
@example({"start": ["0001-01-01T00:00:00+23:59"]}, NOW)
@example({"end": ["9999-12-31T23:59:59-23:59"]}, NOW)
@example({"limit": ["²"]}, NOW)
def test_whatever_comes_is_a_query_the_store_can_answer_or_refused(
    arguments: dict[str, list[str]], now: float
):
    query, refused = None, b""
    try:
        query = parse(arguments, now)
    except RequestError as error:
        refused = error.body()
    if query is None:
        assert json.loads(refused)["error"]["code"] == "parameter_invalid"
        return
    assert all(a < b for a, b in pairwise(query.edges))
    assert all(edge % 60 == 0 for edge in query.edges)
    assert len(query.edges) <= MAX_STEPS + 2
    assert query.end - query.start <= MAX_RANGE + 3 * 86_400
    assert len(query.compared()) == len(query.edges)
    assert all(a < b for a, b in pairwise(query.compared()))
    assert query.grouping in GROUPING_SETS
    assert set(query.metrics) <= set(METRICS)
    assert 1 <= query.limit <= MAX_LIMIT
    for _, values in query.filters:
        layout.values_text(values)  # can be a key
