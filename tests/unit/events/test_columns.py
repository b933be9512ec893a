"""Columns at once are the columns made row by row."""

import uuid
from decimal import Decimal

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events import batch, clock, columns, dedup, limits, schema, sketch
from tests.unit.events import rowwise
from transforms.decode import HOT, Record

TIMES = st.integers(limits.MIN_TS_MS, limits.MAX_TS_MS)
NAMES = st.text(max_size=6)
PROPS = st.dictionaries(
    NAMES, st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | NAMES
)
RECORDS = st.builds(
    Record,
    type=st.sampled_from(["page_view", "purchase", "own"]),
    user_id=st.text(min_size=1, max_size=20),
    ts=TIMES,
    id=st.none() | st.uuids(),
    session_id=st.none() | NAMES,
    url=st.none() | NAMES,
    category=st.none() | NAMES,
    amount=st.none() | st.integers(-(10**12), 10**12).map(lambda m: Decimal(m).scaleb(-6)),
    currency=st.none() | st.just("USD"),
    props=st.none() | PROPS,
    country=st.sampled_from(["DE", "ZZ", "FR"]),
    device=st.sampled_from(["desktop", "other"]),
    bot=st.booleans(),
)


@given(st.lists(RECORDS), st.sampled_from([HOT, batch.SCHEMA]), TIMES)
def test_rows(events: list[Record], fields: pa.Schema, received_at: int) -> None:
    made = columns.rows("p", columns.Fields.of(events), fields, received_at)
    made.validate(full=True)
    assert made.equals(rowwise.rows("p", events, fields, received_at))


@given(st.lists(st.none() | st.uuids()))
def test_ids_may_be_texts(ids: list[uuid.UUID | None]) -> None:
    found, there = columns.id_bytes([None if one is None else str(one) for one in ids])
    wanted, also = columns.id_bytes(ids)
    assert found.tobytes() == wanted.tobytes()
    assert there.tolist() == also.tolist() == [one is not None for one in ids]


HEX = st.text("0123456789abcdefABCDEF- \n\u0661g", min_size=1, max_size=37)
TEXT_IDS = st.uuids().map(str) | st.uuids().map(lambda one: str(one).upper()) | HEX


@given(st.lists(TEXT_IDS, min_size=1, max_size=3))
def test_only_what_the_schema_takes_is_parsed(ids: list[str]) -> None:
    found = columns.parse_ids(ids)
    if found is not None:
        wanted = [msgspec.convert(one, uuid.UUID).bytes for one in ids]
        assert found == b"".join(wanted)
    elif all(len(one) == 36 for one in ids):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(ids, list[uuid.UUID])


@pytest.mark.parametrize("cut", [35, 37])
def test_ids_of_other_lengths_do_not_lean_on_each_other(cut: int) -> None:
    joined = str(uuid.UUID(int=1)) * 2
    assert columns.parse_ids([joined[:cut], joined[cut:]]) is None


def test_texts_that_are_no_ids_are_an_error() -> None:
    with pytest.raises(ValueError, match="UUID"):
        columns.id_bytes(["x"])


@given(st.lists(st.text(max_size=30)))
def test_user_hashes(users: list[str]) -> None:
    assert columns.user_hashes(users).tolist() == [sketch.user_hash(user) for user in users]


@given(st.lists(st.uuids()), NAMES)
def test_event_keys(ids: list[uuid.UUID], project: str) -> None:
    found = columns.event_keys(project, columns.id_bytes(ids)[0])
    assert found.tolist() == [dedup.event_key(project, one) for one in ids]


@given(st.lists(st.integers(0, 2**50)))
def test_uuid7(times: list[int]) -> None:
    made = [uuid.UUID(bytes=one.tobytes()) for one in columns.uuid7(columns.integers(times))]
    assert len(set(made)) == len(times)
    assert all((one.version, one.variant) == (7, uuid.RFC_4122) for one in made)
    assert [one.int >> 80 for one in made] == [ms % 2**48 for ms in times]


@given(st.lists(TIMES), st.none() | TIMES | st.integers(), TIMES)
def test_event_times(ts: list[int], sent_at: int | None, received_at: int) -> None:
    shift = clock.correction(sent_at, received_at)
    found = columns.event_times(columns.integers(ts), shift, received_at)
    assert found.tolist() == [clock.event_time(one, sent_at, received_at) for one in ts]


@given(st.lists(st.none() | PROPS))
def test_json_texts(values: list[dict[str, schema.PropValue] | None]) -> None:
    made = columns.strings(*columns.json_texts(values))
    made.validate(full=True)
    wanted = [None if value is None else msgspec.json.encode(value).decode() for value in values]
    assert made.to_pylist() == wanted


@given(st.dictionaries(st.integers(0, 9), st.integers(-(2**63), 2**63 - 1)))
def test_numbers_that_are_few(values: dict[int, int]) -> None:
    assert columns.sparse(values, 10).to_pylist() == [values.get(i) for i in range(10)]
    assert columns.dense(values, 10).to_pylist() == [values.get(i, 0) for i in range(10)]


def test_ids_are_a_column() -> None:
    ids, _ = columns.id_bytes([uuid.UUID(int=2), None])
    assert columns.binary(ids).to_pylist() == [bytes(15) + b"\x02", bytes(16)]
    assert columns.binary(np.empty((0, 16), np.uint8)).to_pylist() == []
