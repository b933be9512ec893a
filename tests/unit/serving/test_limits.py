"""Token buckets: the rule that Redis must follow too."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.limits import MAX_BURST, MAX_RATE, MICRO, Ask, Level, Limit, LocalBuckets, take
from tests.unit.serving.counting import Clock

LIMITS = st.builds(
    Limit, st.just("service"), st.just("s"), st.integers(1, 1_000), st.integers(1, 2_000)
)
STEPS = st.lists(st.tuples(st.integers(0, 3 * MICRO), st.integers(1, 300)), min_size=1, max_size=50)


def limit(rate: int = 10, burst: int = 20) -> Limit:
    return Limit("service", "requests_per_ip", rate, burst)


def run(rule: Limit, steps: list[tuple[int, int]]) -> list[tuple[int, int, bool]]:
    """Time, cost and whether it was given, after pauses in microseconds."""
    level: Level | None = None
    now, story = 10**15, []
    for pause, cost in steps:
        now += pause
        (taken,), (level,) = take([Ask(rule, "w", cost, cost)], [level], now)
        assert taken.granted in (0, cost)
        story.append((now, cost, taken.granted == cost))
    return story


@given(LIMITS, STEPS)
def test_never_more_than_burst_and_rate_within_any_time(rule, steps):
    given = [(at, cost) for at, cost, passed in run(rule, steps) if passed]
    for i, (since, _) in enumerate(given):
        total = 0
        for until, cost in given[i:]:
            total += cost
            assert total * MICRO <= rule.burst * MICRO + rule.rate * (until - since)


@given(LIMITS, STEPS)
def test_a_full_burst_passes_and_what_is_in_the_rate_always_does(rule, steps):
    assert all(passed for _, _, passed in run(rule, [(0, 1)] * rule.burst))
    slow = [(-(-cost * MICRO // rule.rate), min(cost, rule.burst)) for _, cost in steps]
    assert all(passed for _, _, passed in run(rule, slow))


@given(LIMITS, STEPS, st.integers(1, 2_000))
def test_a_refusal_costs_nothing_and_its_wait_is_honest(rule, steps, cost):
    cost = min(cost, rule.burst)
    level: Level | None = None
    now = 10**15
    for pause, drawn in steps:
        now += pause
        _, (level,) = take([Ask(rule, "w", drawn, drawn)], [level], now)
    ask = Ask(rule, "w", cost, cost)
    (taken,), (after,) = take([ask], [level], now)
    if taken.granted:
        assert taken.wait == 0
        return
    assert after == level
    assert taken.wait > 0
    assert take([ask], [level], now + taken.wait)[0][0].granted == cost
    assert take([ask], [level], now + taken.wait - 1)[0][0].granted == 0


@given(st.lists(st.tuples(LIMITS, st.integers(1, 300), st.integers(0, 2_000)), min_size=1))
def test_of_a_group_all_give_or_none(parts):
    now = 10**15
    asks = [Ask(rule, str(i), cost, cost) for i, (rule, cost, _) in enumerate(parts)]
    levels: list[Level | None] = [
        Level(min(held, rule.burst) * MICRO, now) for rule, _, held in parts
    ]
    taken, after = take(asks, levels, now)
    fits = all(min(held, rule.burst) >= cost for rule, cost, held in parts)
    assert [bool(one.granted) for one in taken] == [fits] * len(parts)
    assert (after == levels) is not fits
    for (rule, cost, held), one in zip(parts, taken, strict=True):
        assert (one.wait == 0) is (min(held, rule.burst) >= cost)


def test_a_slice_is_what_there_is_and_some_may_have_to_stay():
    rule = limit(10, 20)
    (taken,), _ = take([Ask(rule, "w", 1, 50)], [None], MICRO)
    assert (taken.granted, taken.left) == (20, 0)
    (taken,), _ = take([Ask(rule, "w", 10, 1)], [Level(9 * MICRO, MICRO)], MICRO)
    assert (taken.granted, taken.wait, taken.left) == (0, 100_000, 9 * MICRO)
    (taken,), _ = take([Ask(rule, "w", 10, 1)], [Level(10 * MICRO, MICRO)], MICRO)
    assert (taken.granted, taken.left) == (1, 9 * MICRO)


def test_a_clock_that_goes_back_gives_nothing():
    (taken,), _ = take([Ask(limit(), "w", 1, 1)], [Level(0, 10 * MICRO)], 5 * MICRO)
    assert (taken.granted, taken.left) == (0, 0)


def test_buckets_are_apart_by_program_setting_and_client():
    names = {
        Ask(Limit(program, setting, 1, 1), who, 1, 1).bucket
        for program in ("service", "collector")
        for setting in ("requests_per_ip", "requests_per_key")
        for who in ("a", "b")
    }
    assert len(names) == 8


def test_local_buckets_are_bounded_and_forget_the_longest_unused():
    clock = Clock()
    buckets = LocalBuckets(clock, most=3)
    rule = limit(1, 1)

    def passes(who: str) -> bool:
        return bool(buckets.take([Ask(rule, who, 1, 1)])[0].granted)

    assert [passes(who) for who in ("a", "b", "c", "a")] == [True, True, True, False]
    assert [passes(who) for who in ("d", "a", "b")] == [True, False, True]
    assert len(buckets._levels) == 3
    clock.now += 1
    assert passes("a")


@pytest.mark.parametrize(
    ("rule", "least"),
    [
        (limit(-1), 1),
        (limit(MAX_RATE + 1), 1),
        (limit(1, 0), 1),
        (limit(1, 9), 10),
        (limit(1, MAX_BURST + 1), 1),
    ],
)
def test_limits_that_make_no_sense(rule, least):
    with pytest.raises(ValueError, match="requests_per_ip"):
        rule.check(least)


def test_without_a_rate_the_burst_does_not_matter():
    limit(0, 0).check(10)
