import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.credentials import Key, ReadKey, described, key_hash, new_key, origin_matches

LABELS = st.text("abc-019", min_size=1, max_size=5)


@pytest.mark.parametrize("kind", ["write", "read", "admin"])
def test_keys_differ_and_say_what_they_open(kind):
    keys = {new_key(kind) for _ in range(100)}
    assert len(keys) == 100
    assert all(re.fullmatch(rf"sl{kind[0]}_[0-9a-f]{{40}}", key) for key in keys)


@given(st.text())
def test_a_hash_says_nothing_of_a_key(key):
    assert re.fullmatch(r"[0-9a-f]{64}", key_hash(key))
    assert Key(hash=key_hash(key)).id == key_hash(key)[:12]


def test_a_key_ends():
    moment = datetime(2026, 11, 26, tzinfo=UTC)
    now = moment.timestamp()
    ending = Key(hash=key_hash("a"), expires=moment)
    assert [ending.ended(now - 1), ending.ended(now)] == [None, "expired"]
    revoked = Key(hash=key_hash("a"), expires=moment, revoked=moment + timedelta(days=1))
    assert revoked.ended(now - 1) == "revoked"  # whenever: a clock may be wrong


def test_a_list_has_no_hashes():
    found = described(ReadKey(hash=key_hash("a"), filter={"country": "DE"}, label="x"))
    assert found == {"id": key_hash("a")[:12], "filter": {"country": "DE"}, "label": "x"}


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("https://shop.example", True),
        ("http://shop.example", False),
        ("https://shop.example:443", False),
        ("https://www.shop.example", False),
        ("https://a.wide.example", True),
        ("https://a.b.wide.example", True),
        ("https://wide.example", False),
        ("https://.wide.example", False),
        ("https://evilwide.example", False),
        ("https://evil.example/.wide.example", False),
        ("https://evil.example#.wide.example", False),
        ("http://a.wide.example", False),
        ("http://a.port.example:8080", True),
        ("http://a.port.example", False),
        ("null", False),
        ("", False),
    ],
)
def test_origins(origin, allowed):
    patterns = ["https://shop.example", "https://*.wide.example", "http://*.port.example:8080"]
    assert origin_matches(origin, patterns) == allowed


@given(st.lists(LABELS, min_size=1, max_size=3), st.sampled_from(["http", "https"]))
def test_a_star_is_of_whole_labels(labels, scheme):
    name = ".".join(labels)
    assert origin_matches(f"{scheme}://{name}.x.example", [f"{scheme}://*.x.example"])
    assert not origin_matches(f"{scheme}://{name}x.example", [f"{scheme}://*.x.example"])
    assert not origin_matches(f"{scheme}://{name}.x.example.evil", [f"{scheme}://*.x.example"])
