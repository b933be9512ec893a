"""The events that came in last, as the store keeps and tells them."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from stores import recent
from stores.recent import KEPT, Entry

TEXT = st.text(max_size=5)
ENTRIES = st.builds(
    Entry,
    id=TEXT,
    at=st.integers(0, 2**50),
    type=TEXT,
    url=st.none() | TEXT,
    category=TEXT,
    country=TEXT,
    device=TEXT,
    revenue_micros=st.none() | st.integers(-(10**13), 10**13),
    code=TEXT,
    message=TEXT,
)


class Pipe:
    """A list in memory, as Redis keeps it."""

    def __init__(self) -> None:
        self.held: list[bytes] = []
        self.expires = 0

    def lpush(self, key: str, *values: bytes) -> None:
        assert key == "sl:{shop}:r"
        for value in values:
            self.held.insert(0, value)

    def ltrim(self, key: str, first: int, last: int) -> None:
        self.held = self.held[first : last + 1]

    def expire(self, key: str, seconds: int) -> None:
        self.expires = seconds


@given(st.lists(st.lists(ENTRIES, min_size=1, max_size=60), max_size=4))
def test_the_last_are_kept_in_their_order(writes: list[list[Entry]]) -> None:
    pipe: Any = Pipe()
    for entries in writes:
        recent.put(pipe, "shop", entries)
    assert recent.decode(pipe.held) == [entry for write in writes for entry in write][-KEPT:]
    assert pipe.expires == (recent.EXPIRES if writes else 0)


def test_what_was_refused_is_of_the_whole_only() -> None:
    sold = Entry("a", 1, "purchase", "/x", "books", "DE", "tv", 1_500_000)
    bad = Entry("b", 2, code="event_malformed", message="no JSON")
    assert [entry.passes({}) for entry in (sold, bad)] == [True, True]
    for filters, passes in (
        ({"country": "DE"}, True),
        ({"country": "DE", "category": "toys"}, False),
        ({"device": "tv", "category": "books"}, True),
        ({"category": ""}, False),
    ):
        assert (sold.passes(filters), bad.passes(filters)) == (passes, False)


def test_what_clients_are_told() -> None:
    assert recent.said(Entry("a", 1, "purchase", "/x", "", "DE", "tv", 1_500_000)) == {
        "id": "a",
        "at": 1,
        "accepted": True,
        "type": "purchase",
        "url": "/x",
        "category": None,
        "country": "DE",
        "device": "tv",
        "revenue": 1.5,
    }
    assert recent.said(Entry("b", 2, code="event_malformed", message="no JSON")) == {
        "id": "b",
        "at": 2,
        "accepted": False,
        "code": "event_malformed",
        "message": "no JSON",
    }
