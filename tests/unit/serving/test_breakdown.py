"""Top values of a dimension."""

from typing import Any

import pytest

from serving import breakdown
from serving.ingest.errors import RequestError
from serving.projects import DEMO
from serving.seam import Stores
from tests.unit.serving.stores import MemoryReader

NOW = 1_750_001_430.0
HOUR = 1_749_999_600


def store() -> MemoryReader:
    found = MemoryReader()
    found.put(HOUR, rows=10, page_views=6, errors=2, revenue_micros=5_000_000, users=["a", "b"])
    for country, rows in (("DE", 5), ("US", 3), ("FR", 1)):
        found.put(HOUR, ("country",), (country,), rows=rows, users=["a"])
    found.put(HOUR - 86_400, ("country",), ("US",), rows=2)
    found.put(HOUR - 86_400, rows=2)
    return found


def ask(subject: str, **arguments: str) -> dict[str, Any]:
    texts = {"dimension": subject, "start": str(HOUR)} | arguments
    name, asked = breakdown.parse({k: [v] for k, v in texts.items()}, NOW, history=True)
    stores = Stores(store(), None)
    return stores.ask(NOW, lambda found: breakdown.answer(DEMO, name, asked, NOW, found))


def test_most_first_with_shares_and_the_rest():
    reply = ask("country", limit="2", metrics="events,unique_users", end=str(HOUR + 3_600))
    assert reply["values"] == ["DE", "US", "other"]
    assert reply["events"] == [5, 3, 2]
    assert reply["share"] == [0.5, 0.3, 0.2]
    assert reply["unique_users"] == [1, 1, None]
    assert (reply["dimension"], reply["status"]) == ("country", "final")
    assert "series" not in reply


def test_types():
    reply = ask("type")
    assert dict(zip(reply["values"], reply["events"], strict=True)) == {
        "page_view": 6,
        "error": 2,
        "custom": 2,
    }


def test_compared_with_yesterday():
    reply = ask("country", limit="2", compare="yesterday")
    assert reply["compare"]["values"] == ["DE", "US"]
    assert reply["compare"]["events"] == [0, 2]


def test_pages_come_from_raw_events_and_the_rest_from_the_total():
    class Counter:
        def pages(self, *asked: Any) -> list[tuple[str, int]]:
            assert asked[0] == "demo"
            assert asked[3] == 2
            return [("/", 4), ("/cart", 3)]

    texts = {"dimension": ["page"], "start": [str(HOUR)], "limit": ["2"]}
    _, asked = breakdown.parse(texts, NOW, history=True)
    stores = Stores(store(), None)
    reply = stores.ask(NOW, lambda found: breakdown.pages(Counter(), DEMO, asked, NOW, found))
    assert reply["values"] == ["/", "/cart", "other"]
    assert reply["events"] == [4, 3, 3]
    assert reply["share"] == [0.4, 0.3, 0.3]


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ({}, "dimension is one of"),
        ({"dimension": "city"}, "dimension is one of"),
        ({"dimension": "page", "metrics": "revenue"}, "only metric"),
        ({"dimension": "page", "start": "-40d"}, "at most 31 days"),
        ({"dimension": "country", "granularity": "1h"}, "no parameter 'granularity'"),
        ({"dimension": "country", "limit": "0"}, "from 1 to 500"),
    ],
)
def test_what_is_wrong_is_said(arguments: dict[str, str], part: str):
    with pytest.raises(RequestError) as caught:
        breakdown.parse({k: [v] for k, v in arguments.items()}, NOW, history=True)
    assert part in caught.value.detail
