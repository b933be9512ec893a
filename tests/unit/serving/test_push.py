"""The hub: who gets which feed, what wakes it, and what all sockets are told."""

import time
from contextlib import nullcontext
from typing import Any, cast

import gevent
import pytest
from gevent.event import Event
from gevent.queue import Empty, Queue

from serving.notices import LATEST, SOONEST, reconnect_within
from serving.pace import LEAST, STRAINED_LOOKS
from serving.projects import DEMO
from serving.push import RESTING, Hub
from serving.shape import Shape
from serving.subscriber import Leaving
from stores import layout
from stores.hot import HotStore
from tests.unit.serving.feeds import coming, payload, queued, until
from tests.unit.serving.stores import MemoryStore


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


def strain(hub: Hub) -> None:
    """Passes that take longer than a refresh."""
    for _ in range(STRAINED_LOOKS):
        hub._pace._looked -= 100.0
        hub._pace.passed(time.monotonic() - 99.0)


def rest(hub: Hub) -> None:
    """Passes that take no time."""
    while hub._pace.degraded:
        hub._pace._looked -= 100.0
        hub._pace.passed(time.monotonic())


def test_all_are_told_once_of_a_slower_pace_and_who_comes_meanwhile_too():
    hub = Hub(cast(HotStore, MemoryStore()), Announcements(), 4.0)
    taken: list[bytes] = []

    def push(frame: bytes) -> bool:
        taken.append(frame)
        return True

    hub.join(DEMO, {}, push, Event())
    place = hub.join(DEMO, {"country": "DE"}, queued, Event(), None, Shape(("events",)))
    assert until(place, "snapshot") == ["snapshot"]
    strain(hub)
    slow = {"type": "announce", "reason": "degraded", "refresh_seconds": 8.0}
    assert coming(place) == slow
    assert [payload(frame) for frame in taken if b"announce" in frame] == [slow]
    late = hub.join(DEMO, {}, queued, Event())
    assert coming(late) == slow
    rest(hub)
    usual = {"type": "announce", "reason": "normal", "refresh_seconds": 4.0}
    assert coming(place) == usual
    assert [payload(frame) for frame in taken if b"announce" in frame] == [slow, usual]
    assert until(late, "announce")[-1] == "announce"
    untold = hub.join(DEMO, {}, queued, Event())
    assert coming(untold)["type"] == "snapshot"
    hub.stop()


def test_all_are_let_go_and_told_when_to_come_back():
    hub = Hub(cast(HotStore, MemoryStore()), Announcements(), 40.0)
    places = [hub.join(DEMO, {"country": name}, queued, Event()) for name in ("DE", "US")]
    hub.stop()
    for place in places:
        assert place.arrived.is_set()
        with pytest.raises(Leaving) as left:
            place.take()
        assert left.value.within == SOONEST


def test_the_more_sockets_the_longer_they_take_to_come_back():
    assert [reconnect_within(n) for n in (0, 1, 1_000, 1_001, 10_000, 1_000_000)] == [
        *(SOONEST, SOONEST, SOONEST, 3, 20),
        LATEST,
    ]
