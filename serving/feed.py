"""One view and its sockets: one read for all, and one encoding for all that want the same of it."""

import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Final

import gevent
import redis
from gevent.event import Event

from serving.notices import error_message
from serving.pace import Pace
from serving.shape import Shape
from serving.subscriber import Subscriber
from serving.view import View
from serving.wire import count, text_frame
from telemetry import metrics

_log = logging.getLogger(__name__)

ALL_SECONDS: Final = 30.0  # after so long a feed reads the whole day again, whatever was announced

GAP_STEP: Final = 10.0  # seconds
GAPS: Final = 100  # that are kept for those who come before the next read
# Where news come as often as all is read anyway, it is not read just before they come.
GRACE: Final = 1.25


class Feed:
    """One view and its sockets; a greenlet reads for them all while there are any.

    All feeds of a process have the same `pace`. `clock` is the time of the numbers, epoch seconds.
    """

    def __init__(self, view: View, pace: Pace, clock: Callable[[], float] = time.time) -> None:
        self.view = view
        self._pace = pace
        self._clock = clock
        self._subscribers: dict[Shape, set[Subscriber]] = {}
        self._since: int | None = None  # the first minute with news; None: look at all
        self._looked = float("-inf")  # when all was read
        self._idle = float("-inf")  # since when all have what was read last
        self._snapshots: dict[Shape, bytes] = {}  # frames of what was read last
        self._gaps: dict[tuple[Shape, float], bytes | None] = {}
        self.wake = Event()

    def note(self, since: int | None) -> None:
        """Something has changed, nothing of it before that minute; None: anything may have."""
        if since is None:
            self._looked = float("-inf")
        elif self._since is None or since < self._since:
            self._since = since

    def add(self, subscriber: Subscriber) -> None:
        """A socket more. It gets what was read last when that is of now, else of a read at once.

        When thousands come back, they do not have the store read all the time.
        """
        self._subscribers.setdefault(subscriber.shape, set()).add(subscriber)
        recent = time.monotonic() - self._idle < self._pace.refresh / 2
        if recent and self.view.has(subscriber.shape):
            frame = self._first(subscriber)
            if subscriber.put(frame, partial(self._snapshot, subscriber.shape)):
                count(1, len(frame))
        else:
            self.wake.set()

    def remove(self, subscriber: Subscriber) -> None:
        """A socket less."""
        alike = self._subscribers.get(subscriber.shape, set())
        alike.discard(subscriber)
        if not alike:
            self._subscribers.pop(subscriber.shape, None)
        if not self._subscribers:
            self._idle = float("-inf")
            self.wake.set()  # to its end

    @property
    def wanted(self) -> bool:
        """Whether any socket is left."""
        return bool(self._subscribers)

    @property
    def size(self) -> int:
        """How many sockets."""
        return sum(len(alike) for alike in list(self._subscribers.values()))

    def tell(self, notice: bytes) -> None:
        """Give a frame that is no numbers to all sockets."""
        told = sum(one.tell(notice) for alike in self._groups() for one in alike)
        count(told, told * len(notice))

    def stop(self, within: int) -> None:
        """Let all sockets go: they should be back within so many seconds."""
        for alike in self._groups():
            for subscriber in alike:
                subscriber.stop(within)

    def run(self) -> None:
        """Read and hand out until nobody is left."""
        news = False
        while self.wanted:
            self.wake.clear()
            started = time.monotonic()
            self._idle = float("-inf")
            try:
                self._read(started)
            except redis.RedisError as error:
                _log.warning("live feed: the store is away: %s", error)
                metrics.SERVICE_STORE_FAILURES.inc("hot")
                self.note(None)
                self._tell_away()
            else:
                read = time.monotonic()
                metrics.SERVICE_REFRESH.observe(read - started)
                self._hand_out()
                metrics.SERVICE_FAN_OUT.observe(time.monotonic() - read)
                self._pace.passed(started)
                self._idle = time.monotonic()
            spent = time.monotonic() - started
            news = self.wake.wait(self._pace.refresh * (GRACE if news else 1))
            rest = self._pace.pause(spent)
            gevent.sleep(max(0.0, rest - (time.monotonic() - started)))

    def _read(self, started: float) -> None:
        """Of the day only what has news, but for a look at all now and then."""
        since, self._since = self._since, None
        now = self._clock()
        self._snapshots.clear()
        self._gaps.clear()
        recent = any(shape.recent for shape in self._subscribers)
        if started - self._looked < ALL_SECONDS:
            self.view.read(now, int(now) if since is None else since, recent=recent)
        else:
            self._looked = started
            self.view.read(now, recent=recent)
        self.view.rank(now, {name for shape in self._subscribers for name in shape.dimensions})

    def _hand_out(self) -> None:
        frames = size = 0
        for shape, alike in list(self._subscribers.items()):
            written, of_bytes = self._hand_to(shape, list(alike))
            frames += written
            size += of_bytes
        count(frames, size)

    def _hand_to(self, shape: Shape, alike: list[Subscriber]) -> tuple[int, int]:
        """How many frames, and bytes, were written at once."""
        frame = text_frame(self.view.delta(shape))
        frames = size = 0
        for subscriber in alike:
            message = self._first(subscriber) if subscriber.fresh else frame
            if subscriber.put(message, partial(self._snapshot, shape)):
                frames += 1
                size += len(message)
        return frames, size

    def _first(self, subscriber: Subscriber) -> bytes:
        """What one is sent that has nothing yet: what it missed, where that is known, or all.

        Many come at once, so what is encoded is shared, of those that come back by some seconds.
        """
        subscriber.fresh = False
        shape, since = subscriber.shape, subscriber.since
        found = None if since is None else self._gap(shape, since // GAP_STEP * GAP_STEP)
        return self._snapshot(shape) if found is None else found

    def _snapshot(self, shape: Shape) -> bytes:
        if shape not in self._snapshots:
            self._snapshots[shape] = text_frame(self.view.snapshot(shape))
        return self._snapshots[shape]

    def _gap(self, shape: Shape, since: float) -> bytes | None:
        """None where it is not known."""
        if (shape, since) not in self._gaps:
            if len(self._gaps) >= GAPS:
                self._gaps.clear()
            found = self.view.gap(since, shape)
            self._gaps[shape, since] = None if found is None else text_frame(found)
        return self._gaps[shape, since]

    def _tell_away(self) -> None:
        """At every read that fails, so nobody takes silence for news.

        A new socket gets the last numbers first, with the time that they are of.
        """
        if self.view.known:
            for shape, alike in list(self._subscribers.items()):
                snapshot = partial(self._snapshot, shape)
                for subscriber in alike:
                    if subscriber.fresh:
                        subscriber.fresh = False
                        subscriber.put(snapshot(), snapshot)
        self.tell(text_frame(error_message("store_unavailable")))

    def _groups(self) -> list[list[Subscriber]]:
        """All sockets, whoever leaves meanwhile."""
        return [list(alike) for alike in list(self._subscribers.values())]
