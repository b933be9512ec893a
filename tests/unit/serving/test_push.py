"""Feeds: one read and one encoding for all sockets, bounded queues, and a good end."""

import json
from contextlib import nullcontext
from typing import Any, cast

import gevent
import pytest
from gevent.queue import Empty, Queue
from hypothesis import given
from hypothesis import strategies as st

from serving.projects import DEMO
from serving.push import LEAST, MESSAGES, QUEUE, Feed, Hub, Leaving, Overrun, Subscriber, pause
from serving.view import View
from stores import layout
from stores.hot import HotStore
from tests.unit.serving.stores import MemoryStore


def view(store: MemoryStore, **filters: str) -> View:
    return View(cast(HotStore, store), DEMO, tuple(filters.items()))


def payload(frame: bytes | None) -> dict[str, Any]:
    assert frame is not None
    return cast(dict[str, Any], json.loads(frame[frame.index(b"{") :]))


def test_sockets_share_one_read_and_one_frame():
    store = MemoryStore()
    feed = Feed(view(store), refresh=0.05)
    places = [Subscriber(feed) for _ in range(3)]
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
    place = Subscriber(feed)
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
    first = Subscriber(feed)
    feed.add(first)
    running = gevent.spawn(feed.run)
    assert until(first, "snapshot") == ["snapshot"]
    store.away = True
    until(first, "error")
    second = Subscriber(feed)
    feed.add(second)
    assert until(second, "error") == ["snapshot", "error"]
    store.away = False
    assert set(until(second, "delta")) <= {"error", "delta"}
    for place in (first, second):
        place.leave()
    running.join(5)
    assert running.dead


def test_one_that_is_behind_gets_a_snapshot_and_one_that_stays_behind_is_closed():
    place = Subscriber(Feed(view(MemoryStore()), 1.0))
    for _ in range(QUEUE + 1):
        place.put(b"delta", lambda: b"snapshot")
    assert place.take() == b"snapshot"
    assert place.take() is None  # caught up
    for _ in range(2 * QUEUE + 1):
        place.put(b"delta", lambda: b"snapshot")
    with pytest.raises(Overrun):
        place.take()


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
    place = Subscriber(feed)
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
    places = [hub.join(DEMO, {}), hub.join(DEMO, {"country": "DE"})]
    for place in places:
        assert until(place, "snapshot") == ["snapshot"]
        assert place.take() is None
    client.announce(project, data)
    for place, woken in zip(places, (total, country), strict=True):
        assert place.arrived.wait(5.0 if woken else 2 * LEAST) is woken
    hub.stop()


def test_all_are_let_go_at_the_end():
    feed = Feed(view(MemoryStore()), 1.0)
    place = Subscriber(feed)
    feed.add(place)
    feed.stop()
    assert place.arrived.is_set()
    with pytest.raises(Leaving):
        place.take()
