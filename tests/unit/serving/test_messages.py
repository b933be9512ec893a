"""The schema of the live messages and the code agree."""

import json
from typing import Any, cast

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.reasons import REQUEST_ERRORS
from serving import messages
from serving.gate import Access
from serving.ingest.errors import RequestError
from serving.live import LATEST, subscription
from serving.projects import DEMO
from serving.push import error_message
from serving.query import MAX_VALUE_CHARS
from serving.view import View
from stores.hot import HotStore
from stores.pane import DIMENSIONS, PARTIAL
from tests.unit.serving.stores import MemoryStore

NOW = 1_750_000_030.0
MINUTE = 1_750_000_020
DOCUMENT = messages.document()


def of_kind(kind: str) -> "jsonschema_rs.Validator":
    return jsonschema_rs.validator_for({**DOCUMENT, "oneOf": [{"$ref": f"#/$defs/{kind}"}]})


def check(message: dict[str, Any]) -> None:
    """It is of its kind, has nothing that is not described, and is of no other kind."""
    of_kind(message["type"]).validate(message)
    jsonschema_rs.validator_for(DOCUMENT).validate(message)
    described = DOCUMENT["$defs"][message["type"]]["properties"]
    assert set(message) == set(described)
    for name in ("now", "job"):
        if name in message:
            assert set(message[name]) == set(described[name]["properties"])


@pytest.mark.parametrize("filters", [(), (("country", "DE"), ("device", "tv"))])
def test_numbers_are_as_described(filters: tuple[tuple[str, str], ...]) -> None:
    store = MemoryStore()
    shown = View(cast(HotStore, store), DEMO, filters)
    for rows in (0, 7):
        values = dict(filters)
        store.put(MINUTE, tuple(values), tuple(values.values()), rows=rows, status=PARTIAL)
        check(json.loads(shown.read(NOW)))
        check(json.loads(shown.snapshot()))


@pytest.mark.parametrize("code", REQUEST_ERRORS)
def test_errors_are_as_described(code: str) -> None:
    check(json.loads(error_message(code)))


def test_news_that_are_wrong_are_not_described() -> None:
    delta = json.loads(View(cast(HotStore, MemoryStore()), DEMO, ()).read(NOW))
    for wrong in ({"time": None}, {"status": ["perhaps"]}, {"type": "news"}, {"currency": "usd"}):
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


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["subscribe", "snapshot", None, 1]),
            "filter": _VALUES,
            "since": _VALUES,
            "more": _VALUES,
        },
    )
)
def test_a_subscription_is_taken_just_when_it_is_as_described(message: dict[str, Any]) -> None:
    try:
        subscription(json.dumps(message), Access(DEMO, {}, "", "", 0))
    except RequestError:
        taken = False
    else:
        taken = True
    assert taken == of_kind("subscribe").is_valid(message)
