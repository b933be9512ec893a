"""One socket's queue: bounded, in order, and with a good end."""

import pytest
from gevent.event import Event

from serving.feed import Feed
from serving.pace import Pace
from serving.subscriber import QUEUE, Leaving, Overrun, Subscriber
from tests.unit.serving.feeds import queued, view
from tests.unit.serving.stores import MemoryStore


def test_one_that_is_behind_gets_a_snapshot_and_one_that_stays_behind_is_closed():
    place = Subscriber(Feed(view(MemoryStore()), Pace(1.0)), queued, Event())
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

    place = Subscriber(Feed(view(MemoryStore()), Pace(1.0)), push, Event())
    for frame in (b"1", b"2", b"3"):
        place.put(frame, lambda: b"snapshot")
    assert (taken, place.arrived.is_set()) == ([b"1"], True)
    assert [place.take() for _ in range(3)] == [b"2", b"3", None]
    place.put(b"4", lambda: b"snapshot")
    assert taken == [b"1", b"4"]


def test_a_notice_that_finds_the_queue_full_is_followed_by_a_snapshot():
    place = Subscriber(Feed(view(MemoryStore()), Pace(1.0)), queued, Event(), since=1.0)
    place.fresh = False
    place.tell(b"notice")
    assert not place.fresh  # it was queued with the rest, and nothing is lost
    for _ in range(QUEUE - 1):
        place.put(b"delta", lambda: b"snapshot")
    place.tell(b"notice")
    assert (place.fresh, place.since) == (True, None)
    assert [place.take(), place.take()] == [b"notice", None]
    for _ in range(2 * QUEUE + 1):
        place.tell(b"notice")
    with pytest.raises(Overrun):
        place.take()


def test_who_is_let_go_learns_when_to_come_back():
    place = Subscriber(Feed(view(MemoryStore()), Pace(1.0)), queued, Event())
    place.put(b"delta", lambda: b"snapshot")
    place.stop(7)
    with pytest.raises(Leaving) as left:
        place.take()
    assert left.value.within == 7
