from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events import sketch

HASHES = st.lists(st.integers(0, 2**64 - 1), max_size=60).map(lambda x: np.array(x, np.uint64))
SERIES = st.integers(0, 5)


def entries(pairs: Any) -> Any:
    hashes = np.array([h for _, h in pairs], np.uint64)
    return sketch.from_hashes(hashes, np.array([s for s, _ in pairs], np.int64))


PAIRS = st.lists(st.tuples(SERIES, st.integers(0, 2**64 - 1)), max_size=60)


def test_the_hash_never_changes():
    """Stored sketches would be worthless; an integration test compares with Redis."""
    assert sketch.user_hash("user-1") == 8841915591009501274
    assert 0 <= sketch.user_hash("é") < 2**64


@given(PAIRS, st.randoms(use_true_random=False))
def test_any_order_batching_and_duplication_gives_the_same_bytes(pairs, rng):
    whole = entries(pairs)
    shuffled = [*pairs, *rng.choices(pairs, k=5)] if pairs else []
    rng.shuffle(shuffled)
    cuts = sorted(rng.randrange(len(shuffled) + 1) for _ in range(3))
    bounds = [0, *cuts, len(shuffled)]
    parts = [entries(shuffled[a:b]) for a, b in pairwise(bounds)]
    rng.shuffle(parts)
    merged = sketch.merge([sketch.merge(parts[:2]), *parts, sketch.merge(parts[2:])])
    assert merged.tobytes() == whole.tobytes()
    assert merged.dtype == np.uint32


@given(PAIRS)
def test_entries_are_sorted_with_one_per_register(pairs):
    found = entries(pairs)
    assert (np.diff((found >> np.uint32(6)).astype(np.int64)) > 0).all()
    rank = found & np.uint32(63)
    assert ((rank >= 1) & (rank <= 51)).all()


@given(HASHES)
def test_a_register_holds_its_largest_rank(hashes):
    expected = np.zeros(sketch.REGISTERS, np.uint8)
    for value in hashes.tolist():
        rest = value >> 14 | 1 << 50
        rank = (rest & -rest).bit_length()
        bucket = value & (sketch.REGISTERS - 1)
        expected[bucket] = max(expected[bucket], rank)
    assert (sketch.registers(sketch.from_hashes(hashes)) == expected).all()


@given(HASHES)
def test_a_blob_comes_back(hashes):
    found = sketch.from_hashes(hashes)
    blob = sketch.to_blob(found)
    assert sketch.from_blob(blob).tobytes() == found.tobytes()
    assert len(blob) <= 12_304


def test_a_large_sketch_is_dense_and_comes_back():
    found = sketch.from_hashes(np.random.default_rng(1).integers(0, 2**64, 50_000, np.uint64))
    blob = sketch.to_blob(found)
    assert len(blob) == 12_304
    assert sketch.from_blob(blob).tobytes() == found.tobytes()


def test_a_rank_over_32_makes_it_dense():
    found = sketch.from_hashes(np.array([1 << 60], np.uint64))
    assert len(sketch.to_blob(found)) == 12_304
    assert sketch.from_blob(sketch.to_blob(found)).tobytes() == found.tobytes()


@given(st.binary(max_size=60) | st.binary(max_size=60).map(lambda b: b"HYLL\x01" + bytes(11) + b))
def test_any_bytes_are_a_sketch_or_a_value_error(blob):
    try:
        found = sketch.from_blob(blob)
    except ValueError:
        return
    assert (np.diff(found.astype(np.int64)) > 0).all()


@given(PAIRS)
def test_split_gives_each_series_its_own(pairs):
    for series, part in enumerate(sketch.split(entries(pairs), 6)):
        own = np.array([h for s, h in pairs if s == series], np.uint64)
        assert part.tobytes() == sketch.from_hashes(own).tobytes()


@given(PAIRS, st.lists(st.integers(-1, 3), min_size=6, max_size=6))
def test_renumber_moves_drops_and_unites(pairs, ids):
    moved = sketch.renumber(entries(pairs), np.array(ids, np.int64))
    expected = entries([(ids[s], h) for s, h in pairs if ids[s] >= 0])
    assert moved.tobytes() == expected.tobytes()


@pytest.mark.parametrize("users", [0, 1, 10, 1_000, 20_000, 300_000])
def test_the_estimate_is_within_four_standard_errors(users):
    hashes = np.random.default_rng(users).integers(0, 2**64, users, np.uint64)
    error = abs(sketch.estimate(sketch.from_hashes(hashes)) - users)
    assert error <= 4 * sketch.STANDARD_ERROR * users
