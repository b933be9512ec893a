"""One typed pass over a body gives what reading it event by event gives, whatever the body is."""

import json
import random
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from events import batch, limits, quick, schema
from events.agent import classify
from serving.ingest import rows as ingest_rows
from serving.ingest.errors import RequestError
from serving.ingest.message import columns_of
from serving.ingest.reader import Reader, parse
from serving.ingest.rows import ROW_BYTES, Sender, make_parts
from serving.projects import DEMO
from tests.fuzz import corpus
from tests.fuzz.mutate import field, mutate
from tests.unit.serving import rowwise
from tests.unit.serving.client import NOW, event, events


@pytest.fixture(params=[1, 10**6], ids=["columns", "tuples"], autouse=True)
def form(request: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything holds for both forms of rows, whatever the size of the request."""
    monkeypatch.setattr(ingest_rows, "_FEW", request.param)


SENDER = Sender(NOW + 1_000, "DE", classify("Mozilla/5.0 (X11; Linux x86_64)"))
ID = batch.SCHEMA.get_field_index("event_id")
LARGE = [batch.SCHEMA.get_field_index(name) for name in ("url", "props")]
PARTITIONS = 5


def outcome(call: Any) -> Any:
    """What the call gives, or the code and words it is refused with."""
    try:
        return call()
    except RequestError as error:
        return error.code, error.detail


def by_row(body: bytes) -> Any:
    made = rowwise.make_rows(parse(body), DEMO, SENDER, PARTITIONS)
    return {n: [hide(row) for row in rows] for n, rows in made.parts.items()}, made.rejected


def at_once(reader: Reader, body: bytes) -> Any:
    read = reader.read(body)
    parts = make_parts(read, DEMO, SENDER, PARTITIONS)
    rows = {}
    for partition, part in parts.items():
        made = pa.RecordBatch.from_arrays(columns_of([part]), schema=batch.SCHEMA)
        made.validate(full=True)
        rows[partition] = [hide(tuple(row.values())) for row in made.to_pylist()]
    return rows, read.rejected


def hide(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """The row without the random part of an id that is ours."""
    own = row[ID][6] >> 4 == 7 and row[ID][:6] == SENDER.received_at.to_bytes(6, "big")
    return (*row[:ID], b"made" if own else row[ID], *row[ID + 1 :])


def same(body: bytes, reader: Reader | None = None) -> Any:
    found = outcome(lambda: at_once(reader or Reader(DEMO), body))
    assert found == outcome(lambda: by_row(body))
    return found


def test_fuzzed_bodies() -> None:
    rng, reader = random.Random(11), Reader(DEMO)
    seen: set[Any] = {type(same(corpus.body(rng), reader)[0]) for _ in range(200)}
    for _ in range(1_500):
        body = rng.choice((mutate, field, field))(rng, corpus.body(rng))
        found = same(body, reader)
        seen.add(found[0] if isinstance(found[0], str) else len(found[1]))
    assert {dict, "body_malformed", 0, 1} <= seen


NAMES = st.text(max_size=4) | st.sampled_from(["a" * 64, "a" * 65, "\U0001f600" * 64])
PROPS = st.dictionaries(NAMES, st.none() | st.booleans() | st.integers() | st.floats() | NAMES)
VALUES: dict[str, Any] = {
    "type": st.sampled_from(["page_view", "purchase", "own", "own.two", "Bad", "a\n"]),
    "user_id": st.text(min_size=1, max_size=3),
    "ts": st.sampled_from([NOW, NOW - 400_000, NOW + 90_000, 5, limits.MAX_TS_MS + 1, 1.75e12]),
    "id": st.uuids().map(str) | st.uuids().map(lambda one: one.hex) | st.none() | st.just("x"),
    "session_id": st.none() | st.text(max_size=3),
    "url": st.text(max_size=3) | st.just("x" * 2_049),
    "category": st.none() | st.text(max_size=3),
    "amount": st.sampled_from(["1", "0.0000001", 2.5, "NaN", None]),
    "currency": st.sampled_from(["USD", "EUR", "JPY", "usd", None]),
    "props": st.none() | PROPS,
    "more": st.sampled_from([{"{": 1}, [{}], "x" * 99]),
}
EVENTS = st.fixed_dictionaries(
    {name: VALUES[name] for name in ("type", "user_id", "ts")},
    optional={name: one for name, one in VALUES.items() if name not in ("type", "user_id", "ts")},
)
GOOD = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["page_view", "purchase", "own"]),
        "user_id": st.text("abc", min_size=1, max_size=3),
        "ts": st.integers(NOW - 10**9, NOW + 10**6),
    },
    optional={
        "id": st.uuids().map(str),
        "url": st.text(max_size=9),
        "amount": st.integers(-(9 * 10**8), 9 * 10**8).map(lambda n: n / 100),
        "props": st.dictionaries(
            st.text(max_size=4), st.text(max_size=4) | st.integers(), max_size=limits.MAX_PROPS
        ),
    },
).map(lambda one: one | ({"currency": "EUR"} if "amount" in one else {}))
ENVELOPES = st.fixed_dictionaries(
    {},
    optional={
        "batch_id": st.text(max_size=3),
        "sent_at": st.sampled_from([NOW, NOW + 3_600_000, NOW - 400_000, 3, "now"]),
        "more": st.sampled_from([1, {"a": {}}]),
    },
)


@given(st.lists(EVENTS, max_size=3), st.lists(GOOD, max_size=30), ENVELOPES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_events_good_and_bad(some: list[Any], good: list[Any], envelope: Any) -> None:
    same(json.dumps(events(*good[:5], *some, *good[5:], **envelope)).encode())


@given(st.lists(GOOD, min_size=1, max_size=60), ENVELOPES, st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_good_events(good: list[Any], envelope: Any, known: bool) -> None:
    reader = Reader(DEMO)
    if known:
        reader.read(json.dumps(events(event(type="own"))).encode())
    same(json.dumps(events(*good, **envelope)).encode(), reader)


PADDED = {
    "within": ("", 100),
    "spaces": (" " * 32_700, 0),
    "an unknown field": (' , "x": "' + "y" * 32_700 + '"', 0),
    "braces in it": (' , "x": "' + "{" * 32_700 + '"', 0),
    "a nested one": (' , "x": [' + "{}," * 11_000 + "{}]", 0),
    "in props": (' , "props": {"{": "{}"}' + " " * 20_000, 0),
}


@pytest.mark.parametrize("place", [0, 7, 19])
@pytest.mark.parametrize(("padding", "left"), PADDED.values(), ids=PADDED.keys())
def test_the_size_of_an_event(padding: str, left: int, place: int) -> None:
    for more in range(60, 130):
        texts = [json.dumps(event(url="z" * 2_000, props={"a": 1})) for _ in range(20)]
        texts[place] = texts[place][:-1] + padding + " " * more + "}"
        found = same(b'{"events":[' + ",".join(texts).encode() + b"]}")
        assert len(found[1]) <= 1
    assert left == 0 or not found[1]


def test_a_body_just_within_the_limit_of_gaps() -> None:
    for size in range(limits.MAX_EVENT_BYTES // 2 - 80, limits.MAX_EVENT_BYTES // 2 + 80, 7):
        texts = [json.dumps(event())[:-1] + " " * (size * part) + "}" for part in (1, 2, 1)]
        same(b'{"events":[' + ",".join(texts).encode() + b"]}")


def read_at_once(body: Any, reader: Reader) -> bool:
    """Whether the typed pass was enough: it counts the bytes of the envelope too."""
    text = json.dumps(body).encode()
    read = reader.read(text)
    return not read.rejected and read.bytes == len(text)


def test_custom_types_are_learned_up_to_a_limit() -> None:
    reader = Reader(DEMO)
    assert read_at_once(events(event()), reader)
    assert not read_at_once(events(event(type="own")), reader)
    assert read_at_once(events(event(type="own")), reader)
    for start in range(0, 2 * quick.MAX_NAMES, 100):
        reader.read(json.dumps(events(*(event(type=f"t{start + n}") for n in range(100)))).encode())
    assert read_at_once(events(event(type="own"), event()), reader)
    assert not read_at_once(events(event(type=f"t{2 * quick.MAX_NAMES}")), reader)
    assert len(reader._names.all) == len(schema.TYPES) + quick.MAX_NAMES


def test_what_is_not_good_teaches_nothing() -> None:
    reader = Reader(DEMO)
    reader.read(json.dumps(events(event(type="Bad"), event(type="own", ts=1))).encode())
    assert reader._names.all == schema.TYPES


@given(st.lists(GOOD, min_size=1, max_size=40))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_bytes_are_shared_out(good: list[Any]) -> None:
    body = json.dumps(events(*good), ensure_ascii=False).encode()
    parts = make_parts(Reader(DEMO).read(body), DEMO, SENDER, PARTITIONS)
    total = sum(part.bytes for part in parts.values()) - len(good) * ROW_BYTES
    assert abs(total - len(body)) <= max(64 * len(good), PARTITIONS)
    for part in parts.values():
        made = columns_of([part])
        texts = sum(made[at].cast(pa.binary()).nbytes for at in LARGE) - 8 * (part.count + 1)
        assert part.bytes >= texts + part.count * ROW_BYTES
