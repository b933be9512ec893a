"""The quick way takes nothing that the careful one refuses, and gives the same rows."""

import json
import random
import uuid
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events import batch, columns, limits, schema
from events.columns import Fields
from tests.fuzz import corpus
from tests.fuzz.mutate import mutate
from transforms.decode import Message, Record, decode_together

GOOD: dict[str, Any] = {
    "id": "01890000-0000-7000-8000-00000000000A",
    "type": "purchase",
    "user_id": "ü",
    "ts": 1_700_000_000_000,
    "session_id": "s",
    "url": "/a",
    "category": "",
    "amount": "2.5",
    "currency": "USD",
    "country": "DE",
    "device": "tv",
    "props": {"title": "Größe", "n": 1, "ok": True, "none": None, "share": -1.5},
}
_careful = msgspec.json.Decoder(Record)


def _line(**fields: Any) -> bytes:
    return json.dumps({**GOOD, **fields}, separators=(",", ":"), ensure_ascii=False).encode()


def _taken(line: bytes) -> Record | None:
    """The record, if the careful way takes the line."""
    try:
        record = schema.decode_with(_careful, line)
    except schema.InvalidEvent:
        return None
    return record if record.currency in (None, "USD") else None


def _last(line: bytes) -> bytes:
    """Of fields that stand there twice only the last, which is all that the quick way looks at."""
    return json.dumps(json.loads(line, parse_float=str)).encode()


def _quick(data: bytes) -> pa.RecordBatch | None:
    """Its rows by the quick way."""
    found = decode_together([Message(data, project="p", broker_ms=7)], hot_only=False)
    return None if found is None else found.decoded.rows["p"]


def _compare(data: bytes) -> bool:
    """Whether the quick way takes it; then the careful one must, with equal rows."""
    quick = _quick(data)
    if quick is None:
        return False
    careful = [_taken(line) or _taken(_last(line)) for line in data.split(b"\n")]
    assert None not in careful
    assert quick.equals(columns.rows("p", Fields.of(careful), batch.SCHEMA, 7))
    return True


@pytest.mark.parametrize("name", [*GOOD, None])
def test_a_good_line_is_taken_with_any_field_left_out_that_may_be(name: str | None) -> None:
    left = {key: value for key, value in GOOD.items() if key != name}
    data = json.dumps(left).encode()
    needed = {"type", "user_id", "ts", "amount", "currency"}
    assert _compare(b"\n".join((data, data))) == (name not in needed)


@pytest.mark.parametrize("count", [1, 2, 16, 32])
def test_any_number_of_events_may_have_ids(count: int) -> None:
    bare = json.dumps({key: value for key, value in GOOD.items() if key != "id"}).encode()
    for named in range(count + 1):
        assert _compare(b"\n".join([_line()] * named + [bare] * (count - named)))


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "Upper"},
        {"type": ""},
        {"user_id": ""},
        {"user_id": "u" * 129},
        {"ts": 12},
        {"ts": 1.5},
        {"ts": limits.MAX_TS_MS + 1},
        {"id": "none"},
        {"id": ""},
        {"url": "u" * 2049},
        {"category": 5},
        {"amount": "1.1234567"},
        {"amount": "x"},
        {"currency": "EUR"},
        {"country": "de"},
        {"country": "DEU"},
        {"device": ""},
        {"project": "Bad Name"},
        {"props": []},
        {"props": "text"},
        {"props": {"a": []}},
        {"props": {"a": {}}},
        {"props": {"n" * 65: 1}},
        {"props": {"a": "v" * 1025}},
        {"props": {str(i): i for i in range(33)}},
    ],
)
def test_a_bad_line_is_not_taken(fields: dict[str, Any]) -> None:
    assert _quick(_line() + b"\n" + _line(**fields)) is None


@pytest.mark.parametrize(
    "props",
    [
        {},
        None,
        {"n" * 64: "v" * 1024},
        {"a": 'x"\\\n\u2028', "b": "[{"},
        {str(i): str(i) for i in range(32)},
        {"a": 10**30, "b": 1e300, "c": "1e3"},
    ],
)
def test_props_that_need_a_second_look_are_taken(props: Any) -> None:
    assert _compare(_line(props=props) + b"\n" + _line())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"\n" + _line(),
        _line() + b"\n\n" + _line(),
        _line() + b"\r\n" + _line(),
        _line() + b" " + _line(),
        _line() + _line() + b"\n" + _line(),
        _line() + b"," + _line(),
        b"[" + _line() + b"]",
        _line(url="u").replace(b',"url"', b',\n"url"'),
        _line() + _line()[:-2] + b"\n}}",
        _line(props={"title": "x"}).replace(b'"x"', b'"\xff"'),
        _line(props={"a": 1}).replace(b":1}", b":1e999}"),
        _line(props={"a": 1}).replace(b":1}", b":" + b"9" * 400 + b".5}"),
        _line(props={"a": 1}).replace(b'{"a"', b" " * limits.MAX_EVENT_BYTES + b'{"a"'),
    ],
)
def test_lines_that_are_not_one_event_each(data: bytes) -> None:
    assert not _compare(data)


@given(st.integers(0, 2**32))
def test_whatever_is_taken_is_good(seed: int) -> None:
    rng = random.Random(seed)
    texts = (*corpus.TEXTS, *corpus.RAW_TEXTS, _line(), _line(props={"a": 1.5e3}))
    chosen = [rng.choice(texts) for _ in range(rng.randint(1, 3))]
    data = b"\n".join(chosen)
    _compare(mutate(rng, data) if rng.random() < 0.8 else data)


values = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text())
props = st.dictionaries(st.text(max_size=70), values | st.lists(st.none(), max_size=1), max_size=34)


@given(st.lists(props, min_size=1, max_size=4), st.booleans(), st.uuids())
def test_all_good_props_are_taken_and_no_bad_ones(
    found: list[dict[str, Any]], ascii_only: bool, event_id: uuid.UUID
) -> None:
    data = [
        json.dumps({**GOOD, "id": str(event_id), "props": one}, ensure_ascii=ascii_only)
        for one in found
    ]
    try:
        joined = "\n".join(data).encode()
    except UnicodeEncodeError:  # half a surrogate pair
        return
    good = all(_taken(line) is not None for line in joined.split(b"\n"))
    assert _compare(joined) == good
