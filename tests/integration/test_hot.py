"""The hot store on a real Valkey."""

import random
import time
from typing import Any

import numpy as np
import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from events import sketch
from events.sketches import Sketches
from stores import layout
from stores.contract import Slice
from stores.hot import HotStore
from stores.hot_calls import LiveSlice
from stores.hot_reads import HotReader
from stores.pane import (
    ACTIVE,
    FINAL,
    MEASURES,
    MINUTE,
    NONE,
    PARTIAL,
    PULSE,
    REVISED,
    SKETCHED,
    Grouping,
    Pane,
)
from tests.unit.transforms.cubes import cubes
from transforms.cube import Cube, merge

pytestmark = pytest.mark.integration

TODAY = int(time.time()) // 86_400 * 86_400
NOON = TODAY + 86_400 + 43_200  # tomorrow's: what expires is not gone at once


def pane(
    series: dict[tuple[str, ...], int],
    *,
    grouping: Grouping = (),
    start: int = NOON,
    width: int = MINUTE,
    status: int = PARTIAL,
    users: tuple[str, ...] = (),
) -> Pane:
    measures = np.zeros((len(series), len(MEASURES)), np.int64)
    measures[:, 0] = measures[:, 1] = list(series.values())
    hashes = np.array([sketch.user_hash(user) for user in users], np.uint64)
    entries = sketch.from_hashes(hashes)
    return Pane("p", grouping, start, width, status, list(series), measures, entries)


def dump(client: Any) -> dict[bytes, bytes]:
    """Every key with its value, sets sorted."""
    found = {}
    for key in client.scan_iter(count=1000):
        if client.type(key) == b"set":
            found[key] = b"|".join(sorted(client.smembers(key)))
        else:
            found[key] = client.get(key) or b""
    return found


@st.composite
def histories(draw: st.DrawFn) -> list[Pane]:
    """The panes of some growing windows, as a pipeline fires them."""
    panes = []
    windows = ((NOON, MINUTE), (NOON + 60, MINUTE), (NOON, ACTIVE), (NOON + 10, PULSE))
    for start, width in windows:
        for grouping in ((), ("country",)):
            held = Cube()
            for step, part in enumerate(draw(st.lists(cubes(), max_size=4))):
                part.names = part.names if grouping else part.names[:1]
                part.measures = part.measures[: len(part.names)]
                part.users = Sketches(
                    part.users.entries[part.users.entries >> np.uint32(20) < len(part.names)]
                )
                part.names = part.names if grouping else [""] * len(part.names)
                held = merge([held, part])
                series: list[tuple[str, ...]] = [(name,) if grouping else () for name in held.names]
                status = (PARTIAL, FINAL, REVISED, REVISED)[step]
                panes.append(
                    Pane(
                        "p",
                        grouping,
                        start,
                        width,
                        status,
                        series,
                        held.measures,
                        held.users.entries,
                    )
                )
    return panes


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(histories(), st.randoms(use_true_random=False))
def test_any_order_duplication_and_batching_stores_the_same_bytes(
    client: redis.Redis, panes: list[Pane], rng: random.Random
) -> None:
    store = HotStore(client)
    client.flushall()
    store.write(panes)
    expected = dump(client)
    client.flushall()
    shuffled = panes + rng.choices(panes, k=len(panes)) if panes else []
    rng.shuffle(shuffled)
    while shuffled:
        size = rng.randint(1, len(shuffled))
        store.write(shuffled[:size])
        shuffled = shuffled[size:]
    assert dump(client) == expected


def test_a_smaller_count_loses_and_an_equal_one_changes_nothing(client: redis.Redis) -> None:
    store = HotStore(client)
    assert store.write([pane({(): 5})]) == 1
    assert store.write([pane({(): 4})]) == 0
    assert store.write([pane({(): 5})]) == 0
    assert store.series("p", (), (), NOON, NOON + 120)[:, 0].tolist() == [5, 0]


def test_a_series_over_midnight(client: redis.Redis) -> None:
    store = HotStore(client)
    store.write([pane({(): 1}, start=TODAY - 60), pane({(): 2}, start=TODAY)])
    found = store.series("p", (), (), TODAY - 120, TODAY + 120)
    assert found[:, 0].tolist() == [0, 1, 2, 0]


def test_completeness(client: redis.Redis) -> None:
    store = HotStore(client)
    for status, rows in ((PARTIAL, 1), (FINAL, 2), (REVISED, 3), (PARTIAL, 2)):
        store.write([pane({(): rows}, status=status)])
    store.write([pane({(): 7}, start=NOON + 60), pane({(): 7}, start=NOON + 60, status=FINAL)])
    store.write([pane({(): 1}, start=NOON + 120)])
    found = store.status("p", NOON - 60, NOON + 180).tolist()
    assert found == [NONE, REVISED, FINAL, PARTIAL]


def test_a_refresh_after_the_watermark_without_new_rows_is_no_revision(
    client: redis.Redis,
) -> None:
    store = HotStore(client)
    for order in ((FINAL, REVISED), (REVISED, FINAL)):
        client.flushall()
        for status in order:
            store.write([pane({(): 5}, status=status)])
        assert store.status("p", NOON, NOON + 60).tolist() == [FINAL]


