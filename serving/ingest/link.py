"""Whether Redis is there, for all of the collector that does without it when it is not."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from redis.exceptions import RedisError

from telemetry import logs

_log = logging.getLogger(__name__)

PAUSE_S: Final = 1.0  # after a failure Redis is left alone for so long
_Answer = TypeVar("_Answer")


class Link:
    """Calls with a time limit. An outage costs one timeout a second, and is logged once."""

    def __init__(self, timeout_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._timeout_s = timeout_s
        self._clock = clock
        self._away_until = float("-inf")
        self._away = False
        self.outages = 0

    @property
    def away(self) -> bool:
        """It has failed a moment ago."""
        return self._clock() < self._away_until

    async def ask(self, call: Callable[[], Awaitable[_Answer]]) -> _Answer | None:
        """What Redis says, or None when it does not. Never raises."""
        try:
            async with asyncio.timeout(self._timeout_s):
                said = await call()
        except (RedisError, OSError, TimeoutError) as error:
            self._note(error)
            return None
        except Exception as error:  # whoever waits for this call must not wait for ever
            logs.failed(_log, "a call of Redis failed", error)
            self._note(error)
            return None
        self._note(None)
        return said

    def _note(self, error: Exception | None) -> None:
        if error is not None:
            self._away_until = self._clock() + PAUSE_S
            if not self._away:
                self.outages += 1
                _log.warning(
                    "Redis is away (%s): batches are accepted unchecked, and limits are counted "
                    "by this process alone",
                    type(error).__name__,
                )
        elif self._away:
            _log.info("Redis is back")
        self._away = error is not None
