"""The service's token buckets in Redis, and in this process while Redis is away.

A limit never makes a failure of its own: what Redis does not answer within the client's time limit
is decided here, by buckets of the same size. Then each process has its own, so together they let
through so many times as much.
"""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import redis

from serving.limits import SCRIPT, Ask, LocalBuckets, Taken, answers, arguments
from telemetry import metrics

_log = logging.getLogger(__name__)

TIMEOUT_S: Final = 0.25
PAUSE_S: Final = 1.0  # after a failure Redis is left alone for so long


def open_counter(url: str) -> Any:
    """A Redis client that gives up soon and does not retry."""
    return redis.Redis.from_url(
        url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S, retry=None
    )


class Buckets:
    """`take` through one client. An outage costs one try a second, and is logged once."""

    def __init__(self, client: Any, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._local = LocalBuckets(clock)
        self._away_until = float("-inf")
        self._away = False

    def take(self, asks: Sequence[Ask]) -> list[Taken]:
        """One group: all give, or none."""
        if self._clock() >= self._away_until:
            try:
                said = self._client.eval(SCRIPT, *arguments(asks, len(asks)))
            except redis.RedisError as error:
                self._note(error)
            else:
                self._note(None)
                return answers(said)
        metrics.SERVICE_LIMITS_LOCAL.inc()
        return self._local.take(asks)

    def _note(self, error: Exception | None) -> None:
        if error is not None:
            self._away_until = self._clock() + PAUSE_S
            if not self._away:
                _log.warning("limits: Redis is away (%s), so each process counts alone", error)
        elif self._away:
            _log.info("limits: Redis is back")
        self._away = error is not None