def test_series_with_sketches_are_capped(client: redis.Redis) -> None:
    store = HotStore(client, max_sketched=1)
    for value in ("a", "b"):
        store.write(
            [pane({(value,): 1}, grouping=("category",), status=FINAL, users=("ann",))],
        )
    ask = Slice("p", ("category",), (NOON, NOON + 3600), by=("category",))
    assert set(HotReader(store).users(ask)) == {(("a",), 0)}


def test_values_may_hold_anything(client: redis.Redis) -> None:
    store = HotStore(client)
    odd = [("a,b", "x:y"), ("a", "b,x:y"), ("-", ""), ("é %2C\n", "{p}")]
    store.write([pane(dict(zip(odd, (1, 2, 3, 4), strict=True)), grouping=("country", "device"))])
    assert store.members("p", ("country", "device"), NOON, NOON + 60) == sorted(odd)
    rows = store.many("p", ("country", "device"), odd, NOON, NOON + 60)
    assert [int(r[0, 0]) for r in rows] == [1, 2, 3, 4]


def test_series_per_day_are_capped_and_those_admitted_stay(client: redis.Redis) -> None:
    store = HotStore(client, max_series=2)
    store.write([pane({("a",): 1, ("b",): 1, ("c",): 9}, grouping=("category",))])
    store.write([pane({("c",): 10, ("b",): 2}, grouping=("category",))])
    assert store.members("p", ("category",), NOON, NOON + 60) == [("a",), ("b",)]
    assert int(store.series("p", ("category",), ("b",), NOON, NOON + 60)[0, 0]) == 2


def users(store: HotStore, edges: tuple[int, ...], *values: str) -> list[int]:
    """Estimates by step, of the total or of countries."""
    where = (("country", values),) if values else ()
    ask = Slice("p", ("country",) if values else (), edges, where)
    found = HotReader(store).users(ask)
    return [sketch.estimate(found.get(((), i), np.empty(0, np.uint32))) for i in range(ask.steps)]


def test_unique_users_are_unions(client: redis.Redis) -> None:
    store = HotStore(client)
    store.write([pane({(): 1}, users=("ann", "bob"))])
    store.write([pane({(): 1}, start=NOON + 60, users=("bob", "eve"))])
    assert users(store, (NOON, NOON + 60, NOON + 120)) == [2, 2]
    assert users(store, (NOON, NOON + 120)) == [3]
    assert client.pfcount(layout.minute_users_key("p", NOON)) == 2
    hour = layout.hour_users_prefix("p", ()) + f"-:{NOON}"
    assert client.pfcount(hour) == 3
    client.delete(layout.minute_users_key("p", NOON))
    assert users(store, (NOON, NOON + 3600)) == [3]  # whole hours are read as such
    for country, who in (("DE", "ann"), ("US", "eve")):
        store.write([pane({(country,): 1}, grouping=("country",), status=FINAL, users=(who,))])
    assert users(store, (NOON, NOON + 3600), "DE") == [1]
    assert users(store, (NOON, NOON + 3600), "DE", "US") == [2]
    for edges, grouping in (
        ((NOON, NOON + 60), ("country",)),
        ((NOON, NOON + 3600), ("country", "device")),
    ):
        with pytest.raises(ValueError, match="no unions"):
            HotReader(store).users(Slice("p", grouping, edges, by=grouping))


def test_the_store_says_since_when_it_has_everything(client: redis.Redis) -> None:
    store = HotStore(client)
    assert store.since() is None
    store.beat(NOON + 30, since=NOON - 3599)
    assert store.since() == NOON - 3540
    store.beat(NOON + 90, since=NOON + 60)  # a job that starts again, over the same store
    assert store.since() == NOON - 3540
    client.flushall()
    store.beat(NOON + 90)  # the store has lost its memory, the job has not
    assert store.since() == NOON + 180
    assert store.last_seen() == NOON + 90


def test_active_users_fall_when_nobody_comes(client: redis.Redis) -> None:
    store = HotStore(client)
    for start in range(NOON - 240, NOON + 1, 60):
        store.write([pane({(): 1}, start=start, width=ACTIVE, users=("ann",))])
    assert store.active_users("p", (), (), NOON + 59).users == 1
    assert store.active_users("p", (), (), NOON + 240).users == 1
    # A minute without a window yet: that of the minute before.
    assert store.active_users("p", (), (), NOON + 359).users == 1
    assert store.active_users("p", (), (), NOON + 360).users == 0


