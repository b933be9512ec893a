"""How often feeds read, and that the pace slows down, recovers, and never swings."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.pace import (
    BUSY,
    CALM_LOOKS,
    LEAST,
    MESSAGES,
    SLOWEST,
    STRAINED_LOOKS,
    Load,
    Pace,
    Stand,
    after,
    covered,
    pause,
    refresh_at,
)

SHARES = st.floats(0, 1)
LOADS = st.builds(Load, SHARES, st.floats(0, 30))
REFRESHES = st.floats(0.02, 60)
STRAIN = Load(1.0, 0.1)
REST = Load(0.0, 0.0)


@given(st.floats(0.02, 60), st.integers(0, 100_000), st.floats(0, 100))
def test_a_crowd_or_a_slow_store_never_costs_more_than_four_reads_a_refresh(
    refresh: float, sockets: int, spent: float
):
    found = pause(refresh, sockets, spent)
    assert found <= refresh / 4
    assert found == refresh / 4 or (found >= LEAST and sockets / found <= MESSAGES * 1.001)
    assert found <= pause(refresh, sockets + 1, spent)
    assert found <= pause(refresh, sockets, spent + 0.1)
    assert pause(2.0, 10_000, 0.0) == 0.5


def levels(loads: Sequence[Load], refresh: float = 2.0) -> list[int]:
    """The level after each look."""
    stand, found = Stand(), []
    for load in loads:
        stand = after(stand, load, refresh)
        found.append(stand.level)
    return found


def test_a_strained_process_doubles_its_refresh_up_to_ten_seconds():
    assert [refresh_at(level, 2.0) for level in range(5)] == [2.0, 4.0, 8.0, 10.0, 10.0]
    assert levels([STRAIN] * 10) == [0, 1, 1, 2, 2, 3, 3, 3, 3, 3]
    assert levels([Load(0.1, 2.1)] * 4) == [0, 1, 1, 1]  # passes over two seconds, under four
    assert levels([STRAIN] * 10, refresh=30.0) == [0] * 10  # slow by wish


def test_a_calm_process_comes_back_step_by_step_and_later_than_it_went():
    looks = [STRAIN] * 4 + [REST] * 2 * CALM_LOOKS
    assert levels(looks)[4:] == [2] * (CALM_LOOKS - 1) + [1] * CALM_LOOKS + [0]
    busy = [STRAIN] * 2 + ([REST] * (CALM_LOOKS - 1) + [Load(0.5, 0.1)]) * 5
    assert set(levels(busy)[1:]) == {1}  # half as slow might be too much
    slow = [STRAIN] * 2 + [Load(0.1, 1.5)] * 3 * CALM_LOOKS
    assert set(levels(slow)[1:]) == {1}  # a pass would take most of two seconds


def test_one_look_alone_changes_nothing():
    assert set(levels([STRAIN, REST] * 20)) == {0}


@given(REFRESHES, st.lists(LOADS, max_size=80))
def test_the_refresh_stays_within_bounds_and_changes_by_one_step_after_enough_looks(
    refresh: float, loads: list[Load]
):
    found = levels(loads, refresh)
    changed = [i for i, (a, b) in enumerate(pairwise([0, *found])) if a != b]
    for i in changed:
        before = found[i - 1] if i else 0
        assert abs(found[i] - before) == 1
        assert refresh_at(found[i], refresh) != refresh_at(before, refresh)
        least = STRAINED_LOOKS if found[i] > before else CALM_LOOKS
        assert i - max([-1, *(c for c in changed if c < i)]) >= least
    for level in found:
        assert refresh <= refresh_at(level, refresh) <= max(refresh, SLOWEST)


@given(REFRESHES, st.floats(0, 20), st.floats(0, 30), st.integers(0, 4))
def test_a_load_that_stays_as_it_is_never_makes_the_pace_swing(
    refresh: float, work: float, longest: float, level: int
):
    """`work`: how much of the time the passes take at the usual pace."""
    stand, seen = Stand(level), []
    for _ in range(80):
        seen.append(stand.level)
        share = min(1.0, work * refresh / refresh_at(stand.level, refresh))
        stand = after(stand, Load(share, longest), refresh)
    ways = {b - a for a, b in pairwise(seen)} - {0}
    assert len(ways) <= 1  # up or down, never both
    assert len(set(seen[40:])) == 1


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)).map(sorted).map(tuple)),
    st.integers(0, 40),
    st.integers(0, 40),
)
def test_time_that_several_feeds_take_counts_once(
    intervals: list[tuple[int, int]], start: int, end: int
):
    seconds = {s for first, last in intervals for s in range(first, last) if start <= s < end}
    assert covered(intervals, start, end) == len(seconds)


class Feeds:
    """Passes over a pace, by a clock that they move."""

    def __init__(self) -> None:
        self.now = 100.0
        self.said: list[float] = []
        self.pace = Pace(2.0, lambda: 1, self.said.append, lambda: self.now)

    def passes(self, spent: float, until: Callable[[], bool]) -> None:
        """One feed as it reads and waits."""
        for _ in range(20_000):
            if until():
                return
            started = self.now
            self.now += spent
            self.pace.passed(started)
            self.now += max(0.0, self.pace.pause(spent) - spent)
        raise AssertionError("never")


def test_feeds_that_cannot_keep_up_are_slower_until_they_can_again_and_it_is_said_once():
    feeds = Feeds()
    feeds.passes(1.2, lambda: feeds.pace.refresh == 8.0)
    assert feeds.said == [4.0, 8.0]
    assert feeds.pace.degraded
    assert feeds.pace.pause(0.01) == 2.0
    feeds.passes(0.01, lambda: not feeds.pace.degraded)
    assert feeds.said == [4.0, 8.0, 4.0, 2.0]
    assert feeds.pace.pause(0.01) == LEAST


@pytest.mark.parametrize("spent", [0.01, 0.2, 0.39])
def test_feeds_that_can_just_keep_up_are_left_alone(spent: float):
    feeds = Feeds()
    end = feeds.now + 600
    feeds.passes(spent, lambda: feeds.now > end)
    assert feeds.said == []
    assert feeds.pace.pause(spent) <= 0.5
    assert spent / 0.5 < BUSY
