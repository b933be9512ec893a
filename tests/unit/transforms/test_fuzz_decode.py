"""Hostile messages on the log: a short seeded run, and what such runs found."""

import random
import time

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events import batch, limits, unpacked
from tests.fuzz import arrow
from tests.fuzz.corpus import NOW
from tests.fuzz.decoder import DecoderTarget
from tests.fuzz.report import Report
from tests.fuzz.runner import run
from tests.unit.transforms.cubes import record, rows
from transforms import aggregate
from transforms.aggregate import Cells
from transforms.cube import merge
from transforms.decode import MAX_LETTERS, Decoded, Message, decode

LINE = b'{"type":"click","user_id":"u","ts":%d}'


def test_three_thousand_messages_break_nothing() -> None:
    report = run(Report("decoder", 4, 3_000), DecoderTarget().case, clock=time.thread_time)
    assert report.outcomes["decoded and counted"] > 50
    assert report.outcomes["message_values_invalid"] > 10


@pytest.mark.slow
def test_thirty_thousand_messages_break_nothing() -> None:
    report = run(Report("decoder", 5, 30_000), DecoderTarget().case, clock=time.thread_time)
    assert report.rss_mb[100] - report.rss_mb[50] < 20


def columns(count: int = 2) -> arrow.Columns:
    """Plain rows."""
    return arrow.columns(random.Random(1), count)


VALUES = {
    "event_time": st.none() | st.integers(-(2**63), 2**63 - 1),
    "received_at": st.none() | st.integers(-(2**63), 2**63 - 1),
    "dedup_key": st.none() | st.integers(0, 2**64 - 1),
    "user_hash": st.none() | st.integers(0, 2**64 - 1),
    "bot": st.none() | st.booleans(),
    "revenue_micros": st.none() | st.integers(-(2**63), 2**63 - 1),
    "type": st.none() | st.text(max_size=3),
    "category": st.none() | st.text(max_size=3) | st.sampled_from(arrow.TEXTS),
    "country": st.none() | st.sampled_from(arrow.TEXTS),
    "device": st.none() | st.text(max_size=70),
}


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_any_values_are_counted_or_refused(data: st.DataObject) -> None:
    made = columns(3)
    for name in data.draw(st.sets(st.sampled_from(sorted(VALUES)), max_size=3)):
        made[name] = [data.draw(VALUES[name]) for _ in range(3)]
    message = Message(batch.encode("p", made), broker_ms=NOW, logged_ms=NOW)
    DecoderTarget().check(message)


@pytest.mark.parametrize("name", ["event_time", "received_at", "dedup_key", "bot"])
def test_nulls_where_there_are_none_are_refused(name: str) -> None:
    made = columns()
    made[name][0] = None
    assert _reason(batch.encode("p", made)) == "message_values_invalid"


@pytest.mark.parametrize("time", [0, -1, -(2**63), 2**63 - 1, limits.MAX_TS_MS + 1])
def test_times_that_cannot_be_are_refused(time: int) -> None:
    made = columns()
    made["event_time"][0] = time
    assert _reason(batch.encode("p", made)) == "message_values_invalid"


def test_a_null_in_a_dictionary_is_refused() -> None:
    made = columns()
    arrays = [
        pa.DictionaryArray.from_arrays(pa.array([0, 1], pa.int32()), pa.array(["a", None]))
        if field.name == "category"
        else arrow.array(made[field.name], field.type)
        for field in batch.SCHEMA
    ]
    schema = batch.SCHEMA.with_metadata({"project": "p", "version": "1"})
    assert _reason(arrow.stream(schema, arrays)) == "message_values_invalid"


def test_a_second_record_batch_is_not_lost_in_silence() -> None:
    arrays = [arrow.array(columns()[field.name], field.type) for field in batch.SCHEMA]
    schema = batch.SCHEMA.with_metadata({"project": "p", "version": "1"})
    assert _reason(arrow.stream(schema, arrays, 2)) == "message_schema_unsupported"


@pytest.mark.parametrize("name", ["p\x1fcountry", "P", "a b", "ü", "a" * 65, "p\n"])
def test_only_a_projects_name_names_a_project(name: str) -> None:
    assert _reason(batch.encode(name, columns())) == "message_project_invalid"
    dead = decode(Message(LINE % NOW, project=name)).dead
    assert [letter.reason for letter in dead] == ["message_project_invalid"]