@pytest.mark.parametrize("grouping", [(), ("country",), ("country", "device")])
def test_what_a_live_feed_reads_at_once_is_what_the_single_reads_are(
    client: redis.Redis, grouping: Grouping
) -> None:
    store = HotStore(client)
    values = ("DE", "tv")[: len(grouping)]
    now = TODAY + 86_400 + 150  # the day before has most of the minutes
    for start in (TODAY + 86_000 // 60 * 60, TODAY + 86_400):
        store.write([pane({values: 7}, grouping=grouping, start=start, status=FINAL)])
        store.write([pane({(): 9}, start=start, status=FINAL)])
    store.write([pane({values: 2}, grouping=grouping, start=now - 20, width=PULSE)])
    active: dict[str, Any] = {
        "grouping": grouping,
        "start": now - 270,
        "width": ACTIVE,
        "users": ("a", "b"),
    }
    if grouping in SKETCHED:
        store.write([pane({values: 1}, **active)])
    store.beat(now, lost=now - 5)
    start, end, pulses = now - 150 + 60 - 86_400, now + 30, (now - 30, now)
    found = store.live(LiveSlice("p", grouping, values, start + 120, start, end, pulses, now))
    minutes = store.series("p", grouping, values, start + 120, end)
    assert minutes[:, 0].sum() == (14 if grouping else 18)
    assert (found.minutes == minutes).all()
    assert (found.status == store.status("p", start, end)).all()
    assert np.count_nonzero(found.status) == 2
    assert found.job == store.job() == (now, now - 5)
    if grouping not in SKETCHED:
        assert (found.active, found.pulses) == (None, None)
        return
    assert found.active is not None
    assert (
        sketch.estimate(found.active) == store.active_users("p", grouping, values, now).users == 2
    )
    assert found.pulses is not None
    assert found.pulses[:, 0].tolist() == [0, 2, 0]
    assert (found.pulses == store.pulse("p", grouping, values, *pulses)).all()


def test_pulse_and_heartbeat(client: redis.Redis) -> None:
    store = HotStore(client)
    store.write([pane({(): 7}, start=NOON + 10, width=PULSE)])
    assert store.pulse("p", (), (), NOON, NOON + 30)[:, 0].tolist() == [0, 7, 0]
    assert store.last_beat() is None
    assert store.job() == (None, None)
    store.beat(1234.5)
    assert store.last_beat() == 1234
    assert store.job() == (1234, None)
    store.beat(1235.5, lost=1230)
    assert store.job() == (1235, 1230)
    assert 0 < client.ttl("sl:job:lost") <= 15  # nobody needs to say that it is over


def test_how_far_readers_are_is_known_while_they_live(client: redis.Redis) -> None:
    store = HotStore(client)
    store.note_watermark((0, 2), 7_000, 1_000.0)
    store.note_watermark((1, 3), None, 1_020.0)
    store.note_watermark((2,), 5_000, 1_010.0)
    assert store.watermarks(1_020.0) == {0: 7_000, 1: 0, 2: 5_000, 3: 0}
    assert store.watermarks(1_035.0) == {1: 0, 2: 5_000, 3: 0}


def test_why_the_job_stopped_is_known_until_it_lives_again(client: redis.Redis) -> None:
    store = HotStore(client)
    assert store.stopped() is None
    store.beat(1_000.0)
    store.stop(1_000.0, "too many dead letters")
    store.beat(1_010.0)  # another worker, which has not heard of it
    assert store.stopped() == "too many dead letters"
    store.beat(1_031.0)
    assert store.stopped() is None


def test_pulses_are_kept_for_minutes_not_for_a_day(client: redis.Redis) -> None:
    store = HotStore(client)
    now = int(time.time()) // 600 * 600
    for start in (now + 590, now + 600):
        store.write([pane({(): 7}, start=start, width=PULSE)])
    assert store.pulse("p", (), (), now + 580, now + 620)[:, 0].tolist() == [0, 7, 7, 0]
    key = next(k for k in client.scan_iter(match="*:s:10:*") if client.strlen(k) > 1_000)
    assert client.strlen(key) == 60 * layout.RECORD.itemsize
    assert 0 < client.ttl(key) <= 1_800


def test_every_key_expires_and_changes_are_announced(client: Any) -> None:
    store = HotStore(client)
    with client.pubsub() as listening:
        listening.subscribe(layout.channel("p"))
        assert listening.get_message(timeout=5)
        store.write([pane({(): 1}, users=("ann",)), pane({("DE",): 1}, grouping=("country",))])
        store.write([pane({(): 1}, width=ACTIVE, users=("ann",))])
        message = listening.get_message(timeout=5)
    assert message is not None
    assert message["data"] == layout.announcement([NOON], [(), ("country",)])
    keys = list(client.scan_iter())
    assert len(keys) == 10
    assert all(client.ttl(key) > 0 for key in keys)


def test_a_value_that_looks_like_the_total_is_none(client: redis.Redis) -> None:
    store = HotStore(client)
    store.write([pane({("-",): 3}, grouping=("category",))])
    assert store.members("p", ("category",), NOON, NOON + 60) == [("-",)]
    assert int(store.series("p", ("category",), ("-",), NOON, NOON + 60)[0, 0]) == 3


def test_projects_do_not_meet(client: redis.Redis) -> None:
    store = HotStore(client)
    store.write([pane({(): 5})])
    assert not store.series("q", (), (), NOON, NOON + 60).any()
    assert not store.members("q", (), NOON, NOON + 60)
