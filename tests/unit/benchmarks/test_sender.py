"""When requests are due."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.sender import Load, due, every


@given(st.integers(1, 200), st.floats(0.001, 10), st.integers(1, 1_000))
def test_an_open_loop_is_even_and_within_its_time(count: int, gap: float, size: int):
    times = list(due(Load(count * gap * 1.001, size / gap), size, 1_000.0))
    assert times == [pytest.approx(1_000.0 + number * gap) for number in range(count)]


def test_a_closed_loop_ends():
    assert list(due(Load(0.0), 10, 0.0)) == []
    assert next(due(Load(1e12), 10, 0.0)) is None


def test_probes_that_are_late_are_left_out_and_not_made_up_for():
    now = time.time()
    assert list(every(0.25, now + 100, 1.0)) == [pytest.approx(now + 100 + n / 4) for n in range(4)]
    late = every(0.25, now - 1.0, 60.0)
    assert next(late) == now - 1.0
    assert next(late) >= now
