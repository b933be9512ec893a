import pytest
from hypothesis import given
from hypothesis import strategies as st

from events import batch, reasons
from transforms.decode import Message, decode

TS = 1_700_000_000_000
GOOD = b'{"type":"purchase","user_id":"a","ts":1700000000000,"amount":"2.5","currency":"USD"}'


def _message(payload: bytes, project: str | None = "p") -> Message:
    return Message(payload, project=project)


def test_one_json_event() -> None:
    decoded = decode(_message(GOOD))
    rows = decoded.rows["p"]
    assert rows.schema.names == list(batch.HOT_COLUMNS)
    assert rows.to_pylist()[0]["revenue_micros"] == 2_500_000
    assert not decoded.dead


def test_all_columns_of_json() -> None:
    line = GOOD.replace(b"{", b'{"url":"/a","props":{"n":1},', 1)
    rows = decode(_message(line)._replace(broker_ms=5), hot_only=False).rows["p"]
    assert rows.schema.equals(batch.SCHEMA)
    row = rows.to_pylist()[0]
    assert (row["url"], row["props"], row["received_at"]) == ("/a", '{"n":1}', 5)
    assert (row["amount_micros"], row["currency"]) == (2_500_000, "USD")
    assert row["session_id"] is None


@pytest.mark.parametrize("hot_only", [True, False])
def test_a_batch_is_decoded_hot_or_whole(hot_only: bool) -> None:
    columns = decode(_message(GOOD), hot_only=False).rows["p"].to_pydict()
    payload = batch.encode("q", columns)
    rows = decode(_message(payload, project=None), hot_only=hot_only).rows["q"]
    assert rows.num_columns == len(batch.HOT_COLUMNS if hot_only else batch.SCHEMA.names)


def test_a_bad_line_costs_its_neighbours_nothing() -> None:
    bad = b'{"type":"purchase"}'
    decoded = decode(_message(b"\n".join((GOOD, bad, b"", GOOD))))
    assert decoded.rows["p"].num_rows == 2
    assert [(d.payload, d.reason) for d in decoded.dead] == [(bad, "event_field_missing")]


def test_a_record_may_name_its_project() -> None:
    own = GOOD.replace(b"{", b'{"project":"q","country":"DE","device":"tv",')
    decoded = decode(_message(own + b"\n" + GOOD))
    assert set(decoded.rows) == {"p", "q"}
    assert decoded.rows["q"].to_pylist()[0]["country"] == "DE"


@pytest.mark.parametrize(
    ("payload", "project", "reason"),
    [
        (b"", "p", "message_empty"),
        (b"\x00\x01", "p", "message_undecodable"),
        (b"\xff\xff\xff\xff\x00", "p", "message_undecodable"),
        (b"[1]", "p", "message_undecodable"),
        (GOOD, None, "message_project_missing"),
        (b'{"type":', "p", "event_malformed"),
        (b"{" * 5000, "p", "event_malformed"),
        (GOOD.replace(b"USD", b"EUR"), "p", "currency_unsupported"),
        (GOOD.replace(b"1700000000000", b"12"), "p", "event_ts_invalid"),
    ],
)
def test_what_cannot_be_used_has_a_declared_reason(
    payload: bytes, project: str | None, reason: str
) -> None:
    decoded = decode(_message(payload, project=project))
    assert [d.reason for d in decoded.dead] == [reason]
    assert reason in reasons.MESSAGE_REASONS
    assert not decoded.rows


@given(st.binary(max_size=300))
def test_no_bytes_raise(payload: bytes) -> None:
    for start in (b"", b"{", b"\xff\xff\xff\xff", GOOD[:40]):
        for dead in decode(_message(start + payload)).dead:
            assert dead.reason in reasons.MESSAGE_REASONS


def test_the_same_event_id_has_the_same_key() -> None:
    event = GOOD.replace(b"{", b'{"id":"018bcfe5-6800-7000-8000-000000000001",')
    keys = decode(_message(event + b"\n" + event)).rows["p"].column("dedup_key").to_pylist()
    assert keys[0] == keys[1] != 0
    assert keys[0] % 2 == 0


TWICE = (
    GOOD.replace(b'"type":', b'"type":"No!","type":'),
    GOOD.replace(b'"ts":', b'"id":"none","id":"01890000-0000-7000-8000-000000000001","ts":'),
    GOOD.replace(b'"ts":', b'"props":[],"props":{},"ts":'),
)


@pytest.mark.parametrize("odd", TWICE)
@pytest.mark.parametrize("hot_only", [True, False])
def test_what_becomes_of_a_line_does_not_depend_on_its_neighbours(
    odd: bytes, hot_only: bool
) -> None:
    alone = decode(_message(odd), hot_only=hot_only)
    among = decode(_message(odd + b"\n" + b"{}"), hot_only=hot_only)
    assert len(among.dead) == 1
    assert alone.rows["p"].to_pylist() == among.rows["p"].to_pylist()


def test_a_field_twice_with_a_bad_amount() -> None:
    bad = TWICE[0].replace(b'"2.5"', b'"1.1234567"')
    assert [d.reason for d in decode(_message(bad)).dead] == ["amount_invalid"]
