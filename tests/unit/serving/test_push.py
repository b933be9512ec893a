"""Feeds: one read and one encoding for all sockets, bounded queues, and a good end."""

import json
import time
from contextlib import nullcontext
from typing import Any, cast

import gevent
import pytest
from gevent.event import Event
from gevent.queue import Empty, Queue
from hypothesis import given
from hypothesis import strategies as st

from serving.projects import DEMO
from serving.push import (
    LEAST,
    MESSAGES,
    QUEUE,
    RESTING,
    Feed,
    Hub,
    Leaving,
    Overrun,
    Subscriber,
    pause,
)
from serving.view import View
from stores import layout
from stores.hot import HotStore
from tests.unit.serving.stores import MemoryStore


def view(store: MemoryStore, **filters: str) -> View:
    return View(cast(HotStore, store), DEMO, tuple(filters.items()))


def queued(_: bytes) -> bool:
    """A socket that is written to by its own greenlet only."""
    return False


def payload(frame: bytes | None) -> dict[str, Any]:
    assert frame is not None
    return cast(dict[str, Any], json.loads(frame[frame.index(b"{") :]))


def test_sockets_share_one_read_and_one_frame():
    store = MemoryStore()
    feed = Feed(view(store), refresh=0.05)
    places = [Subscriber(feed, queued, Event()) for _ in range(3)]
    for place in places:
        feed.add(place)
    running = gevent.spawn(feed.run)
    assert all(place.arrived.wait(5) for place in places)
    before = store.reads
    frames = [place.take() for place in places]
    assert payload(frames[0])["type"] == "snapshot"
    assert frames[0] is frames[1] is frames[2]
    assert before == 2  # the series and the pulse
    assert all(place.take() is None for place in places)
    assert all(place.arrived.wait(5) for place in places)
    assert payload(places[0].take())["type"] == "delta"
    for place in places:
        place.leave()
    running.join(5)
    assert running.dead


def test_a_store_that_is_away_is_said_and_then_goes_on():
    store = MemoryStore()
    store.away = True
    feed = Feed(view(store), refresh=0.02)
    place = Subscriber(feed, queued, Event())
    feed.add(place)
    running = gevent.spawn(feed.run)
    assert place.arrived.wait(5)
    said = payload(place.take())
    assert (said["type"], said["code"]) == ("error", "store_unavailable")
    store.away = False
    assert set(until(place, "snapshot")) <= {"error", "snapshot"}
    place.leave()
    running.join(5)
    assert running.dead


def until(place: Subscriber, kind: str) -> list[str]:
    """The kinds of the messages up to the first one of `kind`."""
    found: list[str] = []
    with gevent.Timeout(5):
        while kind not in found:
            frame = place.take()
            if frame is None:
                place.arrived.wait()
            else:
                found.append(payload(frame)["type"])
    return found


def test_one_that_comes_while_the_store_is_away_gets_the_last_numbers_and_is_told():
    store = MemoryStore()
    feed = Feed(view(store), refresh=0.02)
    first = Subscriber(feed, queued, Event())
    feed.add(first)
    running = gevent.spawn(feed.run)
    assert until(first, "snapshot") == ["snapshot"]
    store.away = True
    until(first, "error")
    second = Subscriber(feed, queued, Event())
    feed.add(second)
    assert until(second, "error") == ["snapshot", "error"]
    store.away = False
    assert set(until(second, "delta")) <= {"error", "delta"}
    for place in (first, second):
        place.leave()
    running.join(5)
    assert running.dead


def test_one_that_is_behind_gets_a_snapshot_and_one_that_stays_behind_is_closed():
    place = Subscriber(Feed(view(MemoryStore()), 1.0), queued, Event())
    for _ in range(QUEUE + 1):
        place.put(b"delta", lambda: b"snapshot")
    assert place.take() == b"snapshot"
    assert place.take() is None  # caught up
    for _ in range(2 * QUEUE + 1):
        place.put(b"delta", lambda: b"snapshot")
    with pytest.raises(Overrun):
        place.take()


def test_one_that_takes_frames_at_once_has_no_queue_and_is_never_overtaken():
    taken: list[bytes] = []
    willing = [True, False, True, True]

    def push(frame: bytes) -> bool:
        takes = willing.pop(0)
        taken.extend([frame] * takes)
        return takes

    place = Subscriber(Feed(view(MemoryStore()), 1.0), push, Event())
    for frame in (b"1", b"2", b"3"):
        place.put(frame, lambda: b"snapshot")
    assert (taken, place.arrived.is_set()) == ([b"1"], True)
    assert [place.take() for _ in range(3)] == [b"2", b"3", None]
    place.put(b"4", lambda: b"snapshot")
    assert taken == [b"1", b"4"]


