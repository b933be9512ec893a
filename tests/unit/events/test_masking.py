"""Nothing personal is left, whatever holds it; what is left still shows what was wrong."""

import json
import random
from urllib.parse import quote

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events import batch, masking
from tests.fuzz.arrow import columns

CAP = 2_048
SECRETS = (
    "ann.smith@example.com",
    "203.0.113.77",
    "2001:db8::8a2e:370:7334",
    "4111 1111 1111 1111",
    "4111111111111111",
    "+49 170 1234567",
    "user-48213-smith",
    "Jörg Müller-Łukasz",
    "q7Zk29",
)

secrets = st.sampled_from(SECRETS)
fields = st.sampled_from(["user_id", "session_id", "url", "mail", "weird field", "props"])
anything: st.SearchStrategy[object] = st.sampled_from(
    [None, True, -1.5e3, [], {"a b": [1]}, 'é\\"']
)


def _hidden(text: str, secret: str) -> bool:
    """None of the secret's words, in any case, is in the text."""
    words = [word for word in secret.replace("@", " ").split() if len(word) > 2]
    return all(word.lower() not in text.lower() for word in (secret, *words))


@st.composite
def planted(draw: st.DrawFn) -> tuple[str, bytes]:
    """A secret, and a payload that holds it somewhere in some form."""
    secret = draw(secrets)
    field = draw(fields)
    place: object = draw(
        st.sampled_from([secret, f"https://x.y/p?{field}={secret}&a=b", f"<{secret}>", [secret]])
    )
    for name in draw(st.sampled_from([(), ("props",), ("props", "url", "mail")])):
        place = {name: place, "and": draw(anything)}
    event: dict[str, object] = {"type": "click", field: place}
    if draw(st.booleans()):
        event = {secret: event}  # as a name
    text = json.dumps(event, ensure_ascii=draw(st.booleans()))
    how = draw(st.sampled_from(["plain", "escaped", "percent", "nested", "broken", "lines"]))
    if how == "escaped":
        hidden = "".join(f"\\u{ord(c):04x}" for c in secret)
        text = text.replace(json.dumps(secret)[1:-1], hidden)
    elif how == "percent":
        text += "".join(f"%{byte:02X}" for byte in secret.encode()) + quote(secret)
    elif how == "nested":
        text = json.dumps({"data": text})
    elif how == "broken":
        text = text[draw(st.integers(0, 3)) : len(text) - draw(st.integers(0, 5))].replace('"', "'")
    elif how == "lines":
        text = f"{text}\n{{broken {secret}\n{text}"
    return secret, text.encode()


@given(planted())
def test_a_planted_secret_is_gone(case: tuple[str, bytes]) -> None:
    secret, payload = case
    shown = masking.mask(payload, CAP)
    assert _hidden(shown.text, secret)
    again = json.dumps(secret)[1:-1]
    assert again not in shown.text
    assert "".join(f"\\u{ord(c):04x}" for c in secret) not in shown.text


@given(secrets, st.binary(max_size=40), st.binary(max_size=40))
def test_it_is_gone_from_bytes_that_are_no_text(secret: str, before: bytes, after: bytes) -> None:
    for encoding in ("utf-8", "utf-16-le", "utf-16-be"):
        inside = secret.encode(encoding)
        shown = masking.mask(before + inside + after, CAP)
        assert _hidden(shown.text, secret)
        assert inside.hex() not in shown.text
        if shown.form == "binary":
            assert len(shown.text) <= 2 * masking.HEAD_BYTES


@given(secrets, st.integers(0, 400))
def test_it_is_gone_from_a_batch_whole_or_cut(secret: str, cut: int) -> None:
    made = columns(random.Random(cut), 3)
    made["user_id"] = [secret] * 3
    whole = batch.encode("p", made)
    for payload in (whole, whole[cut:], whole[:-cut] if cut else whole):
        shown = masking.mask(payload, CAP)
        assert _hidden(shown.text, secret)
        assert shown.form == "binary" or len(payload) < 8


@given(st.binary(max_size=3_000) | st.text(max_size=1_500).map(str.encode), st.integers(0, 2_500))
def test_it_is_total_bounded_and_idempotent(payload: bytes, cap: int) -> None:
    shown = masking.mask(payload, cap)
    assert len(shown.text.encode()) <= cap
    if shown.form == "text":
        assert shown.truncated == (len(payload) > cap)
        assert masking.mask(shown.text.encode(), cap) == (shown.text, "text", False)


@given(planted())
def test_masking_twice_changes_nothing(case: tuple[str, bytes]) -> None:
    once = masking.mask(case[1], CAP)
    if once.form == "text":
        assert masking.mask(once.text.encode(), CAP).text == once.text


@pytest.mark.parametrize(
    ("payload", "shown"),
    [
        (
            '{"type":"click","user_id":"ann","ts":"1700000000","userName":1.5,"bot":true}',
            '{"type":"click","user_id":"xxx","ts":"9999999999","userName":9.9,"bot":true}',
        ),
        ('{"type":"ann","ann":null}', '{"type":"xxx","xxx":null}'),
        (
            '{"url":"https://a.b/ann?email=ann%40x.y&ann=1"}',
            '{"url":"xxxxx://x.x/xxx?email=xxx%99x.x&xxx=9"}',
        ),
        ('{"user_id":"\\u0061nn\\n', '{"user_id":"\\u9999xx\\n'),
        ("{'user_id': ann@x.de", "{'user_id': xxx@x.xx"),
        ('"true"', '"xxxx"'),
        ("", ""),
    ],
)
def test_the_shape_stays(payload: str, shown: str) -> None:
    assert masking.mask(payload.encode(), CAP) == (shown, "text", False)


def test_of_bytes_the_format_stays() -> None:
    assert masking.mask(b"\xff\xff\xff\xff\x78\x04\x00\x00ann7\xe4", CAP).text == (
        "ffffffff780400007878783980"
    )
    assert masking.mask(b"\x1f\x8b" + b"a" * 100, CAP) == ("1f80" + "78" * 14, "binary", True)


def test_a_cut_in_the_middle_of_a_character_is_no_harm() -> None:
    assert masking.mask("aé".encode(), 2) == ("x", "text", True)


def test_a_library_s_sentence_keeps_its_own_words_only() -> None:
    said = "Invalid: Expected 12 bytes in column ann, got ann@example.com"
    assert masking.sentence(said) == "Invalid: Expected 99 bytes in column xxx, got xxx@xxxxxxx.xxx"


@given(st.integers(0, 2**32))
def test_a_real_library_s_sentence(seed: int) -> None:
    rng = random.Random(seed)
    whole = bytearray(batch.encode("p", columns(rng, 2)))
    for _ in range(3):
        whole[rng.randrange(len(whole))] = rng.randrange(256)
    try:
        pa.ipc.open_stream(bytes(whole)).read_all()
    except (pa.ArrowException, OSError, ValueError, EOFError) as error:
        said = masking.sentence(str(error))
    else:
        said = ""
    assert said == masking.sentence(said)
