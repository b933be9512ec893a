"""Live numbers over WebSocket: a snapshot of 24 hours, then what changed.

All sockets with the same project and filter share one feed: one read of the store and one encoding
per refresh, whatever the number of sockets. A feed reads when the store announces a change and at
every refresh, so active users also fall when traffic stops. Each socket has a short queue; one that
does not read is given a fresh snapshot once, and then closed. Messages are encoded and framed once.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

import gevent
import msgspec
import numpy as np
import redis
from gevent.event import Event
from numpy.typing import NDArray

from events.reasons import REQUEST_ERRORS
from serving.metrics import events_of, rate
from serving.projects import Project
from serving.wire import text_frame
from stores import layout
from stores.hot import HotStore
from stores.pane import DIMENSIONS, MEASURES, MINUTE, PULSE, SKETCHED, STATUS_NAMES

_log = logging.getLogger(__name__)

DAY_MINUTES: Final = 1_440
QUEUE: Final = 4  # messages a socket may be behind
PULSE_DELAY: Final = 5  # seconds until ten seconds are counted, on the way from client to store
PULSES: Final = 3  # that events per second are the mean of
_COLUMN: Final = {name: i for i, name in enumerate(MEASURES)}
_SHOWN: Final = ("page_views", "clicks", "purchases", "errors")
Ints = NDArray[np.int64]
Filter = tuple[tuple[str, str], ...]


class Overrun(Exception):
    """The socket did not read for too long."""


class Subscriber:
    """One socket's bounded queue of frames."""

    def __init__(self, feed: "Feed") -> None:
        self._feed = feed
        self._messages: deque[bytes] = deque()
        self.arrived = Event()
        self._overruns = 0
        self.fresh = True  # wants a snapshot next

    def put(self, message: bytes, snapshot: Callable[[], bytes]) -> None:
        """Queue a message; one that is behind gets a snapshot instead of what it missed."""
        if len(self._messages) >= QUEUE:
            self._overruns += 1
            self._messages.clear()
            message = snapshot()
        self._messages.append(message)
        self.arrived.set()

    def leave(self) -> None:
        """No more messages."""
        self._feed.remove(self)

    def take(self) -> bytes | None:
        """The next frame, or None when there is none yet. Raises Overrun."""
        if self._overruns > 1:
            raise Overrun
        if not self._messages:
            self._overruns = 0  # it has caught up
            self.arrived.clear()
            return None
        return self._messages.popleft()


