"""Whether this process can do its work, asked often and looked up rarely."""

import asyncio
import time
from collections.abc import Callable
from typing import Final, NamedTuple

from serving.ingest.memory import Memory
from serving.ingest.producer import Broker

KEEP_S: Final = 1.0


class Report(NamedTuple):
    """What works. Redis is for information: the collector does its work without."""

    broker: bool
    redis: bool


class Readiness:
    """One look-up at a time, its result kept for a second."""

    def __init__(
        self, broker: Broker, memory: Memory, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._broker = broker
        self._memory = memory
        self._clock = clock
        self._last: tuple[float, Report] | None = None
        self._lock = asyncio.Lock()

    async def report(self) -> Report:
        """The state of at most a second ago."""
        async with self._lock:
            if self._last is None or self._clock() - self._last[0] >= KEEP_S:
                broker, redis = await asyncio.gather(
                    self._broker.reachable(), self._memory.reachable()
                )
                report = Report(broker and self._broker.partitions() > 0, redis)
                self._last = (self._clock(), report)
            return self._last[1]
