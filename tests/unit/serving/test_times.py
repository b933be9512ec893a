"""Steps of time, in time zones too."""

from datetime import datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from serving.times import cut, moved
from stores.contract import edges

BERLIN = ZoneInfo("Europe/Berlin")


def at(*when: int, zone: ZoneInfo = BERLIN) -> int:
    return int(datetime(*when, tzinfo=zone).timestamp())  # type: ignore[arg-type, misc]


def test_days_begin_at_local_midnight_and_may_have_23_or_25_hours():
    spring = cut(at(2026, 3, 28, 9), at(2026, 3, 30, 9), "1d", "Europe/Berlin", until_now=False)
    assert spring == tuple(at(2026, 3, day) for day in (28, 29, 30, 31))
    assert [b - a for a, b in pairwise(spring)] == [86_400, 82_800, 86_400]
    autumn = cut(at(2026, 10, 25, 9), at(2026, 10, 25, 10), "1d", "Europe/Berlin", until_now=False)
    assert [b - a for a, b in pairwise(autumn)] == [90_000]


def test_a_day_without_midnight_begins_when_it_begins():
    beirut = ZoneInfo("Asia/Beirut")  # in 2022 clocks went from 0:00 to 1:00 on March 27
    found = cut(
        at(2022, 3, 26, zone=beirut),
        at(2022, 3, 28, zone=beirut),
        "1d",
        beirut.key,
        until_now=False,
    )
    assert [b - a for a, b in pairwise(found)] == [86_400, 82_800]


def test_a_skipped_day_is_no_step():
    apia = ZoneInfo("Pacific/Apia")  # had no December 30 in 2011
    found = edges(at(2011, 12, 28, zone=apia), at(2012, 1, 1, zone=apia), 86_400, apia.key)
    assert all(a < b for a, b in pairwise(found))
    assert len(found) == 4


def test_half_hour_zones():
    kolkata = ZoneInfo("Asia/Kolkata")
    found = cut(
        at(2026, 1, 1, zone=kolkata),
        at(2026, 1, 3, zone=kolkata),
        "1d",
        kolkata.key,
        until_now=False,
    )
    assert len(found) == 3
    assert found[0] % 3_600 == 1_800


@pytest.mark.parametrize("granularity", ["1m", "1h", "1d", "total"])
def test_until_now_has_the_step_in_progress(granularity: str):
    noon = at(2026, 5, 5, zone=ZoneInfo("UTC"))
    assert cut(noon - 3_600, noon, granularity, "UTC", until_now=True)[-1] > noon
    assert cut(noon - 3_600, noon, granularity, "UTC", until_now=False)[-1] == noon


def test_yesterday_is_a_local_day_earlier():
    today = (at(2026, 3, 30), at(2026, 3, 31))
    assert moved(today, 1, "1d", "Europe/Berlin") == (at(2026, 3, 29), at(2026, 3, 30))
    assert moved(today, 7, "1d", "Europe/Berlin") == (at(2026, 3, 23), at(2026, 3, 24))
    assert moved((60, 120), 1, "1m", "UTC") == (60 - 86_400, 120 - 86_400)


def test_the_previous_period_ends_where_this_one_begins():
    assert moved((600, 660, 720), None, "1m", "UTC") == (480, 540, 600)
    days = tuple(at(2026, 3, day) for day in (29, 30, 31))
    assert moved(days, None, "1d", "Europe/Berlin") == tuple(
        at(2026, 3, day) for day in (27, 28, 29)
    )
