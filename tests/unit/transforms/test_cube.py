import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.transforms.cubes import cube, cubes
from transforms import cube as c


@given(st.lists(cubes(), max_size=8), st.randoms(use_true_random=False))
def test_any_order_and_batching_merges_to_the_same_bytes(
    parts: list[c.Cube], rng: random.Random
) -> None:
    whole = c.canonical(c.merge(parts))
    rng.shuffle(parts)
    cut = rng.randrange(len(parts) + 1)
    nested = c.merge([c.merge(parts[:cut]), c.merge(parts[cut:])])
    assert c.canonical(nested) == whole


@given(cubes())
def test_codec_round_trip(value: c.Cube) -> None:
    again = c.CubeCoder().decode(c.CubeCoder().encode(value))
    assert again.names == value.names
    assert again == value


@given(st.lists(cubes(), min_size=1, max_size=5), st.integers(1, 4))
def test_cap_loses_no_rows_and_keeps_who_came_first(parts: list[c.Cube], cap: int) -> None:
    merged = c.merge(parts, cap)
    assert len(merged.names) <= cap
    assert merged.rows + merged.left_out == sum(part.rows for part in parts)
    assert merged.names[: len(parts[0].names)] == parts[0].names[:cap]


@given(cubes(), st.lists(cubes(), max_size=4))
def test_counts_only_grow(first: c.Cube, more: list[c.Cube]) -> None:
    before, after = c.merge([first], 3), c.merge([first, *more], 3)
    grown = dict(zip(after.names, after.measures[:, 0].tolist(), strict=True))
    for name, count in zip(before.names, before.measures[:, 0].tolist(), strict=True):
        assert grown[name] >= count


def test_merge_leaves_its_inputs_alone() -> None:
    a, b = cube(x=1), cube(x=2, y=3)
    c.merge([a, b])
    assert a == cube(x=1)
    assert b == cube(x=2, y=3)


def test_series_with_other_numbers_differ() -> None:
    assert cube(x=1) != cube(x=2)
    assert cube(x=1, y=2) == cube(y=2, x=1)


def test_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="version"):
        c.decode(b"\x09" + c.encode(cube(x=1))[1:])


def test_combine_fn_equals_merge() -> None:
    fn = c.CubeCombineFn(cap=10)
    left = fn.add_inputs(fn.create_accumulator(), [cube(x=1), cube(y=2)])
    right = fn.add_input(fn.create_accumulator(), cube(x=5))
    merged = fn.extract_output(fn.merge_accumulators([left, right]))
    assert merged.measures[:, 0].tolist() == [6, 2]
