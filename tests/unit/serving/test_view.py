"""A view: deltas hold only what changed and make the snapshot; the figures of now."""

import json
from typing import Any, cast

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from serving.projects import DEMO
from serving.shape import METRICS, Shape
from serving.view import RESUME_MARGIN, View
from stores.hot import HotStore
from stores.pane import FINAL, PARTIAL, PULSE
from tests.unit.serving.stores import MemoryStore

NOW = 1_750_000_030.0
MINUTE = 1_750_000_020


def view(store: MemoryStore, **filters: str) -> View:
    return View(cast(HotStore, store), DEMO, tuple(filters.items()))


def read(shown: View, now: float = NOW, since: int | None = None) -> dict[str, Any]:
    shown.read(now, since)
    return cast(dict[str, Any], json.loads(shown.delta()))


def test_a_snapshot_is_24_hours():
    store = MemoryStore()
    store.put(MINUTE, rows=5, bots=1, purchases=1, revenue_micros=2_500_000, status=PARTIAL)
    shown = view(store)
    read(shown)
    snapshot = json.loads(shown.snapshot())
    assert len(snapshot["time"]) == len(snapshot["events"]) == 1_440
    at = snapshot["time"].index(MINUTE)
    assert (snapshot["events"][at], snapshot["revenue"][at]) == (4, 2.5)
    assert snapshot["status"][at] == "partial"
    assert snapshot["time"] == list(range(MINUTE - 86_340, MINUTE + 60, 60))


def test_a_delta_has_only_what_changed():
    store = MemoryStore()
    store.put(MINUTE - 60, rows=5)
    store.put(MINUTE, rows=1, status=PARTIAL)
    shown = view(store)
    first = read(shown)
    store.put(MINUTE, rows=3, status=PARTIAL)
    second = read(shown)
    assert (second["time"], second["events"]) == ([MINUTE], [3])
    assert second["seq"] == first["seq"] + 1
    assert read(shown)["time"] == []
    store.put(MINUTE, rows=3, status=FINAL)  # complete, with the same numbers
    assert read(shown)["status"] == ["final"]


def test_what_a_failed_read_had_seen_is_in_the_next_delta():
    store = MemoryStore()
    shown = view(store)
    read(shown)
    store.put(MINUTE, rows=3)
    store.away = True
    with pytest.raises(redis.ConnectionError):
        read(shown)
    store.away = False
    assert read(shown)["events"] == [3]


