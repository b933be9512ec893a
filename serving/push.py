"""Live numbers over WebSocket: a snapshot of 24 hours, then what changed.

All sockets with the same project and filter share one feed: one read of the store and one encoding
per refresh, whatever the number of sockets. A feed reads when the store announces a change in its
grouping set (how soon, `pause` says), and at every refresh, so active users also fall when traffic
stops. Each socket has a short queue; one that does not read is given a fresh snapshot once, and
then closed. Messages are encoded and framed once.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

import gevent
import msgspec
import redis
from gevent.event import Event

from events.reasons import REQUEST_ERRORS
from serving.projects import Project
from serving.view import Filter, View
from serving.wire import count, text_frame
from stores import layout
from stores.hot import HotStore
from stores.pane import DIMENSIONS
from telemetry import metrics

_log = logging.getLogger(__name__)

LEAST: Final = 0.1  # seconds between two reads of a feed
QUEUE: Final = 20  # messages a socket may be behind: two seconds of the most that there can be
MESSAGES: Final = 5_000  # a second to all sockets of a process (a sixth of a core)
READING: Final = 0.2  # of the time that one feed may spend on reading and handing out
ALL_SECONDS: Final = 30.0  # after so long a feed reads the whole day again, whatever was announced

GAP_STEP: Final = 10.0  # seconds
# Where news come as often as all is read anyway, it is not read just before they come.
GRACE: Final = 1.25
RESTING: Final = 64  # views that are kept when their last socket is gone; some 100 KB each

Push = Callable[[bytes], bool]  # writes a frame at once; False: it cannot, queue it


class Overrun(Exception):
    """The socket did not read for too long."""


class Leaving(Exception):
    """This process is about to stop."""


class Subscriber:
    """One socket's bounded queue of frames: for those that `push` does not take at once.

    `arrived` is set when there is something to `take`. `since` is the `as_of` of the last message
    that the client has of this feed, if it has any: then it gets what has changed since, if known.
    """

    def __init__(
        self, feed: "Feed", push: Push, arrived: Event, since: float | None = None
    ) -> None:
        self._feed = feed
        self._push = push
        self._messages: deque[bytes] = deque()
        self.arrived = arrived
        self._overruns = 0
        self._leaving = False
        self.fresh = True  # wants a snapshot next, or the gap
        self.since = since

    def put(self, message: bytes, snapshot: Callable[[], bytes]) -> bool:
        """Send a message, or queue it; one that is behind gets a snapshot for what it missed.

        Who has no queue is written to from here: to wake its greenlet costs ten times as much.
        Whether it was.
        """
        if not self._messages and self._push(message):
            return True
        if len(self._messages) >= QUEUE:
            self._overruns += 1
            metrics.SERVICE_OVERRUNS.inc()
            metrics.SERVICE_DROPPED.add(len(self._messages))
            self._messages.clear()
            message = snapshot()
        self._messages.append(message)
        self.arrived.set()
        return False

    def leave(self) -> None:
        """No more messages."""
        self._feed.remove(self)

    def stop(self) -> None:
        """Nothing more will come."""
        self._leaving = True
        self.arrived.set()

    def take(self) -> bytes | None:
        """The next frame, or None when there is none yet. Raises Overrun or Leaving."""
        if self._leaving:
            raise Leaving
        if self._overruns > 1:
            raise Overrun
        if not self._messages:
            self._overruns = 0  # it has caught up
            self.arrived.clear()
            return None
        return self._messages.popleft()


def pause(refresh: float, sockets: int, spent: float) -> float:
    """Seconds from one read on news to the next.

    Announcements come in bursts. Few sockets see each at once. What a crowd costs is bounded, by
    the `sockets` of the process and by what the last read `spent` (seconds), but for four reads
    within one refresh, which everybody gets.
    """
    return min(refresh / 4, max(LEAST, sockets / MESSAGES, spent / READING))


class Feed:
    """One view and its sockets; a greenlet reads for them all while there are any.

    `crowd` says how many sockets this process has in all; by default there is only this feed.
    """

    def __init__(self, view: View, refresh: float, crowd: Callable[[], int] | None = None) -> None:
        self.view = view
        self._refresh = refresh
        self._crowd = crowd or (lambda: self.size)
        self._subscribers: set[Subscriber] = set()
        self._since: int | None = None  # the first minute with news; None: look at all
        self._looked = float("-inf")  # when all was read
        self.wake = Event()

    def note(self, since: int | None) -> None:
        """Something has changed, nothing of it before that minute; None: anything may have."""
        if since is None:
            self._looked = float("-inf")
        elif self._since is None or since < self._since:
            self._since = since

    def add(self, subscriber: Subscriber) -> None:
        """A socket more; it gets a snapshot at the next read, which is at once."""
        self._subscribers.add(subscriber)
        self.wake.set()

    def remove(self, subscriber: Subscriber) -> None:
        """A socket less."""
        self._subscribers.discard(subscriber)

    @property
    def wanted(self) -> bool:
        """Whether any socket is left."""
        return bool(self._subscribers)

    @property
    def size(self) -> int:
        """How many sockets."""
        return len(self._subscribers)

    def stop(self) -> None:
        """Let all sockets go."""
        for subscriber in list(self._subscribers):
            subscriber.stop()

    def run(self) -> None:
        """Read and hand out until nobody is left."""
        news = False
        while self.wanted:
            self.wake.clear()
            started = time.monotonic()
            try:
                delta = self._read(started)
            except redis.RedisError as error:
                _log.warning("live feed: the store is away: %s", error)
                metrics.SERVICE_STORE_FAILURES.inc("hot")
                self.note(None)
                self._tell_away()
            else:
                read = time.monotonic()
                metrics.SERVICE_REFRESH.observe(read - started)
                self._hand_out(delta)
                metrics.SERVICE_FAN_OUT.observe(time.monotonic() - read)
            spent = time.monotonic() - started
            news = self.wake.wait(self._refresh * (GRACE if news else 1))
            rest = pause(self._refresh, self._crowd(), spent)
            gevent.sleep(max(0.0, rest - (time.monotonic() - started)))

    def _read(self, started: float) -> bytes:
        """The delta. Of the day only what has news, but for a look at all now and then."""
        since, self._since = self._since, None
        now = time.time()
        if started - self._looked < ALL_SECONDS:
            return self.view.read(now, int(now) if since is None else since)
        self._looked = started
        return self.view.read(now)

    def _hand_out(self, delta: bytes) -> None:
        snapshot = cache(lambda: text_frame(self.view.snapshot()))
        gap = cache(self._gap)
        frame = text_frame(delta)
        frames = size = 0
        for subscriber in list(self._subscribers):
            message = frame
            if subscriber.fresh:
                since = subscriber.since
                # Many come back at once, so what is encoded is shared by those of some seconds.
                found = None if since is None else gap(since // GAP_STEP * GAP_STEP)
                message = snapshot() if found is None else found
            subscriber.fresh = False
            if subscriber.put(message, snapshot):
                frames += 1
                size += len(message)
        count(frames, size)

    def _gap(self, since: float) -> bytes | None:
        found = self.view.gap(since)
        return None if found is None else text_frame(found)

    def _tell_away(self) -> None:
        """At every read that fails, so nobody takes silence for news.

        A new socket gets the last numbers first, with the time that they are of.
        """
        snapshot = cache(lambda: text_frame(self.view.snapshot()))
        frame = text_frame(error_message("store_unavailable"))
        for subscriber in list(self._subscribers):
            if subscriber.fresh and self.view.known:
                subscriber.fresh = False
                subscriber.put(snapshot(), snapshot)
            subscriber.put(frame, lambda: frame)


def error_message(code: str, message: str | None = None) -> bytes:
    """What a socket is told, `code` being one of REQUEST_ERRORS."""
    said = REQUEST_ERRORS[code].message if message is None else message
    return msgspec.json.encode({"type": "error", "code": code, "message": said})


class Hub:
    """All feeds of this process, and its one Redis subscription."""

    def __init__(self, store: HotStore, client: Any, refresh: float) -> None:
        self._store = store
        self._client = client
        self._refresh = refresh
        self._feeds: dict[tuple[str, Filter], Feed] = {}
        self._resting: dict[tuple[str, Filter], View] = {}  # the latest last
        self._listening = False
        metrics.SERVICE_FEEDS.follow(lambda: len(self._feeds))
        metrics.SERVICE_SUBSCRIBERS.follow(self._count)

    def join(
        self,
        project: Project,
        filters: Mapping[str, str],
        push: Push,
        arrived: Event,
        since: float | None = None,
    ) -> Subscriber:
        """The place of a socket in the feed of a project and filter, see `Subscriber`."""
        if not self._listening:
            self._listening = True
            gevent.spawn(self._listen)
        chosen: Filter = tuple((d, filters[d]) for d in DIMENSIONS if d in filters)
        key = (project.name, chosen)
        feed = self._feeds.get(key)
        if feed is None:
            # When all come back at once, as after a restart of a proxy, what they missed is known.
            view = self._resting.pop(key, None) or View(self._store, project, chosen)
            feed = self._feeds[key] = Feed(view, self._refresh, self._count)
            gevent.spawn(self._serve, key, feed)
        subscriber = Subscriber(feed, push, arrived, since)
        feed.add(subscriber)
        return subscriber

    def stop(self) -> None:
        """Let all sockets go; the caller takes no new ones."""
        for feed in list(self._feeds.values()):
            feed.stop()

    def _count(self) -> int:
        return sum(feed.size for feed in list(self._feeds.values()))

    def _serve(self, key: tuple[str, Filter], feed: Feed) -> None:
        try:
            feed.run()
        finally:
            if self._feeds.get(key) is feed:
                del self._feeds[key]
                self._resting[key] = feed.view
                if len(self._resting) > RESTING:
                    del self._resting[next(iter(self._resting))]
            feed.stop()  # after an error too: a socket without a feed would wait in silence

    def _listen(self) -> None:
        while True:
            try:
                with self._client.pubsub(ignore_subscribe_messages=True) as listening:
                    listening.psubscribe("sl:announce:*")
                    for feed in list(self._feeds.values()):  # what was said meanwhile is unknown
                        feed.note(None)
                    while True:  # get_message, since listen() gives up at the socket's time limit
                        message = listening.get_message(timeout=5.0)
                        if message is not None:
                            self._announced(message["channel"], message["data"])
            except redis.RedisError as error:
                _log.warning("announcements: %s", error)
                gevent.sleep(1.0)

    def _announced(self, channel: bytes, message: bytes) -> None:
        """Wake the feeds that the news is about."""
        news = layout.announced(message)
        for (name, chosen), feed in list(self._feeds.items()):
            if layout.channel(name).encode() != channel:
                continue
            feed.note(None if news is None else news.since)
            grouping = layout.grouping_text(tuple(dimension for dimension, _ in chosen))
            if news is None or grouping in news.groupings:
                feed.wake.set()
