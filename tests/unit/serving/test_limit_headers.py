"""What answers say of limits, in the form of the draft."""

import re

from hypothesis import given
from hypothesis import strategies as st

from serving.limit_headers import limit_field, policy_field, refusal, whole_seconds
from serving.limits import MICRO, Ask, Limit, Taken

BY_IP = Limit("service", "requests_per_ip", 200, 2_000)
EVENTS = Limit("collector", "events_per_key", 3, 1_000, "events")
# A list of strings with integer or string parameters: RFC 9651, as far as the draft needs it.
ITEM = r'"[a-z_]+"(;[a-z]+=(\d{1,15}|"[a-z-]+"))+'
LIST = re.compile(rf"{ITEM}(, {ITEM})*\Z")


def test_policies():
    said = policy_field([BY_IP, EVENTS])
    assert said == '"requests_per_ip";q=2000;w=10, "events_per_key";q=1000;w=334;qu="events"'
    assert LIST.match(said)


def test_what_is_left_is_what_will_pass():
    ask = Ask(BY_IP, "w", 10, 1)
    assert limit_field([ask], [Taken(1, 0, 1_999 * MICRO)]) == '"requests_per_ip";r=1990'
    assert limit_field([ask], [Taken(1, 0, 10 * MICRO)]) == '"requests_per_ip";r=1'
    assert limit_field([ask], [Taken(1, 0, 9 * MICRO)]) == '"requests_per_ip";r=0;t=1'


@given(st.integers(0, 10**9), st.integers(1, 1_000), st.integers(1, 10**6))
def test_the_field_is_a_list_and_names_no_earlier_time_than_retry_after(left, least, rate):
    ask = Ask(Limit("p", "events_per_key", rate, 10**6), "w", least, least)
    said = limit_field([ask, ask], [Taken(0, 0, left)] * 2)
    assert LIST.match(said)
    short = least * MICRO - left
    if short > 0:
        assert said.endswith(f"r=0;t={whole_seconds(-(-short // rate))}")


def test_a_refusal_names_the_setting_and_its_value():
    error = refusal(BY_IP, 1_200_001)
    assert (error.status, error.code) == (429, "rate_limited")
    assert b"requests_per_ip is 200 a second, 2000 at once." in error.body()
    assert dict(error.headers) == {
        b"retry-after": b"2",
        b"ratelimit-policy": b'"requests_per_ip";q=2000;w=10',
        b"ratelimit": b'"requests_per_ip";r=0;t=2',
    }


@given(st.integers(1, 10**9))
def test_seconds_are_enough_and_at_least_one(wait):
    assert whole_seconds(wait) * MICRO >= wait
    assert whole_seconds(wait) == 1 or (whole_seconds(wait) - 1) * MICRO < wait
