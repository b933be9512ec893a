import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from transforms.keys import KeySet

key = st.one_of(st.integers(1, 40), st.integers(1, 2**64 - 1))
calls = st.lists(st.lists(key, max_size=200), max_size=12)


@given(calls)
def test_it_is_a_set(batches: list[list[int]]) -> None:
    made, truth = KeySet(), set[int]()
    for batch in batches:
        asked = np.array(batch, np.uint64)
        assert made.holds(asked).tolist() == [one in truth for one in batch]
        made.add(np.array(sorted(set(batch) - truth), np.uint64))
        truth |= set(batch)
        assert len(made) == len(truth)
    every = np.array(sorted(truth), np.uint64)
    assert made.holds(every).all()
    assert not made.holds(
        np.array([one for one in range(1, 60) if one not in truth], np.uint64)
    ).any()


def test_it_takes_little_room() -> None:
    made = KeySet()
    for start in range(1, 100_001, 1000):
        made.add(np.arange(start, start + 1000, dtype=np.uint64))
    assert made.nbytes <= 32 * len(made)