class View:
    """What one feed shows: the last 24 hours of one project and filter, read again as needed."""

    def __init__(self, store: HotStore, project: Project, filters: Filter) -> None:
        self._store = store
        self._project = project
        self._filters = filters
        self._grouping = tuple(d for d in DIMENSIONS if d in dict(filters))
        self._values = tuple(dict(filters)[d] for d in self._grouping)
        self._start = 0
        self._rows: Ints = np.zeros((0, len(MEASURES)), np.int64)
        self._status: NDArray[np.uint8] = np.zeros(0, np.uint8)
        self._seq = 0

    def read(self, now: float) -> bytes:
        """Read the store; the delta since the last read. Raises redis.RedisError."""
        end = int(now) // MINUTE * MINUTE + 2 * MINUTE  # clients may be a minute ahead
        start = end - DAY_MINUTES * MINUTE
        name = self._project.name
        rows = self._store.series(name, self._grouping, self._values, start, end)
        status = self._store.status(name, start, end)
        shift = min(DAY_MINUTES, (start - self._start) // MINUTE)
        old_rows, old_status = np.zeros_like(rows), np.zeros_like(status)
        if len(self._rows):
            old_rows[: DAY_MINUTES - shift] = self._rows[shift:]
            old_status[: DAY_MINUTES - shift] = self._status[shift:]
        changed = np.flatnonzero((rows != old_rows).any(axis=1) | (status != old_status))
        self._start, self._rows, self._status = start, rows, status
        self._seq += 1
        self._now = self._live(now)
        self._as_of = now
        self._beat = self._store.last_beat()
        return self._encode("delta", changed)

    def snapshot(self) -> bytes:
        """All minutes as of the last read."""
        return self._encode("snapshot", np.arange(len(self._rows)))

    def _live(self, now: float) -> dict[str, float | None]:
        store, name, rows = self._store, self._project.name, self._rows
        last = len(rows) - 2  # the minute in progress
        five, hour = rows[last - 4 : last + 1], rows[last - 59 : last + 1]
        events = int(events_of(five).sum())
        active = None
        if self._grouping in SKETCHED:
            active = store.active_users(name, self._grouping, self._values, now)
            end = int(now - PULSE_DELAY) // PULSE * PULSE
            pulse = store.pulse(name, self._grouping, self._values, end - PULSES * PULSE, end)
            per_second = float(events_of(pulse).sum()) / (PULSES * PULSE)
        else:
            per_second = float(events_of(rows[last - 1 : last + 1]).sum()) / (60 + now % 60)
        return {
            "active_users": None if active is None else active.users,
            "active_users_error": None if active is None else round(active.error, 1),
            "events_per_second": round(per_second, 2),
            "revenue_per_hour": int(hour[:, _COLUMN["revenue_micros"]].sum()) / 1_000_000,
            "error_rate": rate(int(five[:, _COLUMN["errors"]].sum()), events),
        }

    def _encode(self, kind: str, which: NDArray[np.intp]) -> bytes:
        rows = self._rows[which]
        message: dict[str, Any] = {
            "type": kind,
            "seq": self._seq,
            "project": self._project.name,
            "currency": self._project.currency,
            "filter": dict(self._filters),
            "as_of": self._as_of,
            "job": {"alive": self._beat is not None, "last_beat": self._beat},
            "time": (self._start + which * MINUTE).tolist(),
            "events": events_of(rows).tolist(),
            "revenue": [m / 1_000_000 for m in rows[:, _COLUMN["revenue_micros"]].tolist()],
            "status": [STATUS_NAMES[s] for s in self._status[which].tolist()],
            "now": self._now,
        }
        for name in _SHOWN:
            message[name] = rows[:, _COLUMN[name]].tolist()
        return msgspec.json.encode(message)


class Feed:
    """One view and its sockets; a greenlet reads for them all while there are any."""

    def __init__(self, view: View, refresh: float) -> None:
        self._view = view
        self._refresh = refresh
        self._subscribers: set[Subscriber] = set()
        self._away = False  # the store, and the sockets were told
        self.wake = Event()

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

    def run(self) -> None:
        """Read and hand out until nobody is left."""
        while self.wanted:
            self.wake.clear()
            started = time.monotonic()
            try:
                delta = self._view.read(time.time())
            except redis.RedisError as error:
                _log.warning("live feed: the store is away: %s", error)
                self._tell_away()
            else:
                self._away = False
                self._hand_out(delta)
            self.wake.wait(self._refresh)
            # Announcements come in bursts: at most four reads within one refresh.
            gevent.sleep(max(0.0, self._refresh / 4 - (time.monotonic() - started)))

    def _hand_out(self, delta: bytes) -> None:
        made: list[bytes] = []

        def snapshot() -> bytes:
            if not made:
                made.append(text_frame(self._view.snapshot()))
            return made[0]

        frame = text_frame(delta)
        for subscriber in list(self._subscribers):
            message = snapshot() if subscriber.fresh else frame
            subscriber.fresh = False
            subscriber.put(message, snapshot)

    def _tell_away(self) -> None:
        if self._away:
            return
        self._away = True
        frame = text_frame(error_message("store_unavailable"))
        for subscriber in list(self._subscribers):
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
        self._listening = False

    def join(self, project: Project, filters: Mapping[str, str]) -> Subscriber:
        """A socket's place in the feed of a project and filter."""
        if not self._listening:
            self._listening = True
            gevent.spawn(self._listen)
        chosen: Filter = tuple((d, filters[d]) for d in DIMENSIONS if d in filters)
        key = (project.name, chosen)
        feed = self._feeds.get(key)
        if feed is None or not feed.wanted:  # one that nobody wants is about to end
            feed = self._feeds[key] = Feed(View(self._store, project, chosen), self._refresh)
            subscriber = Subscriber(feed)
            feed.add(subscriber)
            gevent.spawn(self._serve, key, feed)
        else:
            subscriber = Subscriber(feed)
            feed.add(subscriber)
        return subscriber

    def _serve(self, key: tuple[str, Filter], feed: Feed) -> None:
        try:
            feed.run()
        finally:
            if self._feeds.get(key) is feed:
                del self._feeds[key]

    def _listen(self) -> None:
        while True:
            try:
                with self._client.pubsub(ignore_subscribe_messages=True) as listening:
                    listening.psubscribe("sl:announce:*")
                    while True:  # get_message, since listen() gives up at the socket's time limit
                        message = listening.get_message(timeout=5.0)
                        if message is not None:
                            self._announced(message["channel"])
            except redis.RedisError as error:
                _log.warning("announcements: %s", error)
                gevent.sleep(1.0)

    def _announced(self, channel: bytes) -> None:
        for (name, _), feed in list(self._feeds.items()):
            if layout.channel(name).encode() == channel:
                feed.wake.set()