def test_few_bytes_that_unpack_to_many_are_refused_before_they_do() -> None:
    payload = arrow.bomb(1_000_000)
    assert len(payload) < 1_000_000
    before = pa.total_allocated_bytes()
    assert unpacked.size(payload) > limits.MAX_UNPACKED_BYTES
    assert _reason(payload) == "message_too_large"
    assert pa.total_allocated_bytes() - before < 1_000_000


def test_what_is_said_to_be_unpacked_is_what_is() -> None:
    plain = arrow.stream(pa.schema([("a", pa.int64())]), [pa.array(range(1_000))])
    assert unpacked.size(plain) == 8_000
    packed = arrow.stream(
        pa.schema([("a", pa.int64())]),
        [pa.array([1] * 1_000)],
        options=pa.ipc.IpcWriteOptions(compression="zstd"),
    )
    assert unpacked.size(packed) == 8_000


@pytest.mark.parametrize("ahead", [limits.MAX_AHEAD_MS + 1, 3_600_000, 10**12])
def test_no_event_is_far_ahead_of_the_broker(ahead: int) -> None:
    made = columns()
    made["event_time"] = [NOW + limits.MAX_AHEAD_MS, NOW + ahead]
    json = LINE % (NOW + limits.MAX_AHEAD_MS) + b"\n" + LINE % (NOW + ahead)
    for payload in (batch.encode("p", made), json):
        near = Message(payload, project="p", broker_ms=NOW, logged_ms=NOW)
        assert _times(decode(near)) == [NOW + limits.MAX_AHEAD_MS, NOW]
        assert _times(decode(near, hot_only=False)) == [NOW + limits.MAX_AHEAD_MS, NOW]
        # A topic that keeps the producers' time says nothing about the broker's clock.
        assert _times(decode(near._replace(logged_ms=0)))[1] == NOW + ahead


def test_many_bad_lines_share_a_dead_letter() -> None:
    bad = b"\n".join(b"%d" % n for n in range(10_000))
    decoded = decode(Message(LINE % NOW + b"\n" + bad, project="p"))
    assert decoded.rows["p"].num_rows == 1
    assert len(decoded.dead) == MAX_LETTERS + 1
    assert decoded.dead[-1].payload.count(b"\n") == 10_000 - MAX_LETTERS - 1
    assert decoded.dead[-1].detail.startswith(f"{10_000 - MAX_LETTERS} more lines")


def test_two_categories_that_read_as_one_are_one() -> None:
    (cube,) = (
        part.cube
        for part in Cells(rows(record(category="a\x1fb"), record(category="a b"))).minutes()
        if part.grouping == ("category",)
    )
    assert cube.names == ["a b"]
    assert merge((cube, cube)).rows == 4


def test_more_cells_than_a_number_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    table = rows(
        *(
            record(
                ts=NOW - int(rng.integers(0, 300_000)),
                category=f"c{rng.integers(0, 40)}",
                device=f"d{rng.integers(0, 9)}",
                country=rng.choice(["US", "DE", "ZZ"]),
                user_id=f"u{rng.integers(0, 50)}",
            )
            for _ in range(500)
        )
    )
    usual = {(part.grouping, part.start): part.cube for part in Cells(table).minutes()}
    monkeypatch.setattr(aggregate, "_MOST", 1_000)
    renumbered = {(part.grouping, part.start): part.cube for part in Cells(table).minutes()}
    assert renumbered == usual


def _reason(payload: bytes) -> str:
    decoded = decode(Message(payload, broker_ms=NOW, logged_ms=NOW))
    (letter,) = decoded.dead
    assert not decoded.rows
    return letter.reason


def _times(decoded: Decoded) -> list[int]:
    found: list[int] = decoded.rows["p"].column("event_time").to_pylist()
    return found


def test_headers_that_point_into_each_other_cost_no_more_than_their_length() -> None:
    """A fuzzer's finding: many small messages, each with the buffers of one large header."""
    payload = batch.encode("p", columns(2)) * 2
    one = payload[: len(payload) // 2]
    for at in range(0, len(one), 7):
        damaged = one[:at] + b"\xff\xff\xff\xff\x08\x00\x00\x00" * 4_000 + one[at:]
        began = time.thread_time()
        assert decode(Message(damaged)).rows == {}
        assert time.thread_time() - began < 0.5
