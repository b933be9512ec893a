"""Slices and steps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stores.contract import DAY, HAS_FINAL, HAS_PARTIAL, HAS_REVISED, Slice, edges, status_of
from stores.pane import FINAL, PARTIAL, REVISED

ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu"])
TIMES = st.integers(20_000_000, 30_000_000).map(lambda minute: minute * 60)


@given(TIMES, st.integers(1, 100_000), st.sampled_from([0, 3_600, DAY]), ZONES)
def test_steps_cover_the_range_without_gap_or_overlap(
    start: int, minutes: int, step: int, zone: str
):
    end = start + 60 * minutes
    found = edges(start, end, step, zone)
    assert (found[0], found[-1]) == (start, end)
    assert list(found) == sorted(set(found))
    assert all(edge % 60 == 0 for edge in found)
    ask = Slice("p", (), found)
    times = np.array([start, end - 60, (start + end) // 2])
    for time, index in zip(times, ask.index(times), strict=True):
        assert found[index] <= time < found[index + 1]
    assert (ask.step is not None) == (len(set(np.diff(found).tolist())) == 1)


@pytest.mark.parametrize(
    ("grouping", "steps", "kept"),
    [
        ((), (60, 120), True),
        (("country",), (3_600, 7_200), True),
        (("country",), (60, 3_600), False),
        (("country", "device"), (3_600, 7_200), False),
    ],
)
def test_which_unions_are_kept(grouping: tuple[str, ...], steps: tuple[int, ...], kept: bool):
    assert Slice("p", grouping, steps).has_users is kept


@pytest.mark.parametrize(
    ("bits", "status"),
    [
        (0, 0),
        (HAS_FINAL, FINAL),
        (HAS_FINAL | HAS_REVISED, REVISED),
        (HAS_FINAL | HAS_REVISED | HAS_PARTIAL, PARTIAL),
    ],
)
def test_a_step_is_as_complete_as_its_minutes(bits: int, status: int):
    assert status_of(bits) == status
