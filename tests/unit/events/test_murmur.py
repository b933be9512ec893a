import mmhash2
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events import murmur, sketch

SEEDS = st.integers(0, 2**32 - 1)


def one_by_one(keys: list[bytes], seed: int) -> list[int]:
    return [int(mmhash2.murmurhash64a(key, seed)) & (2**64 - 1) for key in keys]


@given(st.lists(st.text(max_size=40)), SEEDS)
def test_texts(texts: list[str], seed: int) -> None:
    array = pa.array(texts, pa.utf8())
    assert murmur.of_texts(array, seed).tolist() == one_by_one([t.encode() for t in texts], seed)


@given(st.lists(st.text(max_size=40), min_size=3), st.integers(0, 2))
def test_a_slice_of_texts(texts: list[str], start: int) -> None:
    array = pa.array(texts, pa.utf8()).slice(start)
    wanted = one_by_one([t.encode() for t in texts[start:]], sketch.SEED)
    assert murmur.of_texts(array, sketch.SEED).tolist() == wanted


@given(st.lists(st.binary(min_size=16, max_size=16)), SEEDS)
def test_ids(ids: list[bytes], seed: int) -> None:
    rows = np.frombuffer(b"".join(ids), np.uint8).reshape(-1, 16)
    assert murmur.of_ids(rows, seed).tolist() == one_by_one(ids, seed)


def test_a_null_has_no_hash() -> None:
    with pytest.raises(ValueError, match="null"):
        murmur.of_texts(pa.array(["a", None], pa.utf8()), 1)
