"""The schema of the live messages and the code agree."""

import json
from typing import Any, cast

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.reasons import REQUEST_ERRORS
from serving import messages
from serving.gate import RETURN_SECONDS, Access
from serving.ingest.errors import RequestError
from serving.notices import (
    error_message,
    leaving_message,
    pace_message,
    reconnect_within,
    ticket_message,
)
from serving.projects import DEMO
from serving.query import MAX_VALUE_CHARS
from serving.shape import ALL, METRICS, Shape
from serving.subscription import LATEST, of_message
from serving.view import View
from stores.hot import HotStore
from stores.pane import DIMENSIONS, PARTIAL
from stores.recent import Entry
from tests.unit.serving.stores import MemoryStore

NOW = 1_750_000_030.0
MINUTE = 1_750_000_020
DOCUMENT = messages.document()


def of_kind(kind: str) -> "jsonschema_rs.Validator":
    return jsonschema_rs.validator_for({**DOCUMENT, "oneOf": [{"$ref": f"#/$defs/{kind}"}]})


def check(message: dict[str, Any], shape: Shape = ALL) -> None:
    """It is of its kind, has nothing that is not described, and is of no other kind."""
    of_kind(message["type"]).validate(message)
    jsonschema_rs.validator_for(DOCUMENT).validate(message)
    kind = DOCUMENT["$defs"][message["type"]]
    if "oneOf" in kind:
        assert any(set(message) == set(one["properties"]) for one in kind["oneOf"])
        return
    described = kind["properties"]
    left_out = set(METRICS) - set(shape.metrics) | ({"top", "recent"} - set(message))
    assert set(message) == set(described) - (left_out if "now" in message else set())
    for name in {"now", "job"} & set(message):
        assert set(message[name]) == set(described[name]["properties"])
    for dimension, columns in message.get("top", {}).items():
        assert set(columns) == set(described["top"]["properties"][dimension]["properties"])


SHAPES: list[Shape] = [
    ALL,
    Shape(("bots",), ("country", "category")),
    Shape(METRICS, DIMENSIONS),
    Shape(recent=True),
]
RECENT = [
    Entry("a", 1_750_000_029_000, "purchase", "/x", "books", "DE", "tv", 1_500_000),
    Entry("b", 1_750_000_029_500, "click", None, "", "DE", "tv"),
    Entry("c", 1_750_000_029_700, code="event_ts_invalid", message="ts is not plausible."),
]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("filters", [(), (("country", "DE"), ("device", "tv"))])
def test_numbers_are_as_described(filters: tuple[tuple[str, str], ...], shape: Shape) -> None:
    store = MemoryStore()
    store.recent = RECENT
    shown = View(cast(HotStore, store), DEMO, filters)
    for turn, rows in enumerate((0, 7)):
        values = dict(filters)
        store.put(MINUTE, tuple(values), tuple(values.values()), rows=rows, status=PARTIAL)
        store.put(MINUTE, DIMENSIONS, ("DE", "tv", "books"), rows=rows)
        store.put(MINUTE, ("category",), ("books",), rows=rows - 1, errors=1)
        shown.read(NOW + turn * 10, recent=shape.recent)
        shown.rank(NOW + turn * 10, shape.dimensions)
        delta, snapshot = json.loads(shown.delta(shape)), json.loads(shown.snapshot(shape))
        shown._first -= 60.0
        gap = json.loads(shown.gap(NOW, shape) or b"")
        for message in (delta, snapshot, gap):
            check(message, shape)
        assert ("top" in snapshot) == ("top" in delta) == bool(shape.dimensions)
        seen = RECENT[:2] if filters else RECENT
        of = [[entry["id"] for entry in m.get("recent", [])] for m in (snapshot, delta, gap)]
        every = [entry.id for entry in seen] if shape.recent else []
        assert of == [every, every if turn == 0 else [], every]


@pytest.mark.parametrize(
    "message",
    [
        pace_message(4.0, degraded=True),
        pace_message(0.4, degraded=False),
        ticket_message("x.y", RETURN_SECONDS),
        *(leaving_message(reconnect_within(sockets)) for sockets in (0, 9_999, 10**9)),
    ],
)
def test_notices_are_as_described(message: bytes) -> None:
    check(json.loads(message))


def test_announcements_that_mix_reasons_are_not_described() -> None:
    slow = json.loads(pace_message(4.0, degraded=True))
    for wrong in ({"reason": "leaving"}, {"reason": "tired"}, {"refresh_seconds": 0}):
        assert not jsonschema_rs.is_valid(DOCUMENT, {**slow, **wrong})


@pytest.mark.parametrize("code", REQUEST_ERRORS)
def test_errors_are_as_described(code: str) -> None:
    check(json.loads(error_message(code)))


def test_news_that_are_wrong_are_not_described() -> None:
    shown = View(cast(HotStore, MemoryStore()), DEMO, ())
    shown.read(NOW)
    delta = json.loads(shown.delta())
    wrongs: tuple[dict[str, Any], ...] = (
        *({"time": None}, {"status": ["perhaps"]}, {"type": "news"}, {"currency": "usd"}),
        *({"events": ["1"]}, {"top": {"city": {}}}, {"top": {"country": {"values": []}}}),
    )
    for wrong in wrongs:
        assert not jsonschema_rs.is_valid(DOCUMENT, {**delta, **wrong})


_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2),
    st.floats(-1, 2 * LATEST),
    st.sampled_from(["", "DE", "x" * MAX_VALUE_CHARS, "x" * (MAX_VALUE_CHARS + 1)]),
    st.dictionaries(
        st.sampled_from([*DIMENSIONS, "city"]),
        st.sampled_from(["DE", "x" * MAX_VALUE_CHARS, "x" * (MAX_VALUE_CHARS + 1), None, 7, []]),
        max_size=3,
    ),
    st.lists(st.integers(), max_size=1),
)
_NAMES = st.one_of(
    st.lists(st.sampled_from([*METRICS, *DIMENSIONS]), max_size=4),
    st.lists(st.one_of(st.sampled_from([*METRICS, *DIMENSIONS]), _VALUES), max_size=2),
    st.permutations(METRICS),
    st.permutations(DIMENSIONS),
    _VALUES,
)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["subscribe", "snapshot", None, 1]),
            "filter": _VALUES,
            "metrics": _NAMES,
            "dimensions": _NAMES,
            "recent": _VALUES,
            "since": _VALUES,
            "tickets": _VALUES,
            "more": _VALUES,
        },
    )
)
def test_a_subscription_is_taken_just_when_it_is_as_described(message: dict[str, Any]) -> None:
    try:
        of_message(json.dumps(message), Access(DEMO, {}, "", "", 0))
    except RequestError:
        taken = False
    else:
        taken = True
    assert taken == of_kind("subscribe").is_valid(message)
