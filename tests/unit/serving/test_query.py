"""What the query API takes, and what it says to the rest."""

from typing import Any

import pytest

from serving.ingest.errors import RequestError
from serving.query import METRICS, Query, check_filter, parse
from stores.pane import DIMENSIONS

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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-30m", MINUTE - 1_800),
        ("-90s", MINUTE - 120),
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
    assert query.filters == (("country", "US"), ("device", "mobile"))
    assert query.grouping == ("country", "device", "category")


def test_a_value_may_hold_a_colon():
    assert ask(filter="category:a:b").filters == (("category", "a:b"),)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ({"metrics": "events,sales"}, "'sales' is none of " + ", ".join(METRICS)),
        ({"dimensions": "city"}, "'city' is none of " + ", ".join(DIMENSIONS)),
        ({"filter": "city:Bonn"}, "with one of country, device, category"),
        ({"filter": ["country:US", "country:DE"]}, "one value for a dimension"),
        ({"filter": "country:US", "dimensions": "country"}, "cannot be grouped by"),
        ({"filter": "country:" + "x" * 200}, "over 128 characters"),
        ({"granularity": "5m"}, "one of 1m, 1h, total"),
        ({"start": "yesterday"}, "ISO 8601"),
        ({"start": "-26h"}, "25 hours"),
        ({"start": "-40h", "end": "-30h"}, "25 hours ago"),
        ({"start": "-1h", "end": "-2h"}, "not before end"),
        ({"start": ["-1h", "-2h"]}, "given 2 times"),
        ({"limit": "0"}, "from 1 to 500"),
        ({"limit": "many"}, "from 1 to 500"),
        ({"metric": "events"}, "no parameter 'metric'"),
    ],
)
def test_what_is_wrong_is_said(arguments: dict[str, Any], part: str):
    assert part in said(**arguments)


def test_a_subscriptions_filter_is_checked_alike():
    assert check_filter({"country": "US"}) == {"country": "US"}
    with pytest.raises(RequestError):
        check_filter({"town": "Bonn"})
