"""Feeds: one read for all sockets, one encoding for all that want the same, and a good end."""

import time
from typing import cast

import gevent
import pytest
from gevent.event import Event

from serving.feed import Feed
from serving.pace import Pace
from serving.shape import Shape
from serving.subscriber import Leaving, Subscriber
from tests.unit.serving.feeds import coming, payload, queued, until, view
from tests.unit.serving.stores import MemoryStore


def test_sockets_share_one_read_and_one_frame():
    store = MemoryStore()
    feed = Feed(view(store), Pace(0.05))
    places = [Subscriber(feed, queued, Event()) for _ in range(3)]
    for place in places:
        feed.add(place)
    running = gevent.spawn(feed.run)
    assert all(place.arrived.wait(5) for place in places)
    before = store.reads
    frames = [place.take() for place in places]
    assert payload(frames[0])["type"] == "snapshot"
    assert frames[0] is frames[1] is frames[2]
    assert before == 1
    assert all(place.take() is None for place in places)
    assert all(place.arrived.wait(5) for place in places)
    assert payload(places[0].take())["type"] == "delta"
    for place in places:
        place.leave()
    running.join(5)
    assert running.dead


def test_one_that_comes_right_after_a_read_gets_what_that_had_and_what_follows():
    store = MemoryStore()
    store.put(1_750_000_020, rows=4)
    feed = Feed(view(store), Pace(0.4), lambda: 1_750_000_030.0)
    first = Subscriber(feed, queued, Event())
    feed.add(first)
    running = gevent.spawn(feed.run)
    assert until(first, "snapshot") == ["snapshot"]
    reads = store.reads
    several = [Subscriber(feed, queued, Event()) for _ in range(3)]
    for one in several:
        feed.add(one)
    frames = [one.take() for one in several]
    assert frames[0] is frames[1] is frames[2]
    assert payload(frames[0])["type"] == "snapshot"
    assert store.reads == reads
    asks_more = Subscriber(feed, queued, Event(), shape=Shape(dimensions=("country",)))
    feed.add(asks_more)
    assert asks_more.take() is None  # that was not read
    store.put(1_750_000_020, rows=9)
    news = coming(several[0])
    assert (news["type"], news["events"]) == ("delta", [9])
    assert news["seq"] > payload(frames[0])["seq"]
    assert coming(asks_more)["top"]
    store.away = True
    until(first, "error")
    late = Subscriber(feed, queued, Event())
    feed.add(late)  # what was read last is of long ago
    assert until(late, "error") == ["snapshot", "error"]
    gevent.kill(running)


def test_sockets_of_several_shapes_share_the_read_and_those_of_one_shape_the_frame():
    store = MemoryStore()
    feed = Feed(view(store), Pace(40.0))
    shapes = [Shape(), Shape(("events",)), Shape(("events",)), Shape(dimensions=("country",))]
    places = [Subscriber(feed, queued, Event(), shape=shape) for shape in shapes]
    for place in places:
        feed.add(place)
    running = gevent.spawn(feed.run)
    assert all(place.arrived.wait(5) for place in places)
    assert (store.reads, store.ranked) == (1, [("country",)])
    whole, some, same, ranked = (place.take() for place in places)
    assert some is same
    assert set(payload(whole)) - set(payload(some)) >= {"revenue", "errors"}
    assert set(payload(ranked)) - set(payload(whole)) == {"top"}
    gevent.kill(running)


