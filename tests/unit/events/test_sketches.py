"""Sparse and dense sketches hold what `events.sketch` would, whatever the order and batching.

SPARSE_MAX is lowered, so that a few users make a dense row.
"""

from collections.abc import Iterator
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events import sketch, sketches
from events.sketches import Ranked, Sketches

SERIES = 5
HASHES = st.integers(0, 2**64 - 1)
PEOPLE = st.lists(st.tuples(HASHES, st.integers(0, SERIES - 1)), max_size=40)


@pytest.fixture(autouse=True, scope="module")
def _low_bound() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sketches, "SPARSE_MAX", 3)
        yield


def reference(people: list[tuple[int, int]]) -> sketch.Entries:
    hashes = np.array([h for h, _ in people], np.uint64)
    return sketch.from_hashes(hashes, np.array([s for _, s in people], np.int64))


def of(people: list[tuple[int, int]]) -> Sketches:
    return sketches.from_entries(reference(people), SERIES)


def same(a: Sketches, b: Sketches) -> bool:
    return a.sparse.tobytes() == b.sparse.tobytes() and (
        a.ids.tolist(),
        a.dense.tolist(),
    ) == (b.ids.tolist(), b.dense.tolist())


def check(found: Sketches, entries: sketch.Entries) -> None:
    """The same users, and each series where it takes the least room."""
    assert found.entries.tolist() == entries.tolist()
    sizes = np.bincount(entries >> np.uint32(20), minlength=SERIES)
    assert found.ids.tolist() == np.flatnonzero(sizes > 3).tolist()
    assert not np.isin(found.sparse >> np.uint32(20), found.ids).any()


@given(PEOPLE)
def test_entries_survive_the_way_they_are_held(people: list[tuple[int, int]]) -> None:
    check(of(people), reference(people))


@pytest.mark.parametrize("table", [0, 1 << 20], ids=["sorted", "table"])
@given(PEOPLE)
def test_ranked_users_make_the_sketches_of_their_series(
    table: int, people: list[tuple[int, int]]
) -> None:
    hashes = np.array([h for h, _ in people], np.uint64)
    tags = np.array([s for _, s in people], np.int64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sketches, "_TABLE", table)
        check(Ranked.of(hashes, tags).sketches(np.arange(SERIES), SERIES), reference(people))


@given(PEOPLE)
def test_users_of_no_series_are_left_out(people: list[tuple[int, int]]) -> None:
    hashes = np.array([h for h, _ in people], np.uint64)
    tags = np.array([s for _, s in people], np.int64)
    found = Ranked.of(hashes, tags).sketches(np.array([-1, 0, -1, 1, -1]), 2)
    kept = [(h, (s - 1) // 2) for h, s in people if s in (1, 3)]
    assert found.entries.tolist() == reference(kept).tolist()


@given(st.lists(PEOPLE, max_size=5), st.randoms(use_true_random=False))
def test_any_order_and_batching_unites_to_the_same_arrays(
    parts: list[list[tuple[int, int]]], rng: Random
) -> None:
    same_ids = np.arange(SERIES)
    everyone = [one for part in parts for one in part]
    given = [(of(part), same_ids) for part in parts]
    rng.shuffle(given)
    cut = rng.randrange(len(given) + 1)
    halves = [sketches.merge(half, SERIES) for half in (given[:cut], given[cut:])]
    nested = sketches.merge([(half, same_ids) for half in halves], SERIES)
    whole = sketches.merge(given, SERIES)
    check(whole, reference(everyone))
    assert same(nested, whole)


@given(PEOPLE, st.permutations(range(SERIES)), st.integers(0, SERIES))
def test_new_ids_move_series_and_drop_some(
    people: list[tuple[int, int]], ids: list[int], count: int
) -> None:
    new = np.array([i if i < count else -1 for i in ids], np.int64)
    found = sketches.merge([(of(people), new)], count)
    moved = [(h, int(new[s])) for h, s in people if new[s] >= 0]
    assert found.entries.tolist() == reference(moved).tolist()


@given(PEOPLE, PEOPLE)
def test_merging_leaves_its_parts_alone(a: list[tuple[int, int]], b: list[tuple[int, int]]) -> None:
    first, second = of(a), of(b)
    sketches.merge([(first, np.arange(SERIES)), (second, np.arange(SERIES))], SERIES)
    assert same(first, of(a))
    assert same(second, of(b))
