"""One message, of whatever a feed has to say."""

from typing import Any

import pytest
from gevent.event import Event

from serving.gate import Access
from serving.ingest.errors import RequestError
from serving.notices import error_message, pace_message
from serving.once import message
from serving.projects import DEMO
from serving.subscriber import Push, Subscriber
from serving.subscription import Subscription
from serving.wire import text_frame

NUMBERS = b'{"type":"delta","seq":1}'


class Hub:
    """A feed that says these frames, or with none of them that this process stops."""

    def __init__(self, *frames: bytes) -> None:
        self._frames = frames
        self.left = 0

    def join(self, _: Any, __: Any, push: Push, arrived: Event, *___: Any) -> Subscriber:
        place = Subscriber(self, push, arrived)
        for frame in self._frames:
            place.put(text_frame(frame), lambda: b"")
        if not self._frames:
            place.stop(5)
        return place

    def remove(self, _: Subscriber) -> None:
        self.left += 1


def ask(hub: Any) -> bytes:
    return message(hub, Access(DEMO, {}, "", "", 0), Subscription({}, None))


def test_what_is_no_numbers_is_passed_over() -> None:
    hub = Hub(pace_message(4.0, degraded=True), NUMBERS)
    assert ask(hub) == NUMBERS
    assert hub.left == 1


@pytest.mark.parametrize(
    ("frames", "code"),
    [((), "shutting_down"), ((error_message("store_unavailable"),), "store_unavailable")],
)
def test_why_there_are_none(frames: tuple[bytes, ...], code: str) -> None:
    hub = Hub(*frames)
    with pytest.raises(RequestError) as refused:
        ask(hub)
    assert (refused.value.code, refused.value.status, hub.left) == (code, 503, 1)