def test_a_dimension_is_read_while_somebody_wants_it_and_sent_when_it_has_changed():
    store = MemoryStore()
    now = [1_750_000_030.0]
    feed = Feed(view(store), Pace(0.01), lambda: now[0])
    both = Subscriber(feed, queued, Event(), shape=Shape(dimensions=("country", "device")))
    plain = Subscriber(feed, queued, Event())
    for place in (both, plain):
        feed.add(place)
    running = gevent.spawn(feed.run)
    assert set(coming(both)["top"]) == {"country", "device"}
    assert "top" not in coming(both)
    store.put(1_750_000_020, ("device",), ("tv",), rows=4)
    store.put(1_750_000_020, rows=4)
    assert "top" not in coming(both)  # not every ten seconds yet
    assert store.ranked == [("country",), ("device",)]
    now[0] += 10
    changed = coming_top(both)
    assert changed["device"]["values"] == ["tv"]
    assert set(changed) == {"country", "device"}  # all four are of no country: `other`
    now[0] += 10
    gevent.sleep(0.05)
    assert len(store.ranked) == 6
    while (frame := both.take()) is not None:
        assert "top" not in payload(frame)  # read, and as it was
    while (frame := plain.take()) is not None:
        assert "top" not in payload(frame)
    both.leave()
    now[0] += 10
    gevent.sleep(0.05)
    assert len(store.ranked) == 6
    plain.leave()
    running.join(5)
    assert running.dead


def coming_top(place: Subscriber) -> dict[str, dict[str, list[str]]]:
    """The next `top` that comes."""
    while "top" not in (message := coming(place)):
        pass
    return cast(dict[str, dict[str, list[str]]], message["top"])


def test_active_users_fall_on_screen_when_nothing_comes_any_more():
    store = MemoryStore()
    store.active[(), ()] = 12
    now = [1_750_000_030.0]
    store.ended = now[0] + 300
    feed = Feed(view(store), Pace(0.01), lambda: now[0])
    place = Subscriber(feed, queued, Event())
    feed.add(place)
    running = gevent.spawn(feed.run)
    assert coming(place)["now"]["active_users"] == 12
    now[0] += 299
    assert last(place)["now"]["active_users"] == 12
    now[0] += 1  # nothing was announced, and the store holds what it held
    assert last(place)["now"]["active_users"] == 0
    place.leave()
    running.join(5)


def last(place: Subscriber) -> dict[str, dict[str, int]]:
    """A message that was made after now."""
    while place.take() is not None:
        pass
    coming(place)  # may be of a pass that was under way
    return coming(place)


def test_a_store_that_is_away_is_said_and_then_goes_on():
    store = MemoryStore()
    store.away = True
    feed = Feed(view(store), Pace(0.02))
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


def test_one_that_comes_while_the_store_is_away_gets_the_last_numbers_and_is_told():
    store = MemoryStore()
    feed = Feed(view(store), Pace(0.02))
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


def test_a_day_is_read_at_first_then_what_has_news_and_all_when_that_is_unknown():
    store = MemoryStore()
    feed = Feed(view(store), Pace(0.02))
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
    feed = Feed(view(MemoryStore()), Pace(0.02))
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
    feed.view._first -= 90.0
    back = Subscriber(feed, queued, Event(), now - 20)
    feed.add(back)
    assert until(back, "delta") == ["delta"]
    for place in (first, back):
        place.leave()
    running.join(5)


@pytest.mark.parametrize(("sockets", "within", "shown"), [(1, 5.0, True), (10_000, 0.3, False)])
def test_news_right_after_a_read_comes_soon_to_few_sockets_and_later_to_a_crowd(
    sockets: int, within: float, shown: bool
):
    feed = Feed(view(MemoryStore()), Pace(40.0, lambda: sockets))
    place = Subscriber(feed, queued, Event())
    feed.add(place)
    running = gevent.spawn(feed.run)
    assert until(place, "snapshot") == ["snapshot"]
    feed.wake.set()
    assert place.take() is None
    assert place.arrived.wait(within) is shown
    gevent.kill(running)


def test_all_are_let_go_at_the_end():
    feed = Feed(view(MemoryStore()), Pace(1.0))
    place = Subscriber(feed, queued, Event())
    feed.add(place)
    feed.stop(2)
    assert place.arrived.is_set()
    with pytest.raises(Leaving):
        place.take()