def test_a_day_is_read_at_first_then_what_has_news_and_all_when_that_is_unknown():
    store = MemoryStore()
    feed = Feed(view(store), refresh=0.02)
    place = Subscriber(feed, queued, Event())
    feed.add(place)
    running = gevent.spawn(feed.run)
    assert until(place, "snapshot") == ["snapshot"]
    store.spans.clear()
    assert until(place, "delta") == ["delta"]
    assert len({end - start for start, end in store.spans} & {60, 120}) == 1
    feed.note(int(time.time()) // 60 * 60 - 600)
    store.spans.clear()
    until(place, "delta")
    until(place, "delta")
    assert {end - start for start, end in store.spans} & {660, 720}
    feed.note(None)
    store.spans.clear()
    until(place, "delta")
    until(place, "delta")
    assert 86_400 in {end - start for start, end in store.spans}
    place.leave()
    running.join(5)


def test_one_that_comes_back_gets_the_gap_when_it_is_known_and_else_a_snapshot():
    feed = Feed(view(MemoryStore()), refresh=0.02)
    first = Subscriber(feed, queued, Event())
    feed.add(first)
    running = gevent.spawn(feed.run)
    until(first, "delta")
    now = time.time()
    for since, kind in ((now, "snapshot"), (now + 10_000, "snapshot")):
        back = Subscriber(feed, queued, Event(), since)
        feed.add(back)
        assert until(back, kind) == [kind]  # this feed is younger than what the client has
        back.leave()
    feed.view._first -= 60.0
    back = Subscriber(feed, queued, Event(), now)
    feed.add(back)
    assert until(back, "delta") == ["delta"]
    for place in (first, back):
        place.leave()
    running.join(5)


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


@pytest.mark.parametrize(("sockets", "within", "shown"), [(1, 5.0, True), (10_000, 0.3, False)])
def test_news_right_after_a_read_comes_soon_to_few_sockets_and_later_to_a_crowd(
    sockets: int, within: float, shown: bool
):
    feed = Feed(view(MemoryStore()), 40.0, lambda: sockets)
    place = Subscriber(feed, queued, Event())
    feed.add(place)
    running = gevent.spawn(feed.run)
    assert until(place, "snapshot") == ["snapshot"]
    feed.wake.set()
    assert place.take() is None
    assert place.arrived.wait(within) is shown
    gevent.kill(running)


class Announcements:
    """A Redis client that says what a test puts in."""

    def __init__(self) -> None:
        self.messages: Queue[dict[str, bytes]] = Queue()

    def pubsub(self, **_: Any) -> Any:
        return nullcontext(self)

    def psubscribe(self, pattern: str) -> None:
        assert pattern == "sl:announce:*"

    def get_message(self, timeout: float) -> dict[str, bytes] | None:
        try:
            return cast(dict[str, bytes], self.messages.get(timeout=timeout))
        except Empty:
            return None

    def announce(self, project: str, data: bytes) -> None:
        self.messages.put({"channel": layout.channel(project).encode(), "data": data})


@pytest.mark.parametrize(
    ("project", "data", "total", "country"),
    [
        ("demo", layout.announcement([60], [()]), True, False),
        ("demo", layout.announcement([60], [("country",)]), False, True),
        ("demo", layout.announcement([60], [("country", "device")]), False, False),
        ("demo", b'{"minutes":[60]}', True, True),
        ("other", layout.announcement([60], [(), ("country",)]), False, False),
    ],
)
def test_a_feed_is_woken_by_news_of_its_grouping_set(
    project: str, data: bytes, total: bool, country: bool
):
    client = Announcements()
    hub = Hub(cast(HotStore, MemoryStore()), client, 40.0)
    filters: list[dict[str, str]] = [{}, {"country": "DE"}]
    places = [hub.join(DEMO, chosen, queued, Event()) for chosen in filters]
    for place in places:
        assert until(place, "snapshot") == ["snapshot"]
        assert place.take() is None
    client.announce(project, data)
    for place, woken in zip(places, (total, country), strict=True):
        assert place.arrived.wait(5.0 if woken else 2 * LEAST) is woken
    hub.stop()


def test_when_all_come_back_what_they_missed_is_known_of_the_latest_views():
    hub = Hub(cast(HotStore, MemoryStore()), Announcements(), 40.0)

    def visit(country: str, since: float | None = None) -> str:
        place = hub.join(DEMO, {"country": country}, queued, Event(), since)
        with gevent.Timeout(5):
            while (frame := place.take()) is None:
                place.arrived.wait()
        place.leave()
        next(iter(hub._feeds.values())).wake.set()
        while hub._feeds:
            gevent.sleep(0.01)
        return cast(str, payload(frame)["type"])

    visit("DE")
    hub._resting["demo", (("country", "DE"),)]._first -= 60.0
    assert visit("DE", time.time()) == "delta"
    for number in range(RESTING):
        visit(str(number))
    assert len(hub._resting) == RESTING
    assert visit("DE", time.time()) == "snapshot"


def test_all_are_let_go_at_the_end():
    feed = Feed(view(MemoryStore()), 1.0)
    place = Subscriber(feed, queued, Event())
    feed.add(place)
    feed.stop()
    assert place.arrived.is_set()
    with pytest.raises(Leaving):
        place.take()
