import contextlib
import json
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any, TypeVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events import limits, schema
from events.reasons import EVENT_REASONS

T = TypeVar("T")
NOW = 1_750_000_000_000


def decode(**fields: Any) -> Any:
    full = {"type": "click", "user_id": "u", "ts": NOW, **fields}
    return schema.decode_event(json.dumps(full).encode())


def reason(**fields: Any) -> Any:
    with pytest.raises(schema.InvalidEvent) as refused:
        decode(**fields)
    return refused.value.rejection.code


def outcome(call: Callable[[], T]) -> T | schema.Rejection:
    """What the call gives, or why it refuses."""
    try:
        return call()
    except schema.InvalidEvent as error:
        return error.rejection


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
FIELDS = st.sampled_from(schema.Event.__struct_fields__)


@given(st.dictionaries(FIELDS, JSON))
def test_any_object_is_an_event_or_has_a_known_reason(fields):
    base = {"type": "click", "user_id": "u", "ts": NOW}
    found = outcome(lambda: schema.decode_event(json.dumps({**base, **fields}).encode()))
    if isinstance(found, schema.Rejection):
        assert found.code in EVENT_REASONS
        assert found.message
    else:
        assert limits.MIN_TS_MS <= found.ts <= limits.MAX_TS_MS
        found.user_id.encode()


@given(st.binary(max_size=200))
def test_any_bytes_are_an_event_or_malformed(raw):
    with pytest.raises(schema.InvalidEvent):
        schema.decode_event(raw)


@given(st.integers(-limits.MAX_AMOUNT_MICROS, limits.MAX_AMOUNT_MICROS))
def test_money_is_exact(micros):
    amount = str(Decimal(micros).scaleb(-6))
    event = decode(amount=amount, currency="USD")
    assert event.amount is not None
    assert schema.micros(event.amount) == micros


@given(st.decimals(allow_nan=True, allow_infinity=True))
def test_money_is_exact_or_refused(amount):
    found = outcome(lambda: schema.micros(amount))
    if isinstance(found, schema.Rejection):
        assert found.code == "amount_invalid"
    else:
        assert Fraction(found, 10**6) == Fraction(amount)


@pytest.mark.parametrize(
    "amount", ["1.0000001", "1." + "0" * 40 + "1", "1e10", "1e-7", "Infinity", "sNaN", "9" * 5_000]
)
def test_money_that_is_refused(amount):
    assert reason(amount=amount, currency="USD") == "amount_invalid"


@pytest.mark.parametrize("name", ["click\n", "Click", "1x", "", "a b", "x" * 65])
def test_type_names_that_are_refused(name):
    assert reason(type=name) == "event_field_invalid"


def test_a_currency_with_a_line_end_is_refused():
    assert reason(amount="1", currency="USD\n") == "event_field_invalid"


def test_the_limits_of_props():
    assert decode(props={f"k{n}": "x" * 900 for n in range(32)}).props
    assert reason(props={f"k{n}": 1 for n in range(33)}) == "event_props_invalid"
    assert reason(props={"k": "x" * 1_025}) == "event_props_invalid"
    assert reason(props={"k" * 65: 1}) == "event_props_invalid"
    assert reason(props={"k": [1]}) == "event_props_invalid"
    assert reason(props=[]) == "event_props_invalid"


def test_an_unknown_field_is_ignored():
    assert decode(later="x").user_id == "u"


@given(st.binary(max_size=60), st.sampled_from([b"", b'{"events":[1,2]', b'{"batch_id":"x","sent']))
def test_any_body_is_a_request_or_a_decode_error(tail, head):
    with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
        schema.decode_request(head + tail)
