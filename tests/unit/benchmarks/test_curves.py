"""Curves: waits are right for a queue, and in the mean for any order."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.curves import Curve, cumulated, curve, even, reached, waits

times = st.floats(0, 1_000, allow_nan=False)
arrivals = st.lists(st.tuples(times, st.integers(1, 50)), min_size=1, max_size=40)


def of(pairs: list[tuple[float, int]]) -> Curve:
    at, events = zip(*pairs, strict=True)
    return cumulated(np.array(at), np.array(events, np.int64))


@given(arrivals)
def test_never_falls_and_ends_at_the_sum(pairs: list[tuple[float, int]]):
    line = of(pairs)
    assert (np.diff(line.at) >= 0).all()
    assert (np.diff(line.events) > 0).all()
    assert line.total == sum(events for _, events in pairs)


@given(arrivals, st.floats(0, 100))
def test_a_queue_that_delays_all_alike_makes_all_wait_so_long(
    pairs: list[tuple[float, int]], delay: float
):
    found = waits(of(pairs), of([(at + delay, events) for at, events in pairs]))
    np.testing.assert_allclose(found, delay, atol=1e-9)


@given(st.lists(st.tuples(times, times), min_size=1, max_size=60))
def test_the_mean_is_right_in_any_order(pairs: list[tuple[float, float]]):
    came = np.array([at for at, _ in pairs])
    went = came + np.array([wait for _, wait in pairs])
    ones = np.ones(len(pairs), np.int64)
    found = waits(cumulated(came, ones), cumulated(went, ones))
    np.testing.assert_allclose(found.mean(), (went - came).mean(), atol=1e-6)


@given(arrivals, st.integers(0, 100))
def test_what_came_earlier_is_left_out(pairs: list[tuple[float, int]], before: int):
    line = of(pairs)
    rest = line.less(before)
    assert rest.total == max(0, line.total - before)
    for events in range(1, rest.total + 1):
        sought = np.array([events])
        assert reached(rest, sought) == reached(line, sought + before)


def test_what_never_arrives_has_no_wait():
    assert len(waits(curve([(0.0, 10)]), curve([]))) == 0
    assert waits(curve([(0.0, 10)]), curve([(2.0, 4)])).tolist() == [2.0] * 4
    assert len(waits(curve([]), curve([(2.0, 4)]))) == 0


def test_what_is_seen_before_it_was_acknowledged_waited_for_nothing():
    assert waits(curve([(3.0, 2)]), curve([(1.0, 2)])).tolist() == [0.0, 0.0]


@given(st.integers(1, 10**9), st.integers(1, 500))
def test_places_are_even_and_have_both_ends(total: int, points: int):
    places = even(total, points)
    assert places[0] == 1
    assert places[-1] == (total if points > 1 or total == 1 else 1)
    assert len(places) == min(total, points)
    assert (np.diff(places) > 0).all()