def test_deltas_make_the_snapshot_of_later():
    store = MemoryStore()
    shown = view(store)
    seen: dict[int, int] = {}
    for step in range(30):
        now = NOW + 20 * step
        store.put(int(now) // 60 * 60, rows=step + 1)
        delta = read(shown, now)
        seen |= dict(zip(delta["time"], delta["events"], strict=True))
    snapshot = json.loads(shown.snapshot())
    whole = dict(zip(snapshot["time"], snapshot["events"], strict=True))
    assert {time: n for time, n in seen.items() if n} == {t: n for t, n in whole.items() if n}


def test_now():
    store = MemoryStore()
    store.active[(), ()] = 12
    store.beats = 99
    for back in range(70):
        store.put(MINUTE - 60 * back, rows=10, errors=1, revenue_micros=1_000_000)
    for at in range(MINUTE - 40, MINUTE + 20, PULSE):
        store.put(at, rows=50, width=PULSE)
    message = read(view(store))
    assert message["now"] == {
        "active_users": 12,
        "active_users_error": 0.1,
        "events_per_second": 5.0,
        "revenue_per_hour": 60.0,
        "error_rate": 0.1,
    }
    assert message["job"] == {"alive": True, "last_beat": 99, "log_lost_since": None}
    store.active.clear()
    store.beats = None
    later = read(view(store), NOW + 3_000)
    assert later["now"]["active_users"] == 0
    assert later["now"]["events_per_second"] == 0
    assert later["now"]["revenue_per_hour"] == 10.0  # ten minutes of it are in the last hour
    assert later["now"]["error_rate"] is None
    assert later["job"]["alive"] is False


def test_when_nothing_comes_any_more_the_figures_of_now_fall():
    store = MemoryStore()
    store.active[(), ()] = 12
    store.ended = NOW + 300
    for back in range(5):
        store.put(MINUTE - 60 * back, rows=10, errors=1, revenue_micros=1_000_000)
    for at in range(MINUTE - 40, MINUTE + 20, PULSE):
        store.put(at, rows=50, width=PULSE)
    shown = view(store)
    seen = [read(shown, NOW + 60 * later, int(NOW) + 60 * later)["now"] for later in range(66)]
    assert [now["active_users"] for now in seen[:7]] == [12, 12, 12, 12, 12, 0, 0]
    assert [now["events_per_second"] for now in seen[:2]] == [5.0, 0.0]
    assert [now["error_rate"] for now in seen[:6]] == [0.1, 0.1, 0.1, 0.1, 0.1, None]
    hours = [now["revenue_per_hour"] for now in seen]
    assert (hours[0], hours[-1]) == (5.0, 0.0)
    assert hours == sorted(hours, reverse=True)


SHAPES = st.builds(
    Shape,
    st.lists(st.sampled_from(METRICS), min_size=1, unique=True).map(tuple),
    st.just(()),
    st.just(False),
)


@given(SHAPES)
def test_a_shape_leaves_columns_out_and_changes_none(shape: Shape):
    store = MemoryStore()
    store.put(MINUTE, rows=9, bots=2, page_views=3, clicks=1, revenue_micros=5)
    shown = view(store)
    shown.read(NOW)
    whole = json.loads(shown.snapshot(Shape(METRICS)))
    some = json.loads(shown.snapshot(shape))
    assert set(METRICS) & set(some) == set(shape.metrics)
    assert some == {name: whole[name] for name in some}
    assert set(whole) - set(some) == set(METRICS) - set(shape.metrics)


def test_two_filters_have_no_active_users():
    now = read(view(MemoryStore(), country="US", device="tv"))["now"]
    assert now["active_users"] is None


def test_a_minute_that_was_ahead_comes_when_it_has_begun():
    store = MemoryStore()
    store.put(MINUTE + 60, rows=2, status=PARTIAL)
    shown = view(store)
    assert read(shown)["time"] == []
    assert read(shown, NOW + 60)["time"] == [MINUTE + 60]


@given(
    st.lists(
        st.tuples(
            st.integers(0, 400),  # seconds until the next read
            st.lists(st.tuples(st.integers(-3, 1_500), st.sampled_from([PARTIAL, FINAL]))),
        ),
        max_size=12,
    )
)
def test_what_is_read_from_the_first_news_on_is_what_all_would_be(
    steps: list[tuple[int, list[tuple[int, int]]]],
):
    store = MemoryStore()
    some, every = view(store), view(store)
    now, rows = NOW, 0
    for wait, changes in steps:
        now += wait
        minutes = [int(now) // 60 * 60 - back * 60 for back, _ in changes]
        for minute, (_, status) in zip(minutes, changes, strict=True):
            rows += 1
            store.put(minute, rows=rows, status=status)
        since = min(minutes, default=int(now))
        delta, whole = read(some, now, since), read(every, now)
        assert delta == whole
        assert some.snapshot() == every.snapshot()


def test_only_minutes_with_news_are_read():
    store = MemoryStore()
    shown = view(store)
    read(shown)
    store.spans.clear()
    shown.read(NOW + 60, MINUTE - 120)
    assert store.spans == [(MINUTE - 120, MINUTE + 120)]


def test_a_gap_is_what_has_changed_since_and_unknown_before_the_first_read():
    store = MemoryStore()
    shown = view(store)
    store.put(MINUTE - 600, rows=9)
    read(shown)
    assert shown.gap(NOW) is None  # another process may have seen less of what was before
    store.put(MINUTE - 300, rows=1)
    read(shown, NOW + 20)
    store.put(MINUTE - 120, rows=2)
    read(shown, NOW + 60)
    assert gap(shown, NOW + RESUME_MARGIN + 1) == {MINUTE - 300: 1, MINUTE - 120: 2}
    assert gap(shown, NOW + 20 + RESUME_MARGIN + 1) == {MINUTE - 120: 2}
    assert gap(shown, NOW + 1_000_000) == {MINUTE - 120: 2}  # its clock is no matter of ours
    later = NOW + 3_000
    read(shown, later)
    assert gap(shown, NOW + 20) == {MINUTE - 300: 1, MINUTE - 120: 2}
    assert gap(shown, later) == {}


def gap(shown: View, since: float) -> dict[int, int]:
    """The minutes of a gap."""
    message = json.loads(shown.gap(since) or b"")
    assert message["type"] == "delta"
    return dict(zip(message["time"], message["events"], strict=True))
