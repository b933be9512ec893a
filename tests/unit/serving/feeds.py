"""What tests of live feeds share."""

import json
from typing import Any, cast

import gevent

from serving.projects import DEMO
from serving.subscriber import Subscriber
from serving.view import View
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


def coming(place: Subscriber) -> dict[str, Any]:
    """The next message."""
    with gevent.Timeout(5):
        while (frame := place.take()) is None:
            place.arrived.wait()
    return payload(frame)
