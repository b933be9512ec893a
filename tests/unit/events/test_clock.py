from hypothesis import given
from hypothesis import strategies as st

from events import limits
from events.clock import event_time

NOW = 1_750_000_000_000
TIMES = st.integers(limits.MIN_TS_MS, limits.MAX_TS_MS)
MINUTE = 60_000


def test_a_right_clock_changes_nothing():
    assert event_time(NOW - 1_234, NOW - 20, NOW) == NOW - 1_234


def test_a_skew_of_five_minutes_is_still_right():
    assert event_time(NOW - 5 * MINUTE, NOW - 5 * MINUTE, NOW) == NOW - 5 * MINUTE


def test_a_clock_an_hour_behind_is_corrected_by_an_hour():
    sent = NOW - 60 * MINUTE - 700
    assert event_time(sent - 3_000, sent, NOW) == NOW - 700 - 3_000


def test_a_clock_an_hour_ahead_is_corrected_by_an_hour():
    sent = NOW + 60 * MINUTE + 900
    assert event_time(sent - 3_000, sent, NOW) == NOW + 900 - 3_000


def test_the_future_is_now():
    assert event_time(NOW + MINUTE, None, NOW) == NOW + MINUTE
    assert event_time(NOW + MINUTE + 1, None, NOW) == NOW


def test_a_sending_time_in_seconds_is_ignored():
    assert event_time(NOW - 5, NOW // 1_000, NOW) == NOW - 5


@given(TIMES, st.none() | st.integers(-(2**63), 2**63), TIMES)
def test_the_result_is_in_range_and_moved_by_whole_steps(ts, sent_at, received_at):
    result = event_time(ts, sent_at, received_at)
    assert limits.MIN_TS_MS <= result <= received_at + limits.FUTURE_TOLERANCE_MS
    clamped = result in (received_at, limits.MIN_TS_MS)
    assert clamped or (result - ts) % limits.SKEW_STEP_MS == 0


@given(TIMES, st.integers(-limits.SKEW_THRESHOLD_MS, limits.SKEW_THRESHOLD_MS), TIMES)
def test_a_small_skew_corrects_nothing(ts, skew, received_at):
    assert event_time(ts, received_at + skew, received_at) == event_time(ts, None, received_at)


@given(st.integers(NOW - 10**9, NOW), st.integers(-(10**10), 10**10), st.integers(0, 30_000))
def test_a_corrected_time_is_near_the_true_one(happened, skew, delay):
    """The sender's clock is off by `skew`; the network takes up to half a minute."""
    received = happened + delay
    result = event_time(happened + skew, happened + skew, received)
    if abs(skew - delay) > limits.SKEW_THRESHOLD_MS:
        assert abs(result - happened) <= limits.SKEW_STEP_MS // 2 + delay + MINUTE
