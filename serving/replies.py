"""Encoded replies, shared for a moment: many dashboards ask the same at once.

A reply is made once for all who ask within `seconds`, however many wait for it meanwhile.
"""

import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from threading import Lock
from typing import Final

from telemetry import metrics

MAX_REPLIES: Final = 256  # held; a reply is some 100 KB


class Replies:
    """A bounded cache of replies with single flight, for one process."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._lock = Lock()
        self._held: dict[Hashable, tuple[float, Future[bytes]]] = {}

    def get(self, question: Hashable, make: Callable[[], bytes]) -> bytes:
        """The reply, at most `seconds` old. Whatever `make` raises is raised to all who wait."""
        now = self._clock()
        with self._lock:
            until, reply = self._held.get(question, (0.0, Future[bytes]()))
            mine = question not in self._held or (now >= until and reply.done())
            if mine:
                self._forget(now)
                reply = Future()
                self._held[question] = (now + self._seconds, reply)
        metrics.SERVICE_REPLIES.inc("miss" if mine else "hit")
        if mine:
            try:
                reply.set_result(make())
            except BaseException as error:
                with self._lock:
                    self._held.pop(question, None)
                reply.set_exception(error)
        return reply.result()

    def _forget(self, now: float) -> None:
        """Drop what is old, and the oldest when there are too many."""
        for question in [q for q, (until, _) in self._held.items() if until <= now]:
            if self._held[question][1].done():
                del self._held[question]
        while len(self._held) >= MAX_REPLIES:
            del self._held[next(iter(self._held))]
