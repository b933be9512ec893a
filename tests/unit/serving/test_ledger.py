"""The ledger's reply: it balances, and names every difference between the paths."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving import ledger
from serving.ingest.errors import RequestError
from serving.projects import DEMO
from stores.contract import Ints, StoreUnavailable
from stores.ledger import OUTCOMES, Balance
from stores.pane import FINAL, MEASURES, PARTIAL
from tests.unit.serving.stores import MemoryReader

NOW = 1_750_000_430.0
MINUTE = 1_750_000_020
SPAN = (MINUTE, MINUTE + 180)


class Book:
    def __init__(self, *pages: Balance) -> None:
        self.pages = list(pages)

    def balances(self, project: str, start: int, end: int) -> list[Balance]:
        assert project == "demo"
        return self.pages


class Raw:
    """Raw events of some minutes."""

    def __init__(self, **rows: int) -> None:
        self.away = False
        self.rows = rows

    def minute_counts(self, project: str, start: int, end: int) -> Ints:
        if self.away:
            raise StoreUnavailable("restarts")
        found = np.zeros(((end - start) // 60, len(MEASURES)), np.int64)
        for name, rows in self.rows.items():
            found[(int(name[1:]) - start) // 60, 0] = rows
        return found


def ask(book: Book, hot: MemoryReader, raw: Raw | None) -> dict[str, Any]:
    return ledger.answer(book, hot, None, raw, DEMO, SPAN, NOW)


COUNTS = st.integers(0, 50)


@given(
    st.dictionaries(st.sampled_from(OUTCOMES), COUNTS),
    COUNTS,
    st.dictionaries(st.sampled_from(["event_malformed", "amount_invalid"]), COUNTS),
    st.dictionaries(st.sampled_from(["message_undecodable", "amount_invalid"]), COUNTS),
)
def test_a_minute_balances(
    outcomes: dict[str, int], accepted: int, rejected: dict[str, int], dead: dict[str, int]
):
    page = Balance(MINUTE, accepted + sum(rejected.values()), accepted, rejected, outcomes, dead)
    assert page.accepted + page.unreported == page.decoded + page.undecoded + page.in_flight
    assert page.unexplained == 0
    assert 0 <= page.undecoded <= sum(dead.values())
    assert 0 in (page.in_flight, page.unreported)
    reply = ledger.answer(Book(page), MemoryReader(), None, None, DEMO, (MINUTE, MINUTE + 60), NOW)
    total = reply["total"]
    assert total["received"] == total["accepted"] + sum(total["rejected"].values())
    assert total["decoded"] == sum(total[name] for name in OUTCOMES)
    assert sum(total["dead"].values()) == sum(dead.values())


def test_paths_that_agree():
    hot = MemoryReader()
    hot.put(MINUTE, rows=5)
    hot.put(MINUTE + 60, rows=7, status=FINAL)
    reply = ask(Book(), hot, Raw(**{f"m{MINUTE}": 5, f"m{MINUTE + 60}": 7}))
    assert reply["paths"] == {"compared": 3, "differences": [], "unavailable": None}


def test_a_difference_is_named():
    hot = MemoryReader()
    hot.put(MINUTE, rows=5)
    reply = ask(Book(), hot, Raw(**{f"m{MINUTE}": 6, f"m{MINUTE + 60}": 1}))
    assert reply["paths"]["differences"] == [
        {"minute": at, "measure": "rows", "windows": w, "raw_events": r, "standing": False}
        for at, w, r in ((MINUTE, 5, 6), (MINUTE + 60, 0, 1))
    ]
    raw = Raw(**{f"m{MINUTE}": 6})
    seen = ledger.Difference(MINUTE, "rows", 5, 6)
    again = ledger.answer(Book(), hot, None, raw, DEMO, SPAN, NOW, {seen})
    assert [each["standing"] for each in again["paths"]["differences"]] == [True]


def test_an_open_minute_is_not_compared():
    hot = MemoryReader()
    hot.put(MINUTE, rows=5, status=PARTIAL)
    reply = ask(Book(), hot, Raw(**{f"m{MINUTE}": 6}))
    assert reply["paths"] == {"compared": 2, "differences": [], "unavailable": None}


def test_without_raw_events_nothing_is_compared_and_that_is_said():
    assert "no raw events" in ask(Book(), MemoryReader(), None)["paths"]["unavailable"]
    raw = Raw()
    raw.away = True
    assert "does not answer" in ask(Book(), MemoryReader(), raw)["paths"]["unavailable"]


def test_what_each_store_holds_and_what_is_in_no_series():
    hot, cold = MemoryReader(), MemoryReader("clickhouse")
    hot.put(MINUTE, rows=5)
    hot.put(MINUTE, ("category",), ("shoes",), rows=3)
    cold.put(MINUTE, rows=4)
    raw = Raw(**{f"m{MINUTE}": 5})
    stored = ledger.answer(Book(), hot, cold, raw, DEMO, SPAN, NOW)["stored"]
    other = stored.pop("other")
    assert stored == {
        "time": [MINUTE, MINUTE + 60, MINUTE + 120],
        "hot": [5, 0, 0],
        "history": [4, 0, 0],
        "raw_events": [5, 0, 0],
    }
    assert other["category"] == [2, 0, 0]
    assert other["country,device,category"] == [5, 0, 0]
    cold.away = "restarts"
    again = ledger.answer(Book(), hot, cold, None, DEMO, SPAN, NOW)["stored"]
    assert (again["history"], again["raw_events"], again["hot"]) == (None, None, [5, 0, 0])


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ({"start": ["-26h"]}, "over 25 hours"),
        ({"since": ["-1h"]}, "no parameter 'since'"),
        ({"start": ["-1h", "-2h"]}, "given once"),
        ({"start": ["soon"]}, "ISO 8601"),
        ({"start": ["-1h"], "end": ["-2h"]}, "not before end"),
    ],
)
def test_what_is_wrong_is_said(arguments: dict[str, list[str]], part: str):
    with pytest.raises(RequestError) as caught:
        ledger.parse(arguments, NOW)
    assert part in caught.value.detail


def test_the_last_hour_unless_asked_otherwise():
    start, end = ledger.parse({}, NOW)
    assert end - start == 3_660
    assert start <= NOW - 3_600 < start + 60
