from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events import batch
from events.reasons import MESSAGE_REASONS

U64 = st.integers(0, 2**64 - 1)
MS = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(max_size=12)
VALUES = {
    "event_id": st.binary(min_size=16, max_size=16),
    "dedup_key": U64,
    "user_hash": U64,
    "bot": st.booleans(),
    "props": st.none() | st.just('{"a":1}'),
}


def value_of(field: Any) -> Any:
    if field.name in VALUES:
        return VALUES[field.name]
    return MS if field.type == pa.int64() else st.none() | TEXT


ROWS = st.lists(st.tuples(*(value_of(field) for field in batch.SCHEMA)), min_size=1, max_size=20)


def columns(rows: Any) -> Any:
    return dict(zip(batch.SCHEMA.names, map(list, zip(*rows, strict=True)), strict=True))


def sample(count: Any = 40) -> Any:
    values = {
        "event_id": lambda n: bytes([n % 256]) * 16,
        "bot": lambda n: n % 2 == 0,
        "props": lambda n: f'{{"n":{n}}}',
    }
    return {
        field.name: [
            values.get(
                field.name, lambda n, f=field: n if f.type != batch._TEXT else f"{f.name}{n % 7}"
            )(n)
            for n in range(count)
        ]
        for field in batch.SCHEMA
    }


MESSAGE = batch.encode("demo", sample())


@given(TEXT.filter(bool), ROWS)
def test_rows_come_back(project, rows):
    message = batch.encode(project, columns(rows))
    assert batch.is_batch(message)
    name, found = batch.decode(message, hot_only=False)
    assert (name, found.to_pydict()) == (project, columns(rows))
    _, hot = batch.decode(message)
    assert hot.schema.names == list(batch.HOT_COLUMNS)
    assert hot.to_pydict() == {k: v for k, v in columns(rows).items() if k in batch.HOT_COLUMNS}


def read_or_refuse(message: Any) -> None:
    for hot_only in (True, False):
        refused = None
        try:
            project, rows = batch.decode(message, hot_only=hot_only)
            assert project
            rows.to_pylist()  # reads every index, offset and text
        except batch.BatchError as error:
            refused = error.code
        assert refused is None or refused in MESSAGE_REASONS


POSITIONS = st.integers(0, len(MESSAGE) - 1)
INTEGERS = st.sampled_from([b"\xff" * 4, b"\0" * 4, b"\xff\xff\xff\x7f", b"\0\0\0\x80"])


@given(st.lists(st.tuples(POSITIONS, st.binary(min_size=1, max_size=4) | INTEGERS), max_size=4))
def test_a_damaged_message_is_read_or_refused(damages):
    damaged = bytearray(MESSAGE)
    for position, piece in damages:
        damaged[position : position + len(piece)] = piece
    read_or_refuse(bytes(damaged))


@given(POSITIONS.filter(lambda length: length < len(MESSAGE) - 8))
def test_a_message_cut_before_its_end_marker_is_refused(length):
    with pytest.raises(batch.BatchError):
        batch.decode(MESSAGE[:length])


@given(st.binary(max_size=200))
def test_other_bytes_are_refused(message):
    with pytest.raises(batch.BatchError):
        batch.decode(message)
    with pytest.raises(batch.BatchError):
        batch.decode(b"\xff\xff\xff\xff" + message)


def stream(schema: Any, arrays: Any) -> Any:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))
    return sink.getvalue().to_pybytes()


def test_another_version_is_refused():
    schema = pa.schema([("a", pa.int64())], metadata={"version": "2"})
    with pytest.raises(batch.BatchError) as refused:
        batch.decode(stream(schema, [pa.array([1])]))
    assert refused.value.code in ("message_schema_unsupported", "message_undecodable")


def test_other_columns_are_refused():
    schema = pa.schema(
        [pa.field(f"c{n}", pa.int64()) for n in range(len(batch.SCHEMA))],
        metadata={"version": batch.VERSION, "project": "p"},
    )
    for hot_only in (True, False):
        with pytest.raises(batch.BatchError) as refused:
            batch.decode(stream(schema, [pa.array([1])] * len(batch.SCHEMA)), hot_only=hot_only)
        assert refused.value.code == "message_schema_unsupported"


def test_a_batch_without_a_project_is_refused():
    with pytest.raises(batch.BatchError) as refused:
        batch.decode(batch.encode("", sample(1)))
    assert refused.value.code == "message_project_missing"
