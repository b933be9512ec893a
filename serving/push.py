"""Live numbers over WebSocket: a snapshot of 24 hours, then what changed.

All sockets with the same project and filter share one feed (`serving.feed`): one read of the store
per refresh, whatever the number of sockets, and one encoding for all that want the same columns. A
feed reads when the store announces a change in its grouping set (how soon, `serving.pace` says),
and at every refresh, so active users also fall when traffic stops. Each socket has a short queue;
one that does not read is given a fresh snapshot once, and then closed. Messages are encoded and
framed once.
"""

import logging
from collections.abc import Mapping
from typing import Any, Final

import gevent
import redis
from gevent.event import Event

from serving.feed import Feed
from serving.notices import pace_message, reconnect_within
from serving.pace import Pace
from serving.projects import Project
from serving.shape import ALL, Shape
from serving.subscriber import Push, Subscriber
from serving.view import Filter, View
from serving.wire import text_frame
from stores import layout
from stores.hot import HotStore
from stores.pane import DIMENSIONS
from telemetry import metrics

_log = logging.getLogger(__name__)

RESTING: Final = 64  # views that are kept when their last socket is gone; some 100 KB each


class Hub:
    """All feeds of this process, and its one Redis subscription."""

    def __init__(self, store: HotStore, client: Any, refresh: float) -> None:
        self._store = store
        self._client = client
        self._pace = Pace(refresh, self._count, self._slowed)
        self._feeds: dict[tuple[str, Filter], Feed] = {}
        self._resting: dict[tuple[str, Filter], View] = {}  # the latest last
        self._listening = False
        metrics.SERVICE_FEEDS.follow(lambda: len(self._feeds))
        metrics.SERVICE_SUBSCRIBERS.follow(self._count)
        metrics.SERVICE_PACE.follow(lambda: self._pace.refresh / refresh)

    def join(
        self,
        project: Project,
        filters: Mapping[str, str],
        push: Push,
        arrived: Event,
        since: float | None = None,
        shape: Shape = ALL,
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
            feed = self._feeds[key] = Feed(view, self._pace)
            gevent.spawn(self._serve, key, feed)
        subscriber = Subscriber(feed, push, arrived, since, shape)
        if self._pace.degraded:
            subscriber.tell(self._pace_frame())
        feed.add(subscriber)
        return subscriber

    def stop(self) -> None:
        """Let all sockets go; the caller takes no new ones."""
        feeds = list(self._feeds.values())
        within = reconnect_within(self._count())
        if feeds:
            metrics.SERVICE_ANNOUNCED.inc("leaving")
        for feed in feeds:
            feed.stop(within)

    def _slowed(self, refresh: float) -> None:
        """Tell all sockets of a new pace."""
        reason = "degraded" if self._pace.degraded else "normal"
        _log.warning("live feeds: %s, a refresh is %g s", reason, refresh)
        metrics.SERVICE_ANNOUNCED.inc(reason)
        frame = self._pace_frame()
        for feed in list(self._feeds.values()):
            feed.tell(frame)

    def _pace_frame(self) -> bytes:
        return text_frame(pace_message(self._pace.refresh, degraded=self._pace.degraded))

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
            # After an error too: a socket without a feed would wait in silence.
            feed.stop(reconnect_within(feed.size))

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
