import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events import letters
from transforms.decode import MAX_LETTERS, Message, decode

NOW = 1_700_000_000_000


def _letters(payload: bytes, project: str | None = "p") -> list[letters.Letter]:
    message = Message(payload, None, project, "events", 3, 17, NOW)
    return [dead.letter(NOW + 5) for dead in decode(message).dead]


@given(
    st.binary(max_size=5_000)
    | st.text(max_size=4_000).map(str.encode)
    | st.sampled_from([b'{"a":"' + b'\\"' * 5_000, b'{"' * 3_000, b"{" + b"\t\\" * 4_000])
)
def test_every_letter_is_bounded_and_reads_back(payload: bytes) -> None:
    for letter in _letters(payload):
        data = letters.encode(letter)
        assert len(data) <= letters.MAX_BYTES
        assert letters.decode(data) == letter


def test_it_says_where_and_why_and_how_it_looks() -> None:
    payload = b'{"type":"click","user_id":"ann","ts":%d}\n\n{"type":"click","user_id":"bob"}' % NOW
    (letter,) = _letters(payload)
    assert (letter.reason, letter.detail) == (
        "event_field_missing",
        "Object missing required field `ts`",
    )
    assert (letter.topic, letter.partition, letter.offset, letter.row) == ("events", 3, 17, 2)
    assert (letter.broker_ms, letter.decoded_ms, letter.project) == (NOW, NOW + 5, "p")
    assert letter.payload == '{"type":"click","user_id":"xxx"}'
    assert (letter.size, letter.truncated, letter.form) == (32, False, "text")
    assert letter.key == "events-3-17-2"


def test_equal_poison_has_equal_hashes_and_the_place_is_the_key() -> None:
    (one,), (two,) = _letters(b"\x00poison"), _letters(b"\x00poison", project="q")
    assert one.hash == two.hash != _letters(b"\x00poisoN")[0].hash
    assert one.key == two.key == "events-3-17"


def test_a_long_payload_is_cut_and_says_so() -> None:
    (letter,) = _letters(b'{"user_id":"' + b"a" * 40_000)
    assert (letter.truncated, letter.size, len(letter.payload)) == (True, 40_012, 2_048)
    assert letter.reason == "event_too_large"


def test_lines_beyond_the_limit_share_one_letter_that_counts_them() -> None:
    found = _letters(b"\n".join([b"{bad"] * (MAX_LETTERS + 7)))
    assert [letter.row for letter in found] == list(range(MAX_LETTERS + 1))
    assert (found[-1].rows, sum(letter.rows for letter in found)) == (7, MAX_LETTERS + 7)


@pytest.mark.parametrize("secret", ["ann.smith@example.com", "4111111111111111", "203.0.113.77"])
@pytest.mark.parametrize(
    "line",
    [
        '{"type":"click","user_id":"u","ts":%s}',
        '{"type":"click","user_id":"u","ts":4111111111111111}%s',
        '{"type":"click","user_id":"u","ts":1700000000000,"props":{"%s":[1]}}',
        '{"type":"click","user_id":"u","ts":1700000000000,"amount":"%s","currency":"USD"}',
        '{"type":"click","user_id":"u","ts":1700000000000,"id":"%s"}',
        '{"type":"click","user_id":"u","ts":1700000000000,"project":"%s!"}',
        '{"%s',
    ],
)
def test_neither_detail_nor_project_tells_what_was_sent(line: str, secret: str) -> None:
    (letter,) = _letters((line % secret).encode(), project=f"{secret}@")
    assert secret not in letters.encode(letter).decode()
    assert "smith" not in letters.encode(letter).decode()
    assert letter.project is None


def test_of_another_version_is_no_letter() -> None:
    (letter,) = _letters(b"\x00")
    other = msgspec.structs.replace(letter, version=2)
    with pytest.raises(msgspec.DecodeError):
        letters.decode(letters.encode(other))


@pytest.mark.parametrize(
    "data", [b"", b"\xff", b'{"reason":"\xff"}', b'{"more":' + b"[" * 100_000, b"[]", b"{}"]
)
def test_what_is_no_letter_is_refused_in_one_way(data: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        letters.decode(data)
